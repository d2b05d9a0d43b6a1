"""Another build takes the place of the one that a run works: a restored one, or one of the same code."""

from __future__ import annotations

import contextlib
import time
from functools import partial

from lockstep.declaration.mapping import Mapping
from lockstep.engine.lease import Lease
from lockstep.engine.writing.opening import door_to
from lockstep.errors import StateInUse, StateUnreachable, SystemError_
from lockstep.ports import Generational
from lockstep.state.generations import Consumer
from lockstep.state.store import Store

_LOOK_EVERY = 2.0


class Replaced(Exception):
    """The build that a thread works is not the live one any more; `heir` follows the one that is."""

    def __init__(self, heir: Consumer) -> None:
        super().__init__(f"generation {heir.number} of {heir.target} is live")
        self.heir = heir


def take_over(store: Store, lease: Lease, generation: int | None = None) -> None:
    """Takes over the live builds that a process beside the run has filled, or this one. Raises StateInUse
    while that process goes on."""
    for build in store.builds.worked_beside():
        if generation is not None and build.id != generation:
            continue
        if holder := store.at_work(build):
            raise StateInUse(
                f"{build.target} (generation {build.number}) is followed by {holder}, which deployed it",
                "That process does what a run does. To go on with a run, end it first.",
            )
        lease.under(partial(store.builds.take_over, build=build))


class Stays:
    """A live build that is worked beside the run: a person is asked where it is lost, and it has no heir."""

    def __init__(self, mapping: Mapping, store: Store) -> None:
        self._mapping = mapping
        self._store = store

    def replaced(self, consumer: Consumer) -> bool:
        """Whether another build is live, whoever works it; as far as the state store answers."""
        with contextlib.suppress(StateUnreachable):
            live = self._store.generations.consumer(self._mapping.name, self._mapping.target.name)
            return live is not None and live.generation != consumer.generation
        return False

    def restoring(self, consumer: Consumer) -> bool:
        """Whether a restore that goes on has put what it fills in the place of this build, where the target
        has no other. What cannot be told is asked later."""
        target, store = self._mapping.target, self._store
        if isinstance(target, Generational):
            return False
        try:
            filled = {build.marker for build in store.builds.of(target.name, "building")}
            if not filled or store.build_lock.holder() is None:
                return False
            with contextlib.closing(door_to(target, consumer.number, store)) as door:
                found = door.identity()
        except (StateUnreachable, SystemError_):
            return True
        return found is not None and found.marker in filled

    def look(self, consumer: Consumer) -> None:
        """Nothing takes its place here."""


class Succession(Stays):
    """Looks, now and then, whether a mapping's live build is another one, which this run may work."""

    def __init__(self, mapping: Mapping, recipe: str, store: Store, lease: Lease) -> None:
        super().__init__(mapping, store)
        self._recipe = recipe
        self._lease = lease
        self._looks_at = 0.0

    def look(self, consumer: Consumer) -> None:
        """Raises Replaced once it is: by the same code, and nobody else works it. Else what replaced it is
        another code's, and this build is kept as it is. A state store that does not answer is asked later."""
        if time.monotonic() < self._looks_at:
            return
        self._looks_at = time.monotonic() + _LOOK_EVERY
        with contextlib.suppress(StateUnreachable):
            self._find(consumer)

    def _find(self, consumer: Consumer) -> None:
        live = self._store.generations.consumer(self._mapping.name, self._mapping.target.name)
        if live is None or live.id == consumer.id or live.state == "retired":
            return
        if (live.version, live.recipe) != (self._mapping.version, self._recipe):
            return
        with contextlib.suppress(StateInUse):
            take_over(self._store, self._lease, live.generation)
            raise Replaced(live)
