"""Capture: a source's own log → hints in the journal, acknowledged once they are durable there."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from lockstep.engine.points import passing
from lockstep.engine.pulse import Pulse
from lockstep.engine.sources.kept import Kept
from lockstep.errors import LockstepError
from lockstep.forms import keys
from lockstep.ports import Capture, Feed, Journal, WakingFeed
from lockstep.values import PARTITIONS, Entry, FeedMark, Hint, Lane, Table, source_stream

_MARK_EVERY = 5.0
_LAG_EVERY = 5.0


class Capturer:
    """Follows one source. Never queries its tables, so it is never slower than its log.

    `on_append` is called after hints were made durable. `still_ours` raises LeaseLost when another run has
    taken over: its mark must not be set back. `alive`: the log answers.
    """

    def __init__(
        self,
        source: str,
        feed: Feed,
        tables: Sequence[Table],
        journal: Journal,
        on_append: Callable[[], None],
        still_ours: Callable[[], None],
    ) -> None:
        self._source = source
        self._feed = feed
        self._tables = tables
        self._journal = journal
        self._on_append = on_append
        self._still_ours = still_ours
        self.position: str | None = None
        self._landmark: str | None = None
        self.last_change: float | None = None
        self.alive = False
        self.pulse = Pulse()
        self._kept = Kept(source)
        self._seen: tuple[str | None, str | None] = (None, None)

    def prepare(self) -> Capture:
        """Installs capture, and finds out whether the log since the journal's mark is whole."""
        mark = self._journal.mark(self._source)
        capture = self._feed.prepare(self._tables, mark)
        self._landmark = mark.landmark if mark is not None and capture.hole is None else None
        return capture

    def begin(self, capture: Capture) -> None:
        """Records where following begins. What must be hinted because of `capture` is durable by now."""
        self._journal.append([], self._mark(capture, capture.position))
        self.position = capture.position

    def _mark(self, capture: Capture, position: str) -> FeedMark:
        return FeedMark(self._source, position, capture.identity, self._landmark)

    def follow(self, capture: Capture, stop: threading.Event) -> None:
        """Journals the log as it comes, until stopped. Raises Unreachable when the source goes away."""
        marked = time.monotonic()
        asked = 0.0
        for caught in self._feed.follow(capture.position):
            self.alive = True
            self.pulse.beat()
            passing("caught")
            self._still_ours()
            entries = self._entries(caught.hints)
            self._landmark = caught.landmark or self._landmark
            now = time.monotonic()
            if caught.position is None:
                self._journal.append(entries)
            elif entries or now - marked >= _MARK_EVERY or stop.is_set():
                self._journal.append(entries, self._mark(capture, caught.position))
                passing("journalled")
                self._feed.acknowledge(caught.position)
                passing("acknowledged")
                marked = now
            if caught.position is not None:
                self.position = caught.position
            if entries:
                self.pulse.progress()
                self.last_change = time.time()
                self._on_append()
            if stop.is_set():
                return
            if now - asked >= _LAG_EVERY:
                asked = now
                self.look()

    def reached(self) -> str:
        return self._feed.reached()

    def passed(self, goal: str) -> bool:
        """Whether everything up to a position of the source's log is in the journal."""
        return self.position is not None and self._feed.passed(self.position, goal)

    def look(self) -> None:
        """Looks at the source's end of its log. It gets on when our position does, or where there is nothing
        to get on to: a log that ends where we are, or where it ended at the last look."""
        try:
            lag = self._feed.lag()
        except LockstepError:  # only figures; following itself says what is wrong
            return
        self._kept.look(lag)
        end = lag.end
        before, self._seen = self._seen, (self.position, end)
        reached = end is not None and self.position is not None and self._feed.passed(self.position, end)
        if self.alive and (reached or self.position != before[0] or end == before[1]):
            self.pulse.progress()

    def gauges(self) -> dict[str, Any]:
        """What `status` shows of it."""
        return {
            "position": self.position,
            "end": self._seen[1],
            "last_change": self.last_change,
            **self.pulse.gauges(),
            **self._kept.gauges(),
        }

    def wake(self) -> None:
        """Lets following look now whether it is to stop."""
        if isinstance(self._feed, WakingFeed):
            self._feed.wake()

    def close(self) -> None:
        self._feed.close()

    def _entries(self, hints: Sequence[Hint]) -> list[Entry]:
        groups: dict[int, list[Hint]] = {}
        for hint in hints:
            partition = 0 if hint.key is None else keys.partition_of(hint.key, PARTITIONS)
            groups.setdefault(partition, []).append(hint)
        stream = source_stream(self._source)
        return [Entry(stream, Lane.LIVE, partition, tuple(group)) for partition, group in groups.items()]
