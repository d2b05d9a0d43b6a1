"""Unfold: what the hints of taken entries yield, as keys of a batch and as what is looked for later.

A hint of the root is a key of the batch; one of a related table is expanded; a span yields its first keys and
the rest of itself, and so does a related row that more roots share than one span yields. What does not fit in
the batch is appended to the journal, addressed to this consumer, before the batch is settled: a crash between
the two doubles hints, which collapse. No batch appends more than twice `SPAN` keys, and all of them in one
append.
"""

from __future__ import annotations

import bisect
import contextlib
import heapq
import itertools
import logging
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from lockstep.declaration.shape import Node
from lockstep.engine.hints.batch import Batch, Positions, Work, collapse
from lockstep.engine.hints.expand import Expander
from lockstep.engine.points import passing
from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.ports import Journal, Reader
from lockstep.values import EVERYTHING, Entry, Hint, Key, Lane, Span, Trust, consumer_stream

log = logging.getLogger("lockstep")

SPAN = 50_000
"""Keys that a span yields at once."""

PACKED = 1_000
"""Keys in one packed hint."""


class LedgerKeys(Protocol):
    """What span hints need of the ledger: `state.ledger.Ledger` is one."""

    def keys(self, consumer: int, after: Key | None, upto: Key | None, limit: int) -> list[Key]: ...


class Unfolding:
    """Unfolds what one consumer takes. `limit`: the keys of a batch."""

    def __init__(
        self,
        consumer: int,
        root: Node,
        journal: Journal,
        ledger: LedgerKeys,
        reader: Reader,
        partitions: int,
        limit: int,
    ) -> None:
        self._consumer = consumer
        self._root = root
        self._journal = journal
        self._ledger = ledger
        self._reader = reader
        self._expander = Expander(root)
        self._partitions = partitions
        self._limit = limit

    def batch(self, lane: Lane, entries: Sequence[Entry]) -> Batch:
        works: dict[Key, Work] = {}
        positions: Positions = {}
        origin = entries[0].origin
        hints = 0
        related: list[Hint] = []
        shared: list[Hint] = []
        spans: list[tuple[Hint, int]] = []
        oldest: float | None = None
        for entry in entries:
            positions.setdefault((entry.stream, lane), {})[entry.partition] = entry.offset
            for hint in entry.hints:
                hints += len(hint.keys) or 1
                if hint.at and (oldest is None or hint.at < oldest):
                    oldest = hint.at
                if hint.span is not None and hint.span.walk == "roots":
                    shared.append(hint)
                    continue
                if hint.span is not None:
                    if hint.table in ("", self._root.table.name) or self._expander.concerns(hint.table):
                        spans.append((hint, entry.origin))
                    continue
                if hint.table == self._root.table.name or not hint.table:
                    collapse(works, hint.keys or (() if hint.key is None else (hint.key,)), hint)
                if self._expander.concerns(hint.table):
                    related.append(hint)
        for hint in self._expand(related, origin, works) if related else ():
            self._append((), [hint], origin, [msgspec.structs.replace(self._bare(hint), span=EVERYTHING)])
        if shared:  # an entry with spans is the last of a batch, so they are of one entry
            spans += [(hint, entries[-1].origin) for hint in self._walk(shared, entries[-1].origin)]
        for hint, born in spans:
            self._span(hint, born)
        return Batch(works, positions, lane, hints, oldest, origin)

    def _expand(self, related: list[Hint], origin: int, works: dict[Key, Work]) -> list[Hint]:
        """Puts the roots of related hints into the batch; beyond its limit, into the journal.

        A hint whose way to its roots cannot be read (one bad value on it is enough) comes back as a full
        span of the root: then every root is derived, and only those that cannot be are stuck.
        """
        try:
            self._climb(related, origin, works)
        except DataError as error:
            if len(related) == 1:
                return [_untraceable(related[0], error)]
            middle = len(related) // 2
            return [
                *self._expand(related[:middle], origin, works),
                *self._expand(related[middle:], origin, works),
            ]
        return []

    def _climb(self, related: list[Hint], origin: int, works: dict[Key, Work]) -> None:
        found: dict[Key, None] = {}
        with (
            self._reader.snapshot() as snapshot,
            contextlib.closing(self._expander.expand(snapshot, related)) as pages,
        ):
            for page in pages:
                found.update(dict.fromkeys(page))
                if len(found) > SPAN:  # they are looked for span by span, on the bulk lane
                    rest = [msgspec.structs.replace(hint, span=Span(walk="roots")) for hint in related]
                    self._append((), related, origin, rest)
                    return
        room = max(self._limit - len(works), 0)
        fresh = [key for key in found if key not in works]
        beyond = set(fresh[room:])
        collapse(works, [key for key in found if key not in beyond], _cause(related))
        if beyond:
            self._append(beyond, related, origin)

    def _walk(self, shared: list[Hint], origin: int) -> list[Hint]:
        """The next roots, in key order, of related rows that many roots share; and the rest, as a hint.

        Each step reads over all of them and keeps the first `SPAN` after where the last one ended: bounded,
        resumable, and it holds no snapshot between. A root that comes or goes meanwhile is hinted itself.
        """
        after = shared[0].span.after if shared[0].span else None
        kept: set[Key] = set()
        upto: Key | None = None
        try:
            with self._reader.snapshot() as snapshot:
                for page in self._expander.expand(snapshot, shared):
                    kept.update(
                        key
                        for key in page
                        if (after is None or key > after) and (upto is None or key <= upto)
                    )
                    if len(kept) >= 2 * SPAN:
                        kept = set(heapq.nsmallest(SPAN, kept))
                        upto = max(kept)
        except DataError as error:
            if len(shared) == 1:
                return [_untraceable(shared[0], error)]
            middle = len(shared) // 2
            for half in (shared[:middle], shared[middle:]):
                self._append((), shared, origin, half)
            return []
        found = sorted(kept)
        rest: list[Hint] = []
        if upto is not None or len(found) > SPAN:
            found = found[:SPAN]
            span = Span(after=found[-1], walk="roots")
            rest = [msgspec.structs.replace(hint, span=span) for hint in shared]
        if found:
            self._append(found, shared, origin, rest)
        return []

    def _span(self, hint: Hint, origin: int) -> None:
        """A span of the root: its first keys, and the rest of it, in one append.

        A span of a related table is the full span of the root: its rows can no longer lead anywhere.
        """
        span = hint.span if hint.table == self._root.table.name and hint.span else EVERYTHING
        found: Sequence[Key]
        rest: Span | None
        if span.walk == "ledger":
            found = self._ledger.keys(self._consumer, span.after, span.upto, SPAN)
            rest = Span(found[-1], span.upto, None, "ledger") if len(found) == SPAN else None
        else:
            with self._reader.snapshot() as snapshot:
                page = snapshot.keys(self._root.table, span, SPAN)
            found, rest = page.keys, page.rest
            if page.ordered:
                found, rest = self._with_orphans(found, span, rest)
            elif rest is None:
                rest = Span(span.after, span.upto, None, "ledger")
        ahead = [] if rest is None else [msgspec.structs.replace(self._bare(hint), span=rest)]
        self._append(found, [hint], origin, ahead)

    def _with_orphans(
        self, found: Sequence[Key], span: Span, rest: Span | None
    ) -> tuple[Sequence[Key], Span | None]:
        """A page of the source's keys together with what only the ledger has there, as many at most."""
        upto = found[-1] if rest is not None and found else span.upto
        known = self._ledger.keys(self._consumer, span.after, upto, SPAN)
        if len(known) == SPAN:
            upto = known[-1]
            found = found[: bisect.bisect_right(found, upto)]
            rest = None if upto == span.upto else Span(upto, span.upto)
        return sorted({*found, *known}), rest

    def _append(
        self, found: Iterable[Key], causes: Sequence[Hint], origin: int, rest: Sequence[Hint] = ()
    ) -> None:
        """Appends root keys, and what is still to be looked for, in one commit."""
        stream = consumer_stream(self._consumer)
        plain = self._bare(_cause(causes))
        entries: list[Entry] = []
        source = iter(found)
        while run := list(itertools.islice(source, self._limit)):  # neighbours come in one batch
            groups: dict[int, list[Key]] = {}
            for key in run:
                groups.setdefault(keys.partition_of(key, self._partitions), []).append(key)
            for partition, group in groups.items():
                for start in range(0, len(group), PACKED):
                    packed = msgspec.structs.replace(plain, keys=tuple(group[start : start + PACKED]))
                    entries.append(Entry(stream, Lane.BULK, partition, (packed,), origin))
        if rest:
            readable = tuple(msgspec.structs.replace(hint, token=None) for hint in rest)
            entries.append(Entry(stream, Lane.BULK, 0, readable, origin))
        if entries:
            self._journal.append(entries)
            passing("appended")

    def _bare(self, hint: Hint) -> Hint:
        """What is made from a taken hint: it is of the root, and can be read by now."""
        table = self._root.table.name
        return msgspec.structs.replace(
            hint, table=table, key=None, keys=(), span=None, before=None, after=None, token=None
        )


def _cause(hints: Sequence[Hint]) -> Hint:
    """The most suspicious of some hints."""
    return next((hint for hint in hints if hint.trust is Trust.TARGET), hints[0])


def _untraceable(hint: Hint, error: DataError) -> Hint:
    log.warning("a change of %s cannot be traced to its roots: %s", hint.table, error)
    return msgspec.structs.replace(hint, span=EVERYTHING)
