"""The fast check: each side against the ledger, by sums that each system makes by itself.

The ledger ties the sides: it has, of every source key, the number that the key's rows added up to when it was
derived, and the fingerprint of what was sent. So per span of source keys, the numbers of the source must add
up to the ledger's, and the fingerprints that the target's records carry to what was sent. Spans that do not
are listed key by key, and keys that do not agree are suspects: see `suspects`. A sum that was taken a moment
before another costs reading, never truth.

It trusts that a target's record is what its fingerprint says, where the target cannot tell by itself (a SQL
table can, and names the records that were edited); the deep check does not.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import compress

from lockstep.agreement.branches import branch
from lockstep.agreement.listing import Listing
from lockstep.agreement.report import Progress, Report
from lockstep.agreement.scope import Scope
from lockstep.agreement.sides import Sides, spans
from lockstep.agreement.walk import target_records
from lockstep.engine.deriving.derive import Deriver
from lockstep.engine.garbage import collecting_seldom
from lockstep.errors import CannotSum
from lockstep.forms import keys
from lockstep.forms.canonical import wrap64
from lockstep.state.spans import Sums
from lockstep.values import Key, Mark, Span, Tallies, Tally

SPAN = 1_000
"""Keys in a span."""

SPANS = 1_000
"""Spans at most; with more keys they are wider."""

WIDE = 32
"""Into so many, each of several spans, all is summed first: what a sum costs a system grows with the spans.
Those that differ are summed again by their spans, which is little where they are few."""

APART = 8
"""Places with wide spans that differ which are summed one by one; more of them are summed in one. So is the
source at once where its shape has tables below: for each place, it may have to read all of these."""

LISTED = 50_000
"""Keys that are listed together, about: what a listing has in memory."""

_PAGE = 5_000
_STRANGERS = 1_000

_Unlike = tuple[bool, bool]
"""Whether the source, and whether the target, does not add up to the ledger."""


def fast(scope: Scope, on_progress: Callable[[Progress], None] | None = None) -> Report:
    """Compares everything with the ledger. Raises Unreachable or Refused when a system does not answer."""
    with collecting_seldom():
        return _Fast(scope, on_progress).run()


class _Fast:
    def __init__(self, scope: Scope, on_progress: Callable[[Progress], None] | None) -> None:
        root = branch(scope.mapping.root)
        deriver = Deriver(scope.mapping, scope.reader)
        self._scope = scope
        self._mapping = scope.mapping
        self._on_progress = on_progress
        self._findings = scope.findings
        self._listing = Listing(scope, root, deriver)
        self._settler = scope.settler(deriver)
        self._cuts = [cut for cut in scope.ledger.cuts(SPAN, SPANS) if keys.readable(cut)]
        self._each = -(-(len(self._cuts) + 1) // WIDE)  # spans in a wide one
        self._apart = 1 if root.below else APART
        self._sides = Sides(scope, root, self._listing, self._cuts)

    def run(self) -> Report:
        started = time.time()
        wide = self._cuts[self._each - 1 :: self._each]
        self._progress("sums", 0, len(self._cuts) + 1)
        with ThreadPoolExecutor(2, thread_name_prefix="lockstep-sums") as pool:
            sources, targets = pool.submit(self._sides.source, wide), pool.submit(self._sides.target, wide)
            ledger = self._scope.ledger.sums(list(spans(self._cuts)))
            source, target = sources.result(), targets.result()
        together = [_together(ledger[n : n + self._each]) for n in range(0, len(ledger), self._each)]
        unlike = [_unlike(*three) for three in zip(together, source, target.spans, strict=True)]
        edited = {n for n, tally in enumerate(target.spans) if tally.edited}
        if target.edited is None and edited:
            few = sum(together[n].rows for n in edited) <= LISTED
            if few or sum(tally.edited for tally in target.spans) > LISTED:
                unlike = [(one, other or n in edited) for n, (one, other) in enumerate(unlike)]
                edited = set()
        narrow = self._narrowed(ledger, unlike)
        listed = self._list(ledger, narrow)
        differing = set(narrow)
        if edited:
            differing |= self._edited(listed, target.edited)
        strangers = self._strangers() if target.others != 0 else 0
        records = sum(tally.records for tally in target.spans)
        return self._findings.report(
            self._mapping.name,
            "fast",
            started,
            sum(tally.records for tally in source),
            records + strangers,
            records,
            spans=len(ledger),
            differing=len(differing),
            notes=tuple(sorted((*self._sides.notes, *_unproved(target)))),
        )

    # Spans that differ

    def _narrowed(self, ledger: Sequence[Sums], unlike: Sequence[_Unlike]) -> dict[int, _Unlike]:
        """Those of all spans that differ, of the wide ones that do. Each side is summed where it differs."""
        if self._each == 1:
            return {n: sides for n, sides in enumerate(unlike) if any(sides)}
        by_source = self._places([wrong for wrong, _ in unlike], self._apart, len(ledger))
        by_target = self._places([amiss for _, amiss in unlike], APART, len(ledger))
        many = sum(one.rows for low, high in by_target for one in ledger[low:high]) > LISTED
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

    def _list(self, ledger: Sequence[Sums], unlike: Mapping[int, _Unlike]) -> set[int]:
        """Settles them; returns those whose records were listed."""
        bounds, listed = [None, *self._cuts, None], set[int]()
        for done, some in enumerate(_gathered(sorted(unlike), ledger)):
            by_source, by_target = (any(unlike[n][side] for n in some) for side in (0, 1))
            span = Span(bounds[some[0]], bounds[some[-1] + 1])
            known = sum(ledger[n].rows for n in some)
            self._settler.settle(
                self._listing.suspects(span, known, by_source=by_source, by_target=by_target)
            )
            if by_target:
                listed |= set(some)
            self._progress("spans", done, len(unlike))
        return listed

    def _edited(self, listed: Collection[int], named: Sequence[Mark] | None) -> set[int]:
        """Settles what the target says was edited, beside what was listed; it is asked where it was not
        `named`. Returns the spans it is in."""
        suspects: dict[Key, set[Key]] = {}
        marks = self._scope.door.edited(self._mapping.name, LISTED) if named is None else named
        for mark in marks:
            if bisect_left(self._cuts, mark.meta.key) not in listed:
                suspects.setdefault(mark.meta.key, set()).add(mark.key)
        self._settler.settle_edited(suspects)
        return {bisect_left(self._cuts, key) for key in suspects}

    def _strangers(self) -> int:
        """Records that no mapping of this target wrote: how many there are."""
        known = [self._mapping.name, *self._scope.sharing]
        try:
            count, some = self._scope.door.strangers(known, _STRANGERS)
        except CannotSum:
            count, some = self._strangers_read(set(known))
        self._findings.strangers(count, some)
        return count

    def _strangers_read(self, known: set[str]) -> tuple[int, list[Key]]:
        count = 0
        some: list[Key] = []
        for page in target_records(self._scope.door, _PAGE):
            for held in page:
                if held.meta is None or held.meta.mapping not in known:
                    count += 1
                    if len(some) < _STRANGERS:
                        some.append(held.key)
        return count, some

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(stage, done, total))


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


def _unlike(ledger: Sums, source: Tally, target: Tally) -> _Unlike:
    return _source_unlike(ledger, source), _target_unlike(ledger, target)


def _source_unlike(ledger: Sums, source: Tally) -> bool:
    return (ledger.rows, ledger.numbers) != (source.records, source.total) or ledger.unknown > 0


def _target_unlike(ledger: Sums, target: Tally) -> bool:
    return ledger.sent != target.total or ledger.records not in (None, target.records)


def _unproved(target: Tallies) -> list[str]:
    if not (unproved := sum(tally.unproved for tally in target.spans)):
        return []
    return [
        f"{unproved} records of the target carry no hash of what they hold, as they were written "
        "by an earlier version, or their columns have changed since: whether they were edited is "
        "seen by the deep check only, until they are written again"
    ]


def _gathered(differing: Sequence[int], ledger: Sequence[Sums]) -> Iterator[list[int]]:
    """Neighbours among the spans that differ, as many together as are listed at once."""
    some: list[int] = []
    for n in differing:
        known = sum(ledger[one].rows for one in some)
        if some and (n != some[-1] + 1 or known + ledger[n].rows > LISTED):
            yield some
            some = []
        some.append(n)
    if some:
        yield some
