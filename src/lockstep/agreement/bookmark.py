"""Where a deep check is, kept in the state store: another process goes on there if this one is killed.

What is kept is of whole pages: keys that were looked at and settled. Of what differed the keys alone are
kept, for they are looked at again when it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from uuid import uuid4

import msgspec
from msgspec import Struct

from lockstep.agreement.met import Met
from lockstep.state.checks import Checks
from lockstep.values import EVERYTHING, Key, Span

EVERY = 1.0
"""Seconds after which it is kept again: as much is derived twice at most after a kill."""

_FORMAT = "1"
_AT_ONCE = 5_000


class Reached(Struct, frozen=True):
    """How far a deep check has come over the keys of the source.

    position           of the source's log when it began
    cuts, met          what the pass met, span by span: see `met.together`
    rest               where the walk goes on; None: it is at its end
    keys, compared     source keys derived, and records compared
    settled, behind    see `Report`
    resumed_at         when it went on after its last interruption
    """

    started_at: float
    position: str | None
    cuts: tuple[Key, ...]
    met: tuple[Met, ...]
    rest: Span | None = EVERYTHING
    keys: int = 0
    compared: int = 0
    settled: int = 0
    behind: int = 0
    resumed_at: float | None = None


class Bookmark:
    """Of one check of a consumer. `basis`: what it must find as it was to go on, name by name."""

    def __init__(self, checks: Checks, consumer: int, basis: dict[str, str]) -> None:
        self._checks = checks
        self._consumer = consumer
        self._basis = {**basis, "Lockstep": _FORMAT}
        self._owner = uuid4().hex
        self._mine = False
        self._lost = False
        self._open: set[Key] = set()
        self._next = time.monotonic() + EVERY

    @property
    def kept(self) -> bool:
        """Whether there is a place of ours at which another check could go on."""
        return self._mine and not self._lost

    def resume(self, doubted: Collection[Key]) -> Reached | str:
        """Where an earlier check was interrupted, which is ours from now on; or why there is no such place.

        `doubted`: keys that are to be looked at again beside those that differed then.
        """
        found = self._checks.find(self._consumer)
        if found is None:
            return "no deep check of it was interrupted"
        basis = msgspec.json.decode(found.basis, type=dict[str, str])
        changed = sorted(name for name, value in self._basis.items() if basis.get(name) != value)
        if changed:
            return f"another {' and '.join(changed)} than when it was interrupted"
        reached = msgspec.msgpack.decode(found.body, type=Reached)
        self._mine = self._checks.take(self._consumer, found.owner, self._owner, doubted)
        if not self._mine:
            return "another check goes on there"
        return msgspec.structs.replace(reached, resumed_at=time.time())

    def differing(self) -> Iterator[list[Key]]:
        """The keys that are to be looked at again, in pages."""
        after: Key | None = None
        while page := self._checks.keys(self._consumer, after, _AT_ONCE):
            yield page
            after = page[-1]

    def reach(self, reached: Reached, differing: Collection[Key]) -> None:
        """Notes how far it is, and the keys looked at since the last time on which the sides differ."""
        self._open.update(differing)
        if time.monotonic() >= self._next:
            self.keep(reached)

    def keep(self, reached: Reached, settled: Sequence[Key] = ()) -> None:
        """Makes it durable. `settled`: keys that differed before and do not now."""
        if self._lost:
            return
        body = msgspec.msgpack.encode(reached)
        if self._mine:
            self._lost = not self._checks.keep(self._consumer, self._owner, body, self._open, settled)
        else:
            basis = msgspec.json.encode(self._basis).decode()
            self._checks.begin(self._consumer, self._owner, basis, body, self._open)
            self._mine = True
        self._open = set()
        self._next = time.monotonic() + EVERY
