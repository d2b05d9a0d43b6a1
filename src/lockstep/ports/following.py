"""Following a source's own log, as hints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol, runtime_checkable

from lockstep.errors import Refused
from lockstep.values import FeedMark, Hint, Table


class Caught(NamedTuple):
    """Hints of one stretch of a source's log. Once they are durable, `position` may be acknowledged.

    `position` is None inside a transaction too large for one stretch. `landmark`: see `FeedMark`; None where
    no change was read yet, or the feed keeps none.
    """

    hints: list[Hint]
    position: str | None
    landmark: str | None = None


class Capture(NamedTuple):
    """What `Feed.prepare` found: tables whose capture begins now, and whether the log has a hole.

    A full-span hint of each new table carries `token`, so it is not taken while a transaction that was
    open before capture began may still commit unseen. `hole` says in words why the log since the mark is
    not whole; then every table must be hinted, trusting only the target. `held` are tables that cannot be
    followed as they are now, with the reason: nobody may read them until a later `prepare` lets them go, and
    then they count as started. The others are followed. `moment` differs whenever the tables in `started`
    began once more since an earlier `prepare` that named the same ones.
    """

    identity: str
    started: tuple[str, ...]
    token: str | None
    position: str
    hole: str | None
    held: Mapping[str, Refused] = MappingProxyType({})
    moment: str = ""


class FeedLag(NamedTuple):
    """How far a feed is behind, in bytes or changes; None where unknown.

    retained  what the source keeps of its log because of us
    behind    what of its log lies after the acknowledged `position`
    room      how much more it keeps before it gives up on us; None: it never does
    held_by   who else keeps it from forgetting what we have acknowledged, in words
    end       where its log ends
    """

    retained: int | None
    unit: str
    position: str | None
    behind: int | None = None
    room: int | None = None
    held_by: str | None = None
    end: str | None = None


@runtime_checkable
class Feed(Protocol):
    """Follows a source's own log as hints. Only one at a time; it never queries the tables.

    Every way to change a row yields a hint of its key (old and new, where it changed) with its join
    columns before and after. TRUNCATE yields a full span. Hints come in log order; after a restart,
    everything after the last acknowledged position comes again.
    """

    def prepare(self, tables: Sequence[Table], mark: FeedMark | None) -> Capture:
        """Installs capture of these tables. Safe to repeat. `mark` is what the journal holds durably."""
        ...

    def follow(self, after: str) -> Iterator[Caught]:
        """Hints after a position, as they come. Yields an empty list at least every second."""
        ...

    def acknowledge(self, position: str) -> None:
        """Everything up to here is durable elsewhere: the source may forget it."""
        ...

    def reached(self) -> str:
        """The end of the source's log right now, as a position: before every change where there is no log."""
        ...

    def passed(self, position: str, goal: str) -> bool:
        """Whether following has come to `goal` once it has yielded `position`."""
        ...

    def lag(self) -> FeedLag: ...

    def close(self) -> None: ...


@runtime_checkable
class WakingFeed(Feed, Protocol):
    """A Feed that need not be waited for when a run ends."""

    def wake(self) -> None:
        """Lets `follow` yield now, whatever it waits for. Any thread may ask; one that does not follow
        forgets it."""
        ...
