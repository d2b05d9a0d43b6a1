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
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from lockstep.agreement.branches import branch
from lockstep.agreement.listing import Listing
from lockstep.agreement.report import Progress, Report
from lockstep.agreement.scope import Scope
from lockstep.agreement.walk import target_records
from lockstep.engine.deriving.derive import Deriver
from lockstep.errors import CannotSum
from lockstep.forms import keys
from lockstep.forms.canonical import wrap64
from lockstep.ports import SummingSnapshot
from lockstep.state.spans import Sums
from lockstep.values import EVERYTHING, Key, Mark, Span, Tallies, Tally

SPAN = 1_000
"""Keys in a span."""

SPANS = 1_000
"""Spans at most; with more keys they are wider."""

LISTED = 50_000
"""Keys that are listed together, about: what a listing has in memory."""

_PAGE = 5_000
_STRANGERS = 1_000


def fast(scope: Scope, on_progress: Callable[[Progress], None] | None = None) -> Report:
    """Compares everything with the ledger. Raises Unreachable or Refused when a system does not answer."""
    return _Fast(scope, on_progress).run()


class _Fast:
    def __init__(self, scope: Scope, on_progress: Callable[[Progress], None] | None) -> None:
        self._scope = scope
        self._mapping = scope.mapping
        self._root = branch(scope.mapping.root)
        self._on_progress = on_progress
        self._deriver = Deriver(scope.mapping, scope.reader)
        self._findings = scope.findings
        self._listing = Listing(scope, self._root, self._deriver)
        self._settler = scope.settler(self._deriver)
        self._notes: list[str] = []

    def run(self) -> Report:
        started = time.time()
        cuts = [cut for cut in self._scope.ledger.cuts(SPAN, SPANS) if keys.readable(cut)]
        self._progress("sums", 0, len(cuts) + 1)
        with ThreadPoolExecutor(2, thread_name_prefix="lockstep-sums") as pool:
            sources, targets = pool.submit(self._source, cuts), pool.submit(self._target, cuts)
            ledger = self._scope.ledger.sums(list(_spans(cuts)))
            source, target = sources.result(), targets.result()
        unlike = [_unlike(*three) for three in zip(ledger, source, target.spans, strict=True)]
        edited = {n for n, tally in enumerate(target.spans) if tally.edited}
        few = sum(ledger[n].rows for n in edited) <= LISTED
        if few or (target.edited is None and _edits(target) > LISTED):
            unlike = [(one, other or n in edited) for n, (one, other) in enumerate(unlike)]
        edited -= self._list(cuts, ledger, unlike)
        if edited:  # in more spans than are worth listing
            self._edited(cuts, edited, target.edited)
        strangers = self._strangers() if target.others != 0 else 0
        differing = {n for n, sides in enumerate(unlike) if any(sides)} | edited
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
            notes=tuple(sorted(self._notes)),
        )

    # Spans that differ

    def _list(
        self, cuts: Sequence[Key], ledger: Sequence[Sums], unlike: Sequence[tuple[bool, bool]]
    ) -> set[int]:
        """Settles them; returns those whose records were listed."""
        spans, listed = list(_spans(cuts)), set[int]()
        differing = [n for n, sides in enumerate(unlike) if any(sides)]
        for done, some in enumerate(_gathered(differing, ledger)):
            by_source, by_target = (any(unlike[n][side] for n in some) for side in (0, 1))
            span = Span(spans[some[0]].after, spans[some[-1]].upto)
            known = sum(ledger[n].rows for n in some)
            self._settler.settle(
                self._listing.suspects(span, known, by_source=by_source, by_target=by_target)
            )
            if by_target:
                listed |= set(some)
            self._progress("spans", done, len(differing))
        return listed

    def _edited(self, cuts: Sequence[Key], spans: Collection[int], named: Sequence[Mark] | None) -> None:
        """Settles what the target says was edited in these spans; it is asked where it was not `named`."""
        suspects: dict[Key, set[Key]] = {}
        marks = self._scope.door.edited(self._mapping.name, LISTED) if named is None else named
        for mark in marks:
            if bisect_left(cuts, mark.meta.key) in spans:
                suspects.setdefault(mark.meta.key, set()).add(mark.key)
        self._settler.settle_edited(suspects)

    # Sums, or where a system has none, what is read

    def _source(self, cuts: Sequence[Key]) -> list[Tally]:
        with self._scope.reader.snapshot() as snapshot:
            if isinstance(snapshot, SummingSnapshot):
                try:
                    return snapshot.sums(self._root, cuts)
                except CannotSum as error:
                    self._notes.append(f"the source was read: {error}")
            else:
                self._notes.append("the source was read: it does not sum by itself")
        return _tallied(self._listing.numbers_read(EVERYTHING), cuts)

    def _target(self, cuts: Sequence[Key]) -> Tallies:
        try:
            found = self._scope.door.sums(self._mapping.name, cuts)
            if unproved := sum(tally.unproved for tally in found.spans):
                self._notes.append(
                    f"{unproved} records of the target carry no hash of what they hold, as they were written "
                    "by an earlier version, or their columns have changed since: whether they were edited is "
                    "seen by the deep check only, until they are written again"
                )
            return found
        except CannotSum as error:
            self._notes.append(f"the target was read: {error}")
        marks = (
            [(mark.meta.key, mark.meta.fingerprint) for mark in page]
            for page in self._listing.marks(EVERYTHING)
        )
        return Tallies(_tallied(marks, cuts))

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


def _spans(cuts: Sequence[Key]) -> Iterator[Span]:
    """The spans between cuts, the first and the last open."""
    for after, upto in zip([None, *cuts], [*cuts, None], strict=True):
        yield Span(after, upto)


def _edits(target: Tallies) -> int:
    return sum(tally.edited for tally in target.spans)


def _unlike(ledger: Sums, source: Tally, target: Tally) -> tuple[bool, bool]:
    """Whether the source, and whether the target, does not add up to the ledger."""
    by_source = (ledger.rows, ledger.numbers) != (source.records, source.total) or ledger.unknown > 0
    by_target = ledger.sent != target.total or ledger.records not in (None, target.records)
    return by_source, by_target


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


def _tallied(pages: Iterable[Sequence[tuple[Key, int]]], cuts: Sequence[Key]) -> list[Tally]:
    counts, totals = [0] * (len(cuts) + 1), [0] * (len(cuts) + 1)
    for page in pages:
        for key, number in page:
            at = bisect_left(cuts, key)
            counts[at] += 1
            totals[at] += number
    return [Tally(count, wrap64(total)) for count, total in zip(counts, totals, strict=True)]
