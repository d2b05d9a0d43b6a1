"""Another build takes the place of the one that a run works: a restored one, or one of the same code."""

from __future__ import annotations

import time
from functools import partial

from lockstep.engine.lease import Lease
from lockstep.mapping import Mapping
from lockstep.state.generations import Consumer
from lockstep.state.store import Store

_LOOK_EVERY = 2.0


class Replaced(Exception):
    """The build that a thread works is not the live one any more; `heir` follows the one that is."""

    def __init__(self, heir: Consumer) -> None:
        super().__init__(f"generation {heir.number} of {heir.target} is live")
        self.heir = heir


class Succession:
    """Looks, now and then, whether a mapping's live build is another one, which this run may work."""

    def __init__(self, mapping: Mapping, recipe: str, store: Store, lease: Lease) -> None:
        self._mapping = mapping
        self._recipe = recipe
        self._store = store
        self._lease = lease
        self._looks_at = 0.0

    def replaced(self, consumer: Consumer) -> bool:
        """Whether another build is live, whoever works it."""
        live = self._store.generations.consumer(self._mapping.name, self._mapping.target.name)
        return live is not None and live.generation != consumer.generation

    def look(self, consumer: Consumer) -> None:
        """Raises Replaced once it is: by the same code, and nobody else works it. Else what replaced it is
        another code's, and this build is kept as it is."""
        if time.monotonic() < self._looks_at:
            return
        self._looks_at = time.monotonic() + _LOOK_EVERY
        live = self._store.generations.consumer(self._mapping.name, self._mapping.target.name)
        if live is None or live.id == consumer.id or live.state == "retired":
            return
        if (live.version, live.recipe) != (self._mapping.version, self._recipe):
            return
        for build in self._store.builds.worked_beside():
            if build.id == live.generation:
                if self._store.build_lock.holder() is not None:
                    return
                self._lease.under(partial(self._store.builds.take_over, build=build))
        raise Replaced(live)
