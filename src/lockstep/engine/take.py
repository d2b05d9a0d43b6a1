"""Take: journal entries → a batch of root keys to derive.

A hint is takeable once its transaction is visible to new snapshots. A hint of the root is a key of the
batch; one of a related table is expanded; a span yields its first keys and the rest of itself. What does
not fit in the batch is appended to the journal, addressed to this consumer, before the batch is settled:
a crash between the two doubles hints, which collapse.
"""

from __future__ import annotations

import heapq
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec
from msgspec import Struct

from lockstep import keys
from lockstep.engine.expand import Expander
from lockstep.errors import DataError
from lockstep.ports import Journal, Reader
from lockstep.shape import Node
from lockstep.values import (
    EVERYTHING,
    Entry,
    Hint,
    Key,
    Lane,
    Span,
    Stream,
    Trust,
    consumer_stream,
    source_stream,
)

log = logging.getLogger("lockstep")

SPAN = 50_000
"""Keys that a span yields at once."""

PACKED = 1_000
"""Keys in one packed hint."""

Positions = dict[tuple[Stream, Lane], dict[int, int]]


class Work(Struct, frozen=True):
    """Why a key is derived: the most suspicious of its hints."""

    trust: Trust
    reason: str
    position: str | None
    at: float


class Batch(Struct, frozen=True):
    """Root keys to derive, and the positions that are settled once they are."""

    works: Mapping[Key, Work]
    positions: Positions
    lane: Lane
    hints: int
    oldest: float | None
    origin: int = 0


class LedgerKeys(Protocol):
    """What span hints need of the ledger: `state.ledger.Ledger` is one."""

    def keys(self, consumer: int, after: Key | None, upto: Key | None, limit: int) -> list[Key]: ...


class Taker:
    """Takes batches for one consumer, in order, each once."""

    def __init__(
        self,
        consumer: int,
        source: str,
        root: Node,
        journal: Journal,
        ledger: LedgerKeys,
        reader: Reader,
        positions: Mapping[tuple[Stream, Lane], Mapping[int, int]],
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
        self._streams = (source_stream(source), consumer_stream(consumer))
        # Whatever partition the newest settled offset lies in, nothing before it is left: see `settled`.
        self._settled: Positions = {
            place: dict.fromkeys(range(partitions), max(positions.get(place, {}).values(), default=0))
            for place in itertools.product(self._streams, Lane)
        }
        self._turn = 0
        self._open: Batch | None = None
        self._seen: set[str] = set()
        self.waits_for: str | None = None

    def take(self) -> Batch | None:
        """The next batch, None when nothing is takeable; `waits_for` then says why, if hints wait.

        Until it is settled with `settled`, the same batch comes again: what was expanded from its hints is
        in the journal already.
        """
        self.waits_for = None
        if self._open is not None:
            return self._open
        self._turn += 1
        lanes = (Lane.BULK, Lane.LIVE) if self._turn % 10 == 0 else (Lane.LIVE, Lane.BULK)
        for lane in lanes:
            entries = self._visible(self._next(lane))
            if entries:
                self._open = self._batch(lane, entries)
                return self._open
        return None

    def settled(self, batch: Batch) -> None:
        """The batch is settled: what comes next is after it.

        A stream's lane is read in the order of its offsets and settled batch by batch, so whatever
        partition an offset lies in, nothing before it is left.
        """
        for place, offsets in batch.positions.items():
            newest = max(offsets.values())
            self._settled[place] = dict.fromkeys(self._settled[place], newest)
        self._open = None

    def behind(self, lane: Lane, origin: int | None = None) -> int:
        """How many hints of a lane wait; with `origin`, of those that stem from offsets up to it."""
        return sum(
            self._journal.waiting(stream, lane, min(self._settled[stream, lane].values()), origin)
            for stream in self._streams
        )

    def positions(self) -> Positions:
        """Where every partition stands, those too that saw no hint of late."""
        return self._settled

    def _next(self, lane: Lane) -> list[Entry]:
        found = [
            self._journal.read(stream, lane, self._settled[stream, lane], self._limit)
            for stream in self._streams
        ]
        entries: list[Entry] = []
        hints = 0
        for entry in heapq.merge(*found, key=lambda entry: entry.offset):
            entries.append(entry)
            hints += sum(len(hint.keys) or 1 for hint in entry.hints)
            if hints >= self._limit or any(hint.span is not None for hint in entry.hints):
                break
        return entries

    def _visible(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The entries up to the first whose transaction cannot be read yet."""
        tokens = {hint.token for entry in entries for hint in entry.hints if hint.token is not None}
        unseen = tokens - self._seen
        if not unseen or self._check(unseen):
            self._seen = tokens
            return entries
        for at, entry in enumerate(entries):
            own = {hint.token for hint in entry.hints if hint.token is not None} - self._seen
            if own and not self._check(own):
                return entries[:at]
            self._seen |= own
        return entries

    def _check(self, tokens: set[str]) -> bool:
        waits_for = self._reader.visible(sorted(tokens))
        if waits_for is not None:
            self.waits_for = waits_for
        return waits_for is None

    def _batch(self, lane: Lane, entries: Sequence[Entry]) -> Batch:
        works: dict[Key, Work] = {}
        positions: Positions = {}
        origin = entries[0].origin
        hints = 0
        related: list[Hint] = []
        spans: list[tuple[Hint, int]] = []
        oldest: float | None = None
        for entry in entries:
            positions.setdefault((entry.stream, lane), {})[entry.partition] = entry.offset
            for hint in entry.hints:
                hints += len(hint.keys) or 1
                if hint.at and (oldest is None or hint.at < oldest):
                    oldest = hint.at
                if hint.span is not None:
                    if hint.table == self._root.table.name or self._expander.concerns(hint.table):
                        spans.append((hint, entry.origin))
                    continue
                if hint.table == self._root.table.name or not hint.table:
                    for key in hint.keys or (hint.key,):
                        if key is not None:
                            _collapse(works, key, hint)
                if self._expander.concerns(hint.table):
                    related.append(hint)
        if related:
            spans += [(hint, origin) for hint in self._expand(related, origin, works)]
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
                log.warning("a change of %s cannot be traced to its roots: %s", related[0].table, error)
                return [msgspec.structs.replace(related[0], span=EVERYTHING)]
            middle = len(related) // 2
            return [
                *self._expand(related[:middle], origin, works),
                *self._expand(related[middle:], origin, works),
            ]
        return []

    def _climb(self, related: list[Hint], origin: int, works: dict[Key, Work]) -> None:
        suspicious = [hint for hint in related if hint.trust is Trust.TARGET]
        cause = (suspicious or related)[0]
        with self._reader.snapshot() as snapshot:
            rest: set[Key] = set()
            for page in self._expander.expand(snapshot, related):
                for key in page:
                    if len(works) < self._limit or key in works:
                        _collapse(works, key, cause)
                    else:
                        rest.add(key)
                if len(rest) >= SPAN:
                    self._append(sorted(rest), cause, origin, None)
                    rest.clear()
            if rest:
                self._append(sorted(rest), cause, origin, None)

    def _span(self, hint: Hint, origin: int) -> None:
        """A span of the root: its first keys, and the rest of it, in one append.

        A span of a related table is the full span of the root: its rows can no longer lead anywhere.
        """
        span = hint.span if hint.table == self._root.table.name and hint.span else EVERYTHING
        if span.walk == "ledger":
            found = self._ledger.keys(self._consumer, span.after, span.upto, SPAN)
            rest = Span(found[-1], span.upto, None, "ledger") if len(found) == SPAN else None
            self._append(found, hint, origin, rest)
            return
        with self._reader.snapshot() as snapshot:
            page = snapshot.keys(self._root.table, span, SPAN)
        if not page.ordered:
            rest = page.rest or Span(span.after, span.upto, None, "ledger")
            self._append(page.keys, hint, origin, rest)
            return
        upto = page.keys[-1] if page.rest is not None and page.keys else span.upto
        orphans = self._ledger_keys(span.after, upto)
        self._append(_merge(page.keys, orphans), hint, origin, page.rest)

    def _ledger_keys(self, after: Key | None, upto: Key | None) -> Iterator[Key]:
        while True:
            found = self._ledger.keys(self._consumer, after, upto, SPAN)
            yield from found
            if len(found) < SPAN:
                return
            after = found[-1]

    def _append(
        self, found: Sequence[Key] | Iterator[Key], cause: Hint, origin: int, rest: Span | None
    ) -> None:
        stream = consumer_stream(self._consumer)
        table = self._root.table.name
        plain = msgspec.structs.replace(
            cause, table=table, key=None, keys=(), span=None, before=None, after=None, token=None
        )
        entries: list[Entry] = []
        source = iter(found)
        while chunk := list(itertools.islice(source, SPAN)):
            groups: dict[int, list[Key]] = {}
            for key in chunk:
                groups.setdefault(keys.partition_of(key, self._partitions), []).append(key)
            for partition, group in groups.items():
                for start in range(0, len(group), PACKED):
                    packed = msgspec.structs.replace(plain, keys=tuple(group[start : start + PACKED]))
                    entries.append(Entry(stream, Lane.BULK, partition, (packed,), origin))
            if len(entries) * PACKED > 4 * SPAN:
                self._journal.append(entries)
                entries = []
        if rest is not None:
            entries.append(Entry(stream, Lane.BULK, 0, (msgspec.structs.replace(plain, span=rest),), origin))
        if entries:
            self._journal.append(entries)


def _collapse(works: dict[Key, Work], key: Key, hint: Hint) -> None:
    known = works.get(key)
    if known is None:
        works[key] = Work(hint.trust, hint.reason, hint.position, hint.at)
    elif known.trust is Trust.LEDGER and hint.trust is Trust.TARGET:
        works[key] = Work(Trust.TARGET, known.reason, known.position, known.at)


def _merge(one: Sequence[Key], other: Iterator[Key]) -> Iterator[Key]:
    """Two ordered runs of keys as one, each key once."""
    last: Key | None = None
    for key in heapq.merge(one, other):
        if key != last:
            yield key
        last = key
