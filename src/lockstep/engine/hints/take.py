"""Take: journal entries → a batch, in the order of the journal, each once.

A hint is takeable once its transaction is visible to new snapshots. What its hints yield: `unfold`.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Collection, Mapping, Sequence

from lockstep.declaration.shape import Node
from lockstep.engine.hints.batch import Batch, Positions
from lockstep.engine.hints.unfold import LedgerKeys, Unfolding
from lockstep.ports import Journal, Reader
from lockstep.state.positions import settled_to
from lockstep.values import Entry, Lane, Stream, consumer_stream, source_stream


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
        at_once: int | None,
    ) -> None:
        """`limit`: hints of a batch at most; `at_once`: keys that the target takes at once, where it is slow.
        Then a batch is no more than that: what is settled of a batch is known to be only once all of it is,
        and a run that is killed before would ask the target for the same keys again."""
        self._journal = journal
        self._reader = reader
        self._limit = min(limit, at_once or limit)
        most = min(limit, self._limit * partitions)  # neighbours, of which each partition has a batch
        self._unfolding = Unfolding(consumer, root, journal, ledger, reader, partitions, most)
        self._streams = (source_stream(source), consumer_stream(consumer))
        self._settled: Positions = {
            place: dict.fromkeys(range(partitions), settled_to(positions, *place))
            for place in itertools.product(self._streams, Lane)
        }
        self._taken: Positions = {place: dict(offsets) for place, offsets in self._settled.items()}
        self._turn = 0
        self._open: deque[Batch] = deque()
        self._again: deque[Batch] = deque()
        self._seen: set[str] = set()
        self.waits_for: str | None = None

    def take(self, lanes: Collection[Lane] = tuple(Lane)) -> Batch | None:
        """The next batch of some lanes, None when nothing is takeable; `waits_for` then says why, if hints
        wait.

        More may be taken before the first is settled. A span is not, as what it finds in the ledger must be
        all of it: it comes when everything taken is settled.
        """
        self.waits_for = None
        if self._again:
            if self._again[0].lane not in lanes:
                return None
            self._open.append(self._again.popleft())
            return self._open[-1]
        self._turn += 1
        first = (Lane.BULK, Lane.LIVE) if self._turn % 10 == 0 else (Lane.LIVE, Lane.BULK)
        for lane in first:
            entries = self._visible(self._next(lane)) if lane in lanes else ()
            if self._open and entries and _has_span(entries[-1]):
                entries = entries[:-1]
                if not entries and lane is first[0]:
                    self._turn -= 1  # its turn comes again, when nothing is open
                    return None
            if entries:
                self._open.append(self._unfolding.batch(lane, entries))
                for place, offsets in self._open[-1].positions.items():
                    self._taken[place] = dict.fromkeys(self._taken[place], max(offsets.values()))
                return self._open[-1]
        return None

    def settled(self, batch: Batch) -> None:
        """The batch, which is the oldest that was taken, is settled: what comes after a start is after it.

        A stream's lane is read in the order of its offsets and settled batch by batch, so whatever
        partition an offset lies in, nothing before it is left.
        """
        assert batch is self._open[0]
        self._open.popleft()
        for place, offsets in batch.positions.items():
            newest = max(offsets.values())
            self._settled[place] = dict.fromkeys(self._settled[place], newest)

    def postpone(self) -> None:
        """The batch taken last is not worked now: it comes again, before everything else."""
        self._again.appendleft(self._open.pop())

    def rewind(self) -> None:
        """Nothing taken was settled: the same batches come again, as what was expanded from their hints is in
        the journal already."""
        self._again.extendleft(reversed(self._open))
        self._open.clear()

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
            self._journal.read(stream, lane, self._taken[stream, lane], self._limit)
            for stream in self._streams
        ]
        entries: list[Entry] = []
        hints = 0
        for entry in heapq.merge(*found, key=lambda entry: entry.offset):
            entries.append(entry)
            hints += sum(len(hint.keys) or 1 for hint in entry.hints)
            if hints >= self._limit or _has_span(entry):
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


def _has_span(entry: Entry) -> bool:
    return any(hint.span is not None for hint in entry.hints)
