"""Opens the door to a generation of a target, with the notes that its writer keeps, where it keeps some."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from lockstep.engine.lease import Lease
from lockstep.errors import Refused
from lockstep.guard.door import Door
from lockstep.guard.policies import POLICIES
from lockstep.guard.policy import Policy
from lockstep.limits import Guard
from lockstep.ports import Target
from lockstep.ports.notes import Amendment, Note, NotingTarget
from lockstep.state.store import Store
from lockstep.values import Key


def door_to(
    target: Target,
    number: int,
    store: Store | None,
    lease: Lease | None = None,
    guard: Guard | None = None,
    policies: Sequence[Policy] = POLICIES,
) -> Door:
    """The guarded door to one generation. Without a lease it only looks: it can note nothing; without a
    `store` nothing was ever noted."""
    if store is not None and isinstance(target, NotingTarget):
        target = target.noting(StoredNotes(target.name, number, store, lease))
    return Door(target.open(number), guard, policies)


class StoredNotes:
    """The notes on one generation, in the state store, written under the newest epoch."""

    def __init__(self, target: str, number: int, store: Store, lease: Lease | None) -> None:
        self._target, self._number = target, number
        self._notes, self._lease = store.notes, lease

    def read(self, kind: str, keys: Sequence[Key]) -> dict[Key, bytes]:
        return self._notes.read(self._target, self._number, kind, keys)

    def scan(self, kind: str, after: Key | None, limit: int) -> list[tuple[Key, bytes]]:
        return self._notes.scan(self._target, self._number, kind, after, limit)

    def write(self, notes: Sequence[Note], amended: Sequence[Amendment] = ()) -> None:
        if self._lease is None:
            raise Refused(
                f"{self._target} was opened to be looked at: nothing is noted of it",
                "Only `lockstep run` writes to it.",
            )
        write = partial(self._notes.write, target=self._target, number=self._number)
        self._lease.under(partial(write, notes=notes, amended=amended))
