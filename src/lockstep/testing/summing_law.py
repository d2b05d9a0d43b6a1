"""The law of `lockstep.ports.SummingWriter`, as a test class beside `WriterLaw`:

    class TestOurs(WriterLaw, SummingLaw): ...

A checksum of spans is the checksum of what a scan of them says.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from msgspec.structs import replace

from lockstep.errors import CannotSum
from lockstep.forms import keys
from lockstep.forms.canonical import wrap64
from lockstep.ports import SummingWriter, Target, Writer
from lockstep.testing.writer_hooks import WriterHooks, write
from lockstep.values import EVERYTHING, Change, Fingerprint, Key, Mark, Meta, Record, Span, Tally, version

SOURCES: tuple[tuple[Any, ...], ...] = (
    *((n,) for n in (-300, -1, 0, 1, 9, 10, 255, 256, 1 << 40)),
    *((text,) for text in ("", "a", "a\0b", "B", "ä", "雪", "z" * 300)),
    *((text, n) for text in ("acme", "acme|", "beta") for n in (1, 2, 300)),
)
"""Source keys of several types, as metadata holds them."""

MARKS = (0, 1, -1, (1 << 63) - 1, -(1 << 63), (1 << 32) - 1, 1 << 32, -(1 << 32), (1 << 53) + 1)


class SummingLaw(WriterHooks):
    """What every `SummingWriter` must do, against its real server."""

    def remove(self, target: Target, key: Key) -> bool:
        """Removes a record past Lockstep. False: cannot be done."""
        return False

    def edit(self, target: Target, key: Key, record: Record) -> bool:
        """Changes fields of a record past Lockstep, which leaves its metadata. False: it cannot be told."""
        return False

    def sums(self, writer: Writer, mapping: str, cuts: Sequence[Key] = ()) -> list[Tally]:
        return assert_summing(writer).sums(mapping, cuts).spans

    def assert_summed(self, writer: Writer, cuts: int = 5) -> None:
        """Sums and marks, for some cuts, against the scan."""
        held = [Mark(one.key, one.meta) for one in writer.scan(None, 100_000) if one.meta is not None]
        sources = sorted({mark.meta.key for mark in held})
        outside = [Key(b"\0"), Key(b"\xff")]
        for some in ([], sources[:1], sources[-1:], sorted(random.Random(3).sample(sources, cuts)), outside):
            inside = [[mark for mark in held if _in(span, mark.meta.key)] for span in spans(some)]
            assert self.sums(writer, "law", some) == [
                tally(m.meta.fingerprint for m in one) for one in inside
            ]
            for span, wanted in list(zip(spans(some), inside, strict=True))[:3]:
                assert by_key(marks(writer, "law", span)) == by_key(wanted)
                if some == outside:
                    continue  # no keys
                within = sorted({mark.meta.key for mark in wanted})[:1]
                parts = [[m for m in wanted if (m.meta.key in within) == first] for first in (True, False)]
                with suppress(CannotSum):  # of a part
                    assert assert_summing(writer).sums("law", within, span).spans == [
                        tally(m.meta.fingerprint for m in one) for one in parts[: len(within) + 1]
                    ]

    def _said(self, target: Target, mapping: str = "law", more: int = 0) -> list[Change]:
        """Changes whose metadata varies as it may."""
        chance = random.Random(7)
        sources = [keys.encode(values) for values in SOURCES] + [
            keys.encode((n + 1000,)) for n in range(more)
        ]
        found = []
        for n, source in enumerate(sources):
            mark = MARKS[n] if n < len(MARKS) else chance.randrange(-(1 << 63), 1 << 63)
            meta = Meta(mapping, source, Fingerprint(mark), n - 5, version(1, 1 + n))
            found.append(Change(self.key(target, n), self.record(n), meta))
        return found

    def test_sums_are_those_of_a_scan(self, target: Target, writer: Writer) -> None:
        assert self.sums(writer, "law") == [Tally(0, 0)]
        write(writer, *self._said(target))
        self.assert_summed(writer)
        assert self.sums(writer, "another", [keys.encode((1,))]) == [Tally(0, 0)] * 2

    def test_sums_see_every_write_that_was_acknowledged(self, target: Target, writer: Writer) -> None:
        said = self._said(target)
        write(writer, *said)
        self.assert_summed(writer)
        one, other = said[3], said[4]
        changed = Meta("law", one.meta.key, Fingerprint(77), 0, version(2, 1))
        write(writer, Change(one.key, self.record(900), changed))
        gone = Meta("law", other.meta.key, Fingerprint(0), 0, version(2, 1))
        write(writer, Change(other.key, None, gone))
        assert self.sums(writer, "law")[0].records == len(said) - 1
        self.assert_summed(writer)

    def test_each_mapping_has_sums_of_its_own(self, target: Target, writer: Writer) -> None:
        mine = self._said(target)
        half = len(mine) // 2
        theirs = [
            Change(one.key, one.record, Meta("other", one.meta.key, Fingerprint(5), 0, version(1, 1)))
            for one in mine[half:]
        ]
        write(writer, *mine[:half], *theirs)
        summing = assert_summing(writer)
        assert self.sums(writer, "law") == [tally(mark.meta.fingerprint for mark in marks(writer, "law"))]
        assert self.sums(writer, "other") == [Tally(len(theirs), 5 * len(theirs))]
        assert summing.strangers(["law", "other"], 10) == (0, [])
        assert summing.strangers(["law"], 3)[0] == len(theirs)

    def test_strangers_are_counted_and_some_are_named(self, target: Target, writer: Writer) -> None:
        write(writer, *self._said(target))
        summing = assert_summing(writer)
        strange = sorted(self.key(target, n) for n in (700, 701, 702))
        if not all(self.plant(target, key, self.record(1)) for key in strange):
            return
        assert summing.strangers(["law"], 10) == (3, strange)
        count, some = summing.strangers(["law"], 2)
        assert (count, len(some)) == (3, 2)
        assert self.sums(writer, "law")[0].records == len(SOURCES)

    def test_a_record_that_somebody_removed_is_not_summed(self, target: Target, writer: Writer) -> None:
        said = self._said(target)
        write(writer, *said)
        if not self.remove(target, said[2].key):
            pytest.skip("no hook `remove`")
        left = [one.meta.fingerprint for n, one in enumerate(said) if n != 2]
        assert self.sums(writer, "law") == [tally(left)]
        assert said[2].key not in {mark.key for mark in marks(writer, "law")}
        self.assert_summed(writer)
        if self.plant(target, said[2].key, self.record(1)) and writer.read([said[2].key])[said[2].key].meta:
            assert self.sums(writer, "law")[0].records == len(said), "a table's row has its metadata again"

    def test_a_record_that_somebody_edited_counts_otherwise(self, target: Target, writer: Writer) -> None:
        said = self._said(target)
        write(writer, *said)
        one, other = said[1], said[6]  # not 3 and 4, whose fingerprints are each other's complement
        if not self.edit(target, one.key, {"text": "edited"}) or not self.edit(
            target, other.key, {"text": None}
        ):
            pytest.skip("no hook `edit`")
        edited = {one.key, other.key}
        wanted = [~m.meta.fingerprint if m.key in edited else m.meta.fingerprint for m in said]
        every = tally(m.meta.fingerprint for m in said)
        assert self.sums(writer, "law") == [replace(every, edited=2)]
        listed = assert_summing(writer).edited("law", 10)
        assert by_key(listed) == by_key([m for m in marks(writer, "law") if m.key in edited])
        assert len(assert_summing(writer).edited("law", 1)) == 1
        assert {m.key: m.meta.fingerprint for m in marks(writer, "law")} == dict(
            zip((m.key for m in said), wanted, strict=True)
        )
        for change in (one, other):
            write(writer, replace(change, meta=replace(change.meta, version=version(2, 1))))
        self.assert_summed(writer)

    def test_thousands_are_summed_exactly(self, target: Target, writer: Writer) -> None:
        said = self._said(target, more=max(self.bulk, 12_000))
        for start in range(0, len(said), 5_000):
            write(writer, *said[start : start + 5_000])
        self.assert_summed(writer, cuts=200)
        assert sum(len(page) for page in assert_summing(writer).marks("law", EVERYTHING)) == len(said)


def assert_summing(writer: Writer) -> SummingWriter:
    assert isinstance(writer, SummingWriter)
    return writer


def spans(cuts: Sequence[Key]) -> list[Span]:
    return [Span(*pair) for pair in zip([None, *cuts], [*cuts, None], strict=True)]


def marks(writer: Writer, mapping: str, span: Span = EVERYTHING) -> list[Mark]:
    return [mark for page in assert_summing(writer).marks(mapping, span) for mark in page]


def by_key(found: Sequence[Mark]) -> list[Mark]:
    return sorted(found, key=lambda mark: mark.key)


def tally(fingerprints: Any) -> Tally:
    found = list(fingerprints)
    return Tally(len(found), wrap64(sum(found)))


def _in(span: Span, key: Key) -> bool:
    return (span.after is None or key > span.after) and (span.upto is None or key <= span.upto)
