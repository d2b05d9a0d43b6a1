"""Which spans differ: all is summed in wide spans first, then, of those that differ, span by span."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import compress

from lockstep.agreement import listing
from lockstep.agreement.sides import Sides
from lockstep.errors import CannotSum
from lockstep.forms.canonical import wrap64
from lockstep.state.spans import Sums
from lockstep.values import Branch, Key, Span, Tally

WIDE = 32
"""Into so many, each of several spans, all is summed first: what a sum costs a system grows with the spans.
Those that differ are summed again by their spans, which is little where they are few."""

APART = 8
"""Places with wide spans that differ which are summed one by one; more of them are summed in one. So is the
source at once where its shape has tables below: for each place, it may have to read all of these."""

Unlike = tuple[bool, bool]
"""Whether the source, and whether the target, does not add up to the ledger."""


class Narrowing:
    """Of one check. `cuts`: of all spans; `wide`: those of the wide ones."""

    def __init__(self, sides: Sides, root: Branch, cuts: list[Key]) -> None:
        self._sides = sides
        self._cuts = cuts
        self._each = -(-(len(cuts) + 1) // WIDE)  # spans in a wide one
        self._apart = 1 if root.below else APART
        self.wide = cuts[self._each - 1 :: self._each]

    def together(self, ledger: Sequence[Sums]) -> list[Sums]:
        """What the ledger says of all spans, as the wide ones have it."""
        return [_together(ledger[n : n + self._each]) for n in range(0, len(ledger), self._each)]

    def narrowed(self, ledger: Sequence[Sums], unlike: Sequence[Unlike]) -> dict[int, Unlike]:
        """Those of all spans that differ, of the wide ones that do. Each side is summed where it differs."""
        if self._each == 1:
            return {n: sides for n, sides in enumerate(unlike) if any(sides)}
        by_source = self._places([wrong for wrong, _ in unlike], self._apart, len(ledger))
        by_target = self._places([amiss for _, amiss in unlike], APART, len(ledger))
        many = sum(one.rows for low, high in by_target for one in ledger[low:high]) > listing.LISTED
        wrong = {n for low, high in by_source for n in self._wrong(ledger, low, high)}
        amiss = {n for low, high in by_target for n in self._amiss(ledger, low, high, many=many)}
        return {n: (n in wrong, n in amiss) for n in wrong | amiss}

    def _places(self, differing: Sequence[bool], apart: int, spans: int) -> list[tuple[int, int]]:
        """The spans, from one to before another, of neighbouring wide ones that differ; all in one where
        there are more such places than `apart`."""
        found: list[tuple[int, int]] = []
        for n in compress(range(len(differing)), differing):
            low, high = n * self._each, min((n + 1) * self._each, spans)
            if found and found[-1][1] == low:
                low, _ = found.pop()
            found.append((low, high))
        return found if len(found) <= apart else [(found[0][0], found[-1][1])]

    def _wrong(self, ledger: Sequence[Sums], low: int, high: int) -> Iterator[int]:
        """Which of the spans from `low` to before `high` the source does not add up to."""
        tallies = self._sides.source(*self._part(low, high))
        for n, known, tally in zip(range(low, high), ledger[low:high], tallies, strict=True):
            if _source_unlike(known, tally):
                yield n

    def _amiss(self, ledger: Sequence[Sums], low: int, high: int, *, many: bool) -> Iterator[int]:
        """So of the target. One that refuses a part is listed there, or where that is `many` keys, summed
        as a whole."""
        try:
            tallies = self._sides.target(*self._part(low, high)).spans
        except CannotSum:
            if not many:
                yield from range(low, high)
                return
            tallies = self._sides.target_whole()[low:high]
        for n, known, tally in zip(range(low, high), ledger[low:high], tallies, strict=True):
            if _target_unlike(known, tally) or tally.edited > 0:
                yield n

    def _part(self, low: int, high: int) -> tuple[list[Key], Span]:
        """The cuts of these spans, and what they are within."""
        bounds = [None, *self._cuts, None]
        return self._cuts[low : high - 1], Span(bounds[low], bounds[high])


def _together(some: Sequence[Sums]) -> Sums:
    """What neighbouring spans add up to."""
    counts = [one.records for one in some if one.records is not None]
    return Sums(
        sum(one.rows for one in some),
        wrap64(sum(one.numbers for one in some)),
        sum(counts) if len(counts) == len(some) else None,
        wrap64(sum(one.sent for one in some)),
        sum(one.unknown for one in some),
    )


def unlike(ledger: Sums, source: Tally, target: Tally) -> Unlike:
    return _source_unlike(ledger, source), _target_unlike(ledger, target)


def _source_unlike(ledger: Sums, source: Tally) -> bool:
    return (ledger.rows, ledger.numbers) != (source.records, source.total) or ledger.unknown > 0


def _target_unlike(ledger: Sums, target: Tally) -> bool:
    return ledger.sent != target.total or ledger.records not in (None, target.records)
