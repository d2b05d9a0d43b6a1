"""Derive: root keys → what the target should hold for each.

For a batch, one set-based read per relation, all in one snapshot (`shapes`); then the mapping, root by
root. The source's own row hashes come with the rows; their sum per root is what the ledger keeps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from lockstep.declaration.mapping import Desired, Mapping
from lockstep.engine.deriving.portions import Portions
from lockstep.engine.deriving.shapes import Plan
from lockstep.engine.deriving.unreadable import Bad, UnreadableRows, blamed
from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.ports import Reader, Snapshot
from lockstep.values import Key


class Derived(Struct):
    """What one root means. `sum` is its source sum; `root` is None when the source has no such row."""

    key: Key
    root: Any
    desired: list[Desired]
    sum: int
    due: float | None
    error: DataError | None


class Deriver:
    """Derives for one mapping. Compiled once from its shape. Not `summed`: for who compares records alone;
    the source then hashes no rows, and all sums are 0."""

    def __init__(self, mapping: Mapping, reader: Reader, *, summed: bool = True) -> None:
        self._mapping = mapping
        self._reader = reader
        self._plan = Plan(mapping.root, root=True, summed=summed)
        self._portions = Portions(mapping.name)

    def derive(self, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
        """One answer for every key. A key that fails has an `error`; it never stops another.

        Raises Unreachable or Refused when the source does not answer.
        """
        answers: dict[Key, Derived] = {}
        while len(answers) < len(wanted):
            answers |= self.some(wanted[len(answers) :], now)
        return answers

    def some(self, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
        """As `derive`, for the first keys only: as many as may be held in memory at once."""
        answers, failed = self._portions.some(wanted, lambda some: self._together(some, now))
        for key, error in failed.items():
            answers[key] = Derived(key, None, [], 0, None, error)
        return answers

    def _together(self, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
        """All of them, as of one moment."""
        found = self._moment(
            wanted
        )  # the snapshot is closed: a slow mapping holds nothing open at the source
        return self._derive(found, wanted, now)

    def _moment(self, wanted: Sequence[Key]) -> dict[Key, tuple[Any, int]]:
        """What the source holds of them, as of one moment; a DataError stands for what cannot be read."""
        bad: Bad = {}
        while True:
            try:
                with self._reader.snapshot() as snapshot:
                    return self._read(snapshot, wanted, bad)
            except UnreadableRows as failed:  # the next round passes over what cannot be read
                # Together they cannot be read, and each alone can: then nobody says which it was.
                blame = blamed(self._reader, failed) or dict.fromkeys(failed.values, failed.error)
                bad = {**bad, failed.path: {**bad.get(failed.path, {}), **blame}}

    def numbers(self, wanted: Sequence[Key]) -> dict[Key, int]:
        """The source sums of these roots, without running the mapping; those the source lacks are left out,
        and of one that cannot be read it is 0.

        Raises Unreachable or Refused when the source does not answer.
        """
        found: dict[Key, int] = {}
        left = list(wanted)
        while left:
            some, failed = self._portions.some(left, self._summed)
            found |= {key: number for key, number in some.items() if number is not None}
            found |= dict.fromkeys(failed, 0)
            left = left[len(some) + len(failed) :]
        return found

    def _summed(self, wanted: Sequence[Key]) -> dict[Key, int | None]:
        found = self._moment(wanted)
        return {key: found[key][1] if key in found else None for key in wanted}

    def roots(self, wanted: Sequence[Key]) -> dict[Key, Any]:
        """The shapes of these roots, without running the mapping; a key may have none."""
        with self._reader.snapshot() as snapshot:
            try:
                return {key: root for key, (root, _) in self._read(snapshot, wanted, {}).items()}
            except UnreadableRows as failed:
                raise failed.error from failed

    def _derive(
        self, found: dict[Key, tuple[Any, int]], wanted: Sequence[Key], now: float
    ) -> dict[Key, Derived]:
        derive = self._mapping.derive
        answers: dict[Key, Derived] = {}
        for key in wanted:
            root, total = found.get(key, _ABSENT)
            if root is None:
                answers[key] = Derived(key, None, [], 0, None, None)
                continue
            if isinstance(root, DataError):
                answers[key] = Derived(key, None, [], total, None, root)
                continue
            try:
                desired, due = derive(root, now)
                answers[key] = Derived(key, root, desired, total, due, None)
            except DataError as error:
                answers[key] = Derived(key, root, [], total, None, error)
        return answers

    def _read(self, snapshot: Snapshot, wanted: Sequence[Key], bad: Bad) -> dict[Key, tuple[Any, int]]:
        """Per root that the source has: its shape, and its source sum."""
        named: dict[tuple[Any, ...], Key] = {}
        damaged: dict[Key, tuple[Any, int]] = {}
        for key in wanted:
            try:
                named[keys.decode(key)] = key
            except (ValueError, IndexError, ArithmeticError):
                damaged[key] = _damaged(self._mapping, key), 0
        values, shown, sums = self._plan.roots(snapshot, list(named), bad)
        found = [named.get(one) or keys.encode(one) for one in values]
        roots = dict(zip(found, zip(shown, sums, strict=True), strict=True))
        if len(roots) < len(found):  # a key that does not tell the rows apart: none of them is the record
            for key, count in Counter(found).items():
                if count > 1:
                    roots[key] = _repeated(self._mapping, key, count), 0
        return roots | damaged if damaged else roots


def _repeated(mapping: Mapping, key: Key, count: int) -> DataError:
    table = mapping.root.table
    return DataError(
        f"{count} rows of {table.name} have the key {keys.text(key)}, and a record is made of one",
        f"Make ({', '.join(table.key)}) unique in {table.name}, or mark the columns that are as its key.",
    )


def _damaged(mapping: Mapping, key: Key) -> DataError:
    return DataError(
        f"the ledger of {mapping.name} has a row whose key, {keys.text(key)}, is none: it was damaged",
        "See to the disk under the state store; `lockstep verify --deep` shows which records are concerned.",
    )


_ABSENT: tuple[None, int] = (None, 0)
