"""The law of `lockstep.ports.GroupingWriter`, as a test class beside `WriterLaw`:

    class TestOurs(WriterLaw, GroupingLaw): ...

What the target counts and adds up is what the records of a scan come to. What it cannot do exactly it
refuses, with the reason (`cannot_group`, `cannot_total`).
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from lockstep.errors import CannotSum
from lockstep.forms.canonical import canonical
from lockstep.ports import GroupingWriter, Target, Writer
from lockstep.testing.writer_hooks import WriterHooks, change, write
from lockstep.values import Record, version

TEXTS = ("a", "A", "ä", "", " ", "a ", "1", None)
NUMBERS = (0, 1, -1, (1 << 53) + 1, (1 << 62) + 3, (1 << 62) + 5, None)


class GroupingLaw(WriterHooks):
    """What every `GroupingWriter` must do, against its real server."""

    cannot_group: ClassVar[str | None] = None
    """A pattern of the reason that this target gives for not grouping, nor adding up. It counts."""

    cannot_total: ClassVar[str | None] = None
    """A pattern of the reason that this target gives for not adding up the law's field `integer`."""

    def fields(self, number: int) -> Record:
        """A record of the law: a text to group by, and a whole number to group by and to add up."""
        return {"text": TEXTS[number % len(TEXTS)], "integer": NUMBERS[number % len(NUMBERS)]}

    def assert_grouped(self, writer: Writer, of: str | None, by: Sequence[str]) -> None:
        """What the target says, against the scan."""
        refusal = (self.cannot_group if of or by else None) or (self.cannot_total if of else None)
        if refusal is not None:
            with pytest.raises(CannotSum, match=refusal):
                grouped(writer, of, by)
            return
        wanted: dict[bytes, tuple[int, Decimal]] = {}
        for held in writer.scan(None, 100_000):
            form = canonical({"": [held.record.get(name) for name in by]})
            count, total = wanted.get(form, (0, Decimal(0)))
            wanted[form] = (count + 1, total + ((of and held.record.get(of)) or 0))
        assert grouped(writer, of, by) == wanted

    def assert_all(self, writer: Writer) -> None:
        for of in (None, "integer"):
            for by in ((), ("text",), ("integer",), ("text", "integer")):
                self.assert_grouped(writer, of, by)

    def test_groups_are_those_of_a_scan(self, target: Target, writer: Writer) -> None:
        assert grouped(writer, None, ()) == {}
        changes = [change(self.key(target, n), self.fields(n)) for n in range(200)]
        write(writer, *changes)
        self.assert_all(writer)
        write(writer, change(changes[3].key, self.fields(4), version(2, 1)))
        write(writer, change(changes[5].key, None, version(2, 1)))
        self.assert_all(writer)

    def test_a_record_of_somebody_else_is_in_its_group(self, target: Target, writer: Writer) -> None:
        write(writer, *(change(self.key(target, n), self.fields(n)) for n in range(20)))
        if not self.plant(target, self.key(target, 700), {"text": "a", "integer": 5}):
            pytest.skip("no hook `plant`")
        self.assert_all(writer)

    def test_a_field_that_records_lack_is_null_or_refused(self, target: Target, writer: Writer) -> None:
        """As a table's column that Lockstep did not write and others did."""
        first, second = self.key(target, 1), self.key(target, 2)
        write(writer, change(first, {"text": "a", "integer": 1}), change(second, {"text": "b"}))
        self.edit_unwritten(target, second)
        for of, by in ((None, ("integer",)), ("integer", ()), (None, ("nowhere",))):
            try:
                self.assert_grouped(writer, of, by)
            except CannotSum:
                continue
        self.assert_grouped(writer, None, ("text",))

    def edit_unwritten(self, target: Target, key: Any) -> None:
        """Gives a record's `integer`, which Lockstep did not write, a value past Lockstep, if that can be."""


def grouped(writer: Writer, of: str | None, by: Sequence[str]) -> dict[bytes, tuple[int, Decimal]]:
    """What a target says of its groups, by their canonical forms."""
    assert isinstance(writer, GroupingWriter)
    found: dict[bytes, tuple[int, Decimal]] = {}
    for page in writer.groups(of, by):
        for *values, records, total in page:
            form = canonical({"": values})
            count, before = found.get(form, (0, Decimal(0)))
            found[form] = (count + records, before + (total or 0))
    return found
