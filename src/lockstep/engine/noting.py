"""Noting: what the timeline is told of faults: once when one begins, once when it is over, never each try."""

from __future__ import annotations

import time

from lockstep.errors import LockstepError
from lockstep.state.events import Events, Kind
from lockstep.state.store import Store

QUIET = 10.0
"""Seconds for which all must be well before a fault is over: one that comes and goes is one fault."""

STUCK_EVERY = 60.0
"""Seconds between two events that more or fewer keys are stuck."""


class Fault:
    """A time in which something does not get on. `begins`, `ends`: the kinds of the two events."""

    def __init__(self, events: Events, begins: Kind, ends: Kind, subject: str, quiet: float) -> None:
        self._events = events
        self._begins = begins
        self._ends = ends
        self._subject = subject
        self._quiet = quiet
        self._since: float | None = None
        self._well: tuple[float, float] | None = None
        self._times = 0

    def ill(self, reason: str) -> None:
        """It does not get on, still or again. Only the first reason is noted."""
        if self._since is None:
            self._since, self._times = time.monotonic(), 1
            self._events.soon(self._begins, self._subject, reason)
        elif self._well is not None:
            self._times += 1
        self._well = None

    def well(self) -> None:
        """It gets on."""
        if self._since is None:
            return
        if self._well is None:
            self._well = (time.monotonic(), time.time())
        if time.monotonic() - self._well[0] >= self._quiet:
            self.close()

    def close(self) -> None:
        """Nobody will say any more how it is."""
        if self._since is None or self._well is None:
            return
        again = f"; it came and went {self._times:,} times" if self._times > 1 else ""
        numbers = {"seconds": round(self._well[0] - self._since, 1), "times": self._times}
        self._events.soon(self._ends, self._subject, f"goes on{again}", numbers=numbers, at=self._well[1])
        self._since = None


class StuckNumber:
    """How many keys of a mapping are stuck: said when the first is, when none is any more, and else at most
    once a minute. `stuck`: how many were at the start."""

    def __init__(self, events: Events, subject: str, stuck: int) -> None:
        self._events = events
        self._subject = subject
        self._said = self.known = stuck
        self._said_at = 0.0

    def now(self, stuck: int, *, last: bool = False) -> None:
        """So many are stuck now. `last`: nobody will say any more how many are."""
        self.known = stuck
        often = bool(stuck) == bool(self._said) and time.monotonic() - self._said_at < STUCK_EVERY
        if stuck == self._said or (often and not last):
            return
        more = stuck - self._said
        changed = f"{abs(more):,} {'more' if more > 0 else 'fewer'} than before"
        text = f"{stuck:,} {'key is' if stuck == 1 else 'keys are'} stuck, {changed}"
        if not stuck:
            text = f"no key is stuck any more, {self._said:,} were"
        self._events.soon(Kind.STUCK, self._subject, text, numbers={"stuck": stuck, "before": self._said})
        self._said, self._said_at = stuck, time.monotonic()


class MappingNotes:
    """What is told of one mapping. `beside`: the number of the build it fills beside the live one, which is
    not the one that is searched."""

    def __init__(self, store: Store, mapping: str, beside: int | None) -> None:
        self._store = store
        self._mapping = mapping
        self._beside = "" if beside is None else f"build {beside}, beside the live one: "
        over = (Kind.MAPPING_GOES_ON, mapping)
        self._waits = Fault(store.events, Kind.MAPPING_WAITS, *over, QUIET)
        self._rests = Fault(store.events, Kind.MAPPING_HELD, *over, 0.0)
        self._stuck = StuckNumber(store.events, mapping, 0)
        self._failed = False

    def stopped(self, error: LockstepError) -> None:
        """It cannot go on by itself."""
        self._store.events.soon(Kind.MAPPING_STOPPED, self._mapping, f"{self._beside}{error}")

    def held(self, why: LockstepError | None) -> None:
        """A table that it reads cannot be followed as it is; or, with None, is."""
        if why is not None:
            self._rests.ill(f"{self._beside}{why}")
        else:
            self._rests.well()

    def waits(self, error: LockstepError) -> None:
        """A system does not answer, still or again."""
        self._waits.ill(f"{self._beside}{error}")

    def well(self) -> None:
        """It answers."""
        self._waits.well()

    def failed(self, keys: int) -> None:
        """So many keys failed just now: it is worth counting how many are stuck."""
        self._failed = self._failed or keys > 0

    def count_first(self, consumer: int) -> int:
        """How many keys are stuck before it is worked."""
        stuck = self._store.stuck.count(consumer)
        self._stuck = StuckNumber(self._store.events, self._mapping, stuck)
        return stuck

    def count_stuck(self, consumer: int, *, last: bool = False) -> None:
        """Says how many keys are stuck, where that may have changed."""
        if self._failed or self._stuck.known:
            self._failed = False
            self._stuck.now(self._store.stuck.count(consumer), last=last)

    def close(self) -> None:
        """Nobody will say any more how it is."""
        self._waits.close()
