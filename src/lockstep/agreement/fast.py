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

from lockstep.agreement import listing
from lockstep.agreement.branches import branch
from lockstep.agreement.narrowing import Narrowing, Unlike, unlike
from lockstep.agreement.report import Progress, Report
from lockstep.agreement.scope import Scope
from lockstep.agreement.sides import Sides, spans
from lockstep.agreement.walk import target_records
from lockstep.engine.deriving.derive import Deriver
from lockstep.engine.garbage import collecting_seldom
from lockstep.errors import CannotSum
from lockstep.state.spans import Sums
from lockstep.values import Key, Mark, Span, Tallies

_PAGE = 5_000
_STRANGERS = 1_000


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
        self._listing = listing.Listing(scope, root, deriver)
        self._settler = scope.settler(deriver)
        self._cuts = scope.cuts()
        self._sides = Sides(scope, root, self._listing, self._cuts)
        self._narrowing = Narrowing(self._sides, root, self._cuts)

    def run(self) -> Report:
        started = time.time()
        self._progress("sums", 0, len(self._cuts) + 1)
        with ThreadPoolExecutor(2, thread_name_prefix="lockstep-sums") as pool:
            sources = pool.submit(self._sides.source, self._narrowing.wide)
            targets = pool.submit(self._sides.target, self._narrowing.wide)
            ledger = self._scope.ledger.sums(list(spans(self._cuts)))
            source, target = sources.result(), targets.result()
        together = self._narrowing.together(ledger)
        differing = [unlike(*three) for three in zip(together, source, target.spans, strict=True)]
        edited = {n for n, tally in enumerate(target.spans) if tally.edited}
        if target.edited is None and edited:
            few = sum(together[n].rows for n in edited) <= listing.LISTED
            if few or sum(tally.edited for tally in target.spans) > listing.LISTED:
                differing = [(one, other or n in edited) for n, (one, other) in enumerate(differing)]
                edited = set()
        narrow = self._narrowing.narrowed(ledger, differing)
        listed, found = self._list(ledger, narrow), set(narrow)
        if edited:
            found |= self._edited(listed, target.edited)
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
            differing=len(found),
            notes=sorted((*self._sides.notes, *_unproved(target))),
        )

    def _list(self, ledger: Sequence[Sums], narrow: Mapping[int, Unlike]) -> set[int]:
        """Settles them; returns those whose records were listed."""
        bounds, listed = [None, *self._cuts, None], set[int]()
        for done, some in enumerate(_gathered(sorted(narrow), ledger)):
            by_source, by_target = (any(narrow[n][side] for n in some) for side in (0, 1))
            span = Span(bounds[some[0]], bounds[some[-1] + 1])
            known = sum(ledger[n].rows for n in some)
            self._settler.settle(
                self._listing.suspects(span, known, by_source=by_source, by_target=by_target)
            )
            if by_target:
                listed |= set(some)
            self._progress("spans", done, len(narrow))
        return listed

    def _edited(self, listed: Collection[int], named: Sequence[Mark] | None) -> set[int]:
        """Settles what the target says was edited, beside what was listed; it is asked where it was not
        `named`. Returns the spans it is in."""
        suspects: dict[Key, set[Key]] = {}
        marks = self._scope.door.edited(self._mapping.name, listing.LISTED) if named is None else named
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
        if some and (n != some[-1] + 1 or known + ledger[n].rows > listing.LISTED):
            yield some
            some = []
        some.append(n)
    if some:
        yield some
