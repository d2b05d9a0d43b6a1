"""The fast check: each side against the ledger, by sums that each system makes by itself.

The ledger ties the sides: it has, of every source key, the number that the key's rows added up to when it was
derived, and the fingerprint of what was sent. So per span of source keys, the numbers of the source must add
up to the ledger's, and the fingerprints that the target's records carry to what was sent. Spans that do not
are listed key by key, and keys that do not agree are suspects: see `suspects`. A sum that was taken a moment
before another costs reading, never truth.

It trusts that a target's record is what its fingerprint says, where the target cannot tell by itself (a SQL
table can); the deep check does not.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from lockstep import keys
from lockstep.agreement.barrier import Barrier
from lockstep.agreement.branches import branch
from lockstep.agreement.report import Divergence, Findings, Progress, Report
from lockstep.agreement.suspects import Intended, Rows, Settler
from lockstep.canonical import wrap64
from lockstep.engine.decide import owned
from lockstep.engine.derive import Deriver
from lockstep.errors import CannotSum
from lockstep.guard.door import Door
from lockstep.mapping import Mapping as Declared
from lockstep.ports import Reader, SummingSnapshot
from lockstep.state.spans import LedgerSpans, Sums
from lockstep.values import EVERYTHING, Key, Mark, Span, Tally

SPAN = 1_000
"""Keys in a span."""

SPANS = 1_000
"""Spans at most; with more keys they are wider."""

LISTED = 50_000
"""Keys that are listed together, about: what a listing has in memory."""

READ = 20_000
"""Up to so many keys are read by key where they differ; more are listed by the source's own sums."""

_PAGE = 5_000
_STRANGERS = 1_000


class Scope(NamedTuple):
    """What a check looks at, and where it puts what it finds. `sharing`: the other mappings of the target."""

    mapping: Declared
    reader: Reader
    door: Door
    ledger: LedgerSpans
    rows: Rows
    intended: Intended
    sharing: Sequence[str]
    barrier: Barrier
    findings: Findings

    def settler(self, deriver: Deriver) -> Settler:
        """Who settles its suspects."""
        return Settler(
            self.mapping,
            deriver,
            self.door,
            self.rows,
            self.intended,
            self.barrier,
            self.findings,
            self.sharing,
        )


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
        self._settler = scope.settler(self._deriver)
        self._notes: list[str] = []

    def run(self) -> Report:
        started = time.time()
        cuts = [cut for cut in self._scope.ledger.cuts(SPAN, SPANS) if keys.readable(cut)]
        self._progress("sums", 0, len(cuts) + 1)
        with ThreadPoolExecutor(2, thread_name_prefix="lockstep-sums") as pool:
            sources, targets = pool.submit(self._source, cuts), pool.submit(self._target, cuts)
            ledger = [self._scope.ledger.sums(span) for span in _spans(cuts)]
            source, target = sources.result(), targets.result()
        spans = list(_spans(cuts))
        unlike = [_unlike(*three) for three in zip(ledger, source, target, strict=True)]
        differing = [n for n, (by_source, by_target) in enumerate(unlike) if by_source or by_target]
        for done, some in enumerate(_gathered(differing, ledger)):
            span = Span(spans[some[0]].after, spans[some[-1]].upto)
            known = sum(ledger[n].rows for n in some)
            self._list(span, known, any(unlike[n][0] for n in some), any(unlike[n][1] for n in some))
            self._progress("spans", done, len(differing))
        self._strangers()
        records = sum(tally.records for tally in target)
        return self._findings.report(
            self._mapping.name,
            "fast",
            started,
            sum(tally.records for tally in source),
            records,
            records,
            spans=len(spans),
            differing=len(differing),
            notes=tuple(sorted(self._notes)),
        )

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
        return _tallied(self._numbers_read(EVERYTHING), cuts)

    def _target(self, cuts: Sequence[Key]) -> list[Tally]:
        try:
            found = self._scope.door.sums(self._mapping.name, cuts)
            if unproved := sum(tally.unproved for tally in found):
                self._notes.append(
                    f"{unproved} records of the target carry no hash of what they hold, as they were written "
                    "by an earlier version, or their columns have changed since: whether they were edited is "
                    "seen by the deep check only, until they are written again"
                )
            return found
        except CannotSum as error:
            self._notes.append(f"the target was read: {error}")
        marks = (
            [(mark.meta.key, mark.meta.fingerprint) for mark in page] for page in self._marks(EVERYTHING)
        )
        return _tallied(marks, cuts)

    def _numbers_read(self, span: Span) -> Iterator[list[tuple[Key, int]]]:
        """The number of every root in a span, by reading its rows."""
        left: Span | None = span
        while left is not None:
            with self._scope.reader.snapshot() as snapshot:
                page = snapshot.keys(self._mapping.root.table, left, _PAGE)
            yield [(key, number) for key, number in self._deriver.numbers(page.keys).items()]
            left = page.rest

    def _marks_read(self, span: Span) -> Iterator[list[Mark]]:
        """What records say of themselves, by reading all of the target."""
        after: Key | None = None
        while True:
            page = self._scope.door.scan(after, _PAGE)
            yield [
                Mark(held.key, held.meta)
                for held in page
                if held.meta is not None
                and held.meta.mapping == self._mapping.name
                and _in(span, held.meta.key)
            ]
            if len(page) < _PAGE:
                return
            after = page[-1].key

    # Spans that differ

    def _list(self, span: Span, known: int, by_source: bool, by_target: bool) -> None:
        """Finds the keys of a span on which a side does not say what the ledger says."""
        rows = {row.key: row for page in self._scope.ledger.rows(span, _PAGE) for row in page}
        for key in [key for key in rows if not keys.readable(key)]:
            del rows[key]
            reason = "a row of the ledger has a key that is none: it was damaged"
            self._findings.add(Divergence("ledger", keys.text(key), None, reason=reason))
        suspects: dict[Key, set[Key]] = {key: set() for key, row in rows.items() if row.void}
        if by_source:
            missing = set(rows)
            for numbers in self._numbers(span, known):
                for key, number in numbers:
                    row = rows.get(key)
                    missing.discard(key)
                    if row is None or row.sum != number:
                        suspects.setdefault(key, set())
            suspects |= {key: suspects.get(key, set()) for key in missing}
        if by_target:
            default = self._mapping.default_key
            sent = {
                (key, item.key): item.sent
                for key, row in rows.items()
                for item in owned(row, default).values()
            }
            for marks in self._marks(span):
                for mark in marks:
                    if sent.pop((mark.meta.key, mark.key), None) != mark.meta.fingerprint:
                        suspects.setdefault(mark.meta.key, set()).add(mark.key)
            for key, _ in sent:
                suspects.setdefault(key, set())
        self._settler.settle(suspects)

    def _numbers(self, span: Span, known: int) -> Iterator[list[tuple[Key, int]]]:
        if known > READ:
            with self._scope.reader.snapshot() as snapshot:
                if isinstance(snapshot, SummingSnapshot):
                    try:
                        yield from snapshot.numbers(self._root, span)
                    except CannotSum:
                        pass
                    else:
                        return
        yield from self._numbers_read(span)

    def _marks(self, span: Span) -> Iterator[list[Mark]]:
        try:
            yield from self._scope.door.marks(self._mapping.name, span)
        except CannotSum:
            yield from self._marks_read(span)

    def _strangers(self) -> None:
        """Records that no mapping of this target wrote."""
        known = [self._mapping.name, *self._scope.sharing]
        try:
            count, some = self._scope.door.strangers(known, _STRANGERS)
        except CannotSum:
            count, some = self._strangers_read(set(known))
        self._findings.strangers(count, some)

    def _strangers_read(self, known: set[str]) -> tuple[int, list[Key]]:
        count, after = 0, None
        some: list[Key] = []
        while True:
            page = self._scope.door.scan(after, _PAGE)
            for held in page:
                if held.meta is None or held.meta.mapping not in known:
                    count += 1
                    if len(some) < _STRANGERS:
                        some.append(held.key)
            if len(page) < _PAGE:
                return count, some
            after = page[-1].key

    def _progress(self, stage: str, done: int, total: int) -> None:
        if self._on_progress is not None:
            self._on_progress(Progress(stage, done, total))


def _spans(cuts: Sequence[Key]) -> Iterator[Span]:
    """The spans between cuts, the first and the last open."""
    for after, upto in zip([None, *cuts], [*cuts, None], strict=True):
        yield Span(after, upto)


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


def _in(span: Span, key: Key) -> bool:
    return (span.after is None or key > span.after) and (span.upto is None or key <= span.upto)
