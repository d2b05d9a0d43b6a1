"""Watches whether a target is the one that the ledger speaks of, and whether somebody emptied it."""

from __future__ import annotations

import time

from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.errors import Refused, TargetReplaced
from lockstep.guard.door import Door
from lockstep.mapping import Mapping
from lockstep.ports import ADOPTING, Generational
from lockstep.state.events import Kind
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Contents, Identity

COUNT_EVERY = 30.0
_COUNT_SHARE = 0.01
"""Counting a target may cost it work, so a count that takes long comes seldom: at most this share of time."""


class TargetWatch:
    """The target of one consumer. All but the constructor raise TargetReplaced when it is not what it was."""

    def __init__(self, mapping: Mapping, consumer: Consumer, store: Store, lease: Lease) -> None:
        self._mapping = mapping
        self._consumer = consumer
        self._store = store
        self._lease = lease
        self._records = 0
        self._applied = 0
        self.counts_at = 0.0

    def open(self, door: Door) -> Consumer:
        """Finds the target as the state store knows it, or makes it the first time; the consumer, as it is
        known from then on."""
        known, marker = self._consumer.identity, self._consumer.marker
        found = door.identity()
        if found is None and known is None:
            found = door.create(marker)
            passing("created")
        if found is None:
            raise self._lost(
                Kind.TARGET_GONE,
                f"{self._mapping.target.name} (generation {self._consumer.number}) is gone",
                f"Bring it back, or build it anew: `lockstep backfill {self._mapping.name} --rebuild`.",
            )
        if found.marker == ADOPTING + marker:
            raise Refused(
                f"{self._mapping.target.name} is half taken over: `lockstep adopt` was broken off",
                f"Run `lockstep adopt {self._mapping.name}` again, which goes on. Nothing is written.",
            )
        if found.marker != marker:
            raise self._lost(
                Kind.TARGET_REPLACED,
                f"{self._mapping.target.name} is there, but this state store did not make it",
                "Use another name for the target, remove what stands there, or use the state store "
                f"that made it; or build beside it: `lockstep backfill {self._mapping.name} --rebuild`.",
            )
        if known is not None and known != identity_text(found):
            raise self._lost(
                Kind.TARGET_REPLACED,
                f"{self._mapping.target.name} is another one than before: "
                f"{identity_text(found)}, was {known}",
                f"Bring the old one back, or build anew: `lockstep backfill {self._mapping.name} --rebuild`.",
            )
        contents = self._contents(door)
        if known is not None:
            self._not_emptied(contents.records, 1)
        self._lease.rise_above(contents.highest)
        know = self._store.generations.know_identity
        self._lease.under(lambda epoch: know(epoch, self._consumer.generation, identity_text(found)))
        self._consumer = self._store.generations.known(self._consumer.id) or self._consumer
        self._point()
        self._records = contents.records
        return self._consumer

    def _point(self) -> None:
        """Finishes what a deploy or a rollback that was broken off had still to do."""
        target = self._mapping.target
        if self._store.builds.pointing(target.name) == self._consumer.number:
            if isinstance(target, Generational):
                target.point(self._consumer.number)
            self._store.builds.pointed(target.name)

    def look(self, door: Door) -> None:
        """Looks again whether the target is still itself."""
        found = door.identity()
        if found is None or identity_text(found) != self._consumer.identity:
            raise self._lost(
                Kind.TARGET_GONE if found is None else Kind.TARGET_REPLACED,
                f"{self._mapping.target.name} was removed or replaced while it was being written",
                f"Bring it back, or build it anew: `lockstep backfill {self._mapping.name} --rebuild`.",
            )

    def _contents(self, door: Door) -> Contents:
        begun = time.monotonic()
        found = door.contents()
        took = time.monotonic() - begun
        self.counts_at = begun + max(COUNT_EVERY, took / _COUNT_SHARE)
        return found

    def count(self, door: Door, applied: int) -> None:
        """Looks whether the target is suddenly empty. `applied`: writes up to now."""
        found = self._contents(door)
        if self._records >= 100 and found.records < self._records // 2:
            self._not_emptied(found.records, applied - self._applied)
        self._applied, self._records = applied, found.records

    def _not_emptied(self, records: int, written: int) -> None:
        """A target that holds no more than was just written to it, where the ledger knows many, was
        emptied: it is for a person to say what happens, not for us to fill it row by row."""
        if records > written:
            return
        known = self._store.ledger.count(self._consumer.id)
        if known >= 100 and records < known // 2:
            raise self._lost(
                Kind.TARGET_EMPTIED,
                f"{self._mapping.target.name} should hold {known:,} records and holds {records:,}: "
                "it was emptied",
                "Restore it, then `lockstep backfill "
                f"{self._mapping.name} --trust-target`; or build it anew: "
                f"`lockstep backfill {self._mapping.name} --rebuild`. Nothing is written until then.",
            )

    def _lost(self, kind: Kind, problem: str, remedy: str) -> TargetReplaced:
        """Notes that the target is not what it was; the error to raise."""
        self._store.events.soon(kind, self._mapping.target.name, problem)
        return TargetReplaced(problem, remedy)


def identity_text(identity: Identity) -> str:
    """A physical target as one text: what the state store compares."""
    return f"{identity.system}/{identity.target}"
