"""What the source and the target of a mapping add up to, span by span of source keys.

Each side makes its sums by itself. One that cannot is read, once, for all that is asked of it in a check.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from lockstep.agreement.listing import Listing
from lockstep.agreement.scope import Scope
from lockstep.errors import CannotSum
from lockstep.forms.canonical import wrap64
from lockstep.ports import SummingSnapshot
from lockstep.values import EVERYTHING, Branch, Key, Span, Tallies, Tally


def spans(cuts: Sequence[Key], within: Span = EVERYTHING) -> Iterator[Span]:
    """Those between cuts, the first and the last as open as `within`."""
    for after, upto in zip([within.after, *cuts], [*cuts, within.upto], strict=True):
        yield Span(after, upto)


class Sides:
    """Of one mapping. `cuts`: all that is ever asked for. `notes`: for whoever reads the report."""

    def __init__(self, scope: Scope, root: Branch, listing: Listing, cuts: Sequence[Key]) -> None:
        self._scope = scope
        self._root = root
        self._listing = listing
        self._cuts = cuts
        self._source_read: list[Tally] | None = None
        self._target_read: list[Tally] | None = None
        self.notes: list[str] = []

    def source(self, cuts: Sequence[Key], within: Span = EVERYTHING) -> list[Tally]:
        """See `SummingSnapshot.sums`."""
        if self._source_read is None:
            with self._scope.reader.snapshot() as snapshot:
                if isinstance(snapshot, SummingSnapshot):
                    try:
                        return snapshot.sums(self._root, cuts, within)
                    except CannotSum as error:
                        self.notes.append(f"the source was read: {error}")
                else:
                    self.notes.append("the source was read: it does not sum by itself")
            self._source_read = _tallied(self._listing.numbers_read(EVERYTHING), self._cuts)
        return self._joined(self._source_read, cuts, within)

    def target(self, cuts: Sequence[Key], within: Span = EVERYTHING) -> Tallies:
        """See `SummingWriter.sums`. Raises CannotSum for a part of what is summed only as a whole."""
        if self._target_read is None:
            try:
                return self._scope.door.sums(self._scope.mapping.name, cuts, within)
            except CannotSum as error:
                if within != EVERYTHING:
                    raise
                self.notes.append(f"the target was read: {error}")
            marks = (
                [(mark.meta.key, mark.meta.fingerprint) for mark in page]
                for page in self._listing.marks(EVERYTHING)
            )
            self._target_read = _tallied(marks, self._cuts)
        return Tallies(self._joined(self._target_read, cuts, within))

    def target_whole(self) -> list[Tally]:
        """All of its spans, for who was refused a part of them. It is asked once."""
        if self._target_read is None:
            self._target_read = self.target(self._cuts).spans
        return self._target_read

    def _joined(self, read: Sequence[Tally], cuts: Sequence[Key], within: Span) -> list[Tally]:
        """Of spans that each are some of those that were read."""
        found = []
        for span in spans(cuts, within):
            first = 0 if span.after is None else bisect_left(self._cuts, span.after) + 1
            last = len(self._cuts) if span.upto is None else bisect_left(self._cuts, span.upto)
            some = read[first : last + 1]
            found.append(
                Tally(
                    sum(one.records for one in some),
                    wrap64(sum(one.total for one in some)),
                    sum(one.edited for one in some),
                )
            )
        return found


def _tallied(pages: Iterable[Sequence[tuple[Key, int]]], cuts: Sequence[Key]) -> list[Tally]:
    counts, totals = [0] * (len(cuts) + 1), [0] * (len(cuts) + 1)
    for page in pages:
        for key, number in page:
            at = bisect_left(cuts, key)
            counts[at] += 1
            totals[at] += number
    return [Tally(count, wrap64(total)) for count, total in zip(counts, totals, strict=True)]
