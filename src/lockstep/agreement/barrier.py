"""Waits until what is on its way has arrived: every change that the source has by now, worked to the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from lockstep.ports import Feed, Journal
from lockstep.state.generations import Consumer
from lockstep.state.positions import settled_to
from lockstep.values import Lane, Stream

PATIENCE = 30.0
_AGAIN = 0.1
"""Of the patience: how long is waited again for what could not be waited for, as for each page of a check."""

_POLL = 0.05

Barrier = Callable[[], str | None]
"""Returns None once nothing is on its way, or why that cannot be waited for, in words."""


class Standing(Protocol):
    """What a barrier asks of the state store."""

    @property
    def journal(self) -> Journal: ...

    def working(self) -> bool:
        """Whether a run is alive."""
        ...

    def followed(self, source: str) -> Sequence[str]:
        """Positions up to which a source's hints are in the journal, as far as anybody says."""
        ...

    def settled(self, consumer: int) -> dict[tuple[Stream, Lane], dict[int, int]]: ...

    def hold(self, consumer: int) -> int | None:
        """The guard's hold that keeps a mapping from being worked, by its number."""
        ...


def barrier(standing: Standing, feed: Feed, consumer: Consumer, patience: float = PATIENCE) -> Barrier:
    """The barrier of one consumer. Where no run is alive nothing is on its way, and it does not wait. Once it
    gave up it waits a tenth as long, until what was on its way did arrive."""
    left = patience

    def wait() -> str | None:
        nonlocal left
        why = waited(left)
        left = patience if why is None else patience * _AGAIN
        return why

    def waited(seconds: float) -> str | None:
        deadline = time.monotonic() + seconds
        goal = ""

        def whole() -> bool:
            """Whether the log reaches as far as it was followed. One that was taken out or put back does not:
            its end says nothing of what is on its way, until a run has found that and begun anew."""
            nonlocal goal
            known = standing.followed(consumer.source)  # before the log, which only grows
            goal = feed.reached()
            return not known or any(feed.passed(goal, one) for one in known)

        def until(done: Callable[[], bool]) -> bool:
            while not done():
                if time.monotonic() > deadline or not standing.working():
                    return False
                time.sleep(_POLL)
            return True

        def journalled() -> bool:
            return any(feed.passed(one, goal) for one in standing.followed(consumer.source))

        ends = whole()
        if not standing.working():
            return None
        if not (ends or until(whole)):
            what = "the source's log ends before what was followed of it, so it was taken out or put back"
            return _why(standing, what, seconds)
        if not until(journalled):
            return _why(standing, "the source's log is not followed to its end", seconds)
        end = standing.journal.end()
        if not until(lambda: not _waiting(standing, consumer, end)):
            number = standing.hold(consumer.id)
            held = "" if number is None else f", and the guard holds it (hold {number}, see `lockstep holds`)"
            return _why(standing, f"hints of this mapping wait to be worked{held}", seconds)
        return None

    return wait


def _waiting(standing: Standing, consumer: Consumer, end: int) -> int:
    """How many hints that were there at `end` are not settled."""
    settled = standing.settled(consumer.id)
    return sum(
        standing.journal.waiting(stream, lane, settled_to(settled, stream, lane), end)
        for stream in consumer.streams
        for lane in Lane
    )


def _why(standing: Standing, what: str, patience: float) -> str | None:
    return f"{what}, after {patience:.0f} seconds" if standing.working() else None
