"""The log of hints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from lockstep.values import Entry, FeedMark, Lane, Stream


@runtime_checkable
class Journal(Protocol):
    """The durable, partitioned, ordered log of hints. Appended is durable.

    A *stream* is what a source's capture appends (read by every consumer of that source), or what is
    addressed to one consumer. A reader of several streams merges them by offset.
    """

    @property
    def identity(self) -> str:
        """Another journal has another identity: a restored or emptied one is another."""
        ...

    def append(self, entries: Sequence[Entry], mark: FeedMark | None = None) -> None:
        """Appends, and records how far a source's log has come, in one commit."""
        ...

    def read(self, stream: Stream, lane: Lane, after: Mapping[int, int], limit: int) -> list[Entry]:
        """The next entries of a stream's lane after an offset per partition, oldest first.

        Returns at least one when there is one, and no more once they hold `limit` hints.
        """
        ...

    def mark(self, source: str) -> FeedMark | None: ...

    def end(self) -> int:
        """No entry has a greater offset now."""
        ...

    def waiting(self, stream: Stream, lane: Lane, after: int, origin: int | None = None) -> int:
        """How many hints lie after an offset; with `origin`, of those that stem from up to it."""
        ...

    def trim(self, stream: Stream, lane: Lane, upto: int, before: float) -> int:
        """Forgets a lane's entries up to an offset that are older than a time; how many."""
        ...
