"""Watches whether a target is the one that the ledger speaks of, and whether somebody emptied it.

Who it is costs next to nothing, and is asked every two seconds. How much it holds may cost the target some
work: where it has an estimate that is cheap, that is looked at each time, and what it holds is counted only
when the estimate fell; else it is counted, at most a hundredth of the time.
"""

from __future__ import annotations

import contextlib
import time

from lockstep.declaration.mapping import Mapping
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.writing.opening import door_to
from lockstep.errors import SystemError_, TargetReplaced
from lockstep.guard.door import Door
from lockstep.guard.policies import FEW, emptied
from lockstep.guard.policy import HeldBack, Verdict
from lockstep.limits import REFILL, Numbers
from lockstep.ports import Generational, Restorable, Target, half_adopted, half_taken
from lockstep.state.events import Kind
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Contents, Estimate, Identity

LOOK_EVERY = 2.0
_COUNT_EVERY = 30.0
"""Seconds after which a target is counted although its estimate says nothing."""

_SHARE, _HURRY = 0.01, 0.1
"""Counting a target may cost it work, so a count that takes long comes seldom: at most this share of time;
more where something says that records are gone."""

_FEWER = 0.9
_GONE = 0.05
"""An estimate that is lower by a tenth, or removals of a twentieth, are worth a count."""


class Lost(TargetReplaced):
    """A target is gone, another one, or emptied. `held`: what a person is asked."""

    def __init__(self, kind: Kind, problem: str, mapping: Mapping, numbers: Numbers, expected: int) -> None:
        mend = mend_of_lost(mapping)
        super().__init__(problem, f"{mend}. Nothing is written until then.")
        verdict = Verdict(False, f"{problem}. {mend}", (REFILL,), expected)
        self.kind = kind
        self.held = HeldBack(kind.value, verdict, numbers)


def built_anew(target: Target, mapping: str = "MAPPING") -> str:
    """The command that fills a target from its source where nothing can be brought back."""
    if isinstance(target, Generational):
        return f"`lockstep deploy {target.name}`"
    return f"`lockstep backfill {mapping} --rebuild`"


def mend_of_lost(mapping: Mapping) -> str:
    """What a person does; a run may go on meanwhile, but for the last."""
    target, anew = mapping.target, built_anew(mapping.target, mapping.name)
    if isinstance(target, Restorable):
        return (
            f"`lockstep restore {target.name}` brings back the newest snapshot; without one, "
            f"{anew} builds a new one beside it"
        )
    return f"{anew} builds it anew"


class TargetWatch:
    """The target of one consumer. All but the constructor raise Lost when it is not what it was."""

    def __init__(self, mapping: Mapping, consumer: Consumer, store: Store, lease: Lease) -> None:
        self._mapping = mapping
        self.consumer = consumer
        self._store = store
        self._lease = lease
        self._looks_at = self._counts_at = self._may_count_at = 0.0
        self._estimate: Estimate | None = None
        self._refilling = False

    def open(self, door: Door, *, refill: bool = False) -> Consumer:
        """Finds the target as the state store knows it, or makes it the first time; the consumer, as it is
        known from then on. `refill`: a person has allowed that what was lost is written anew."""
        self._refilling = refill
        self._known()
        known, marker = self.consumer.identity, self.consumer.marker
        found = door.identity()
        if found is None and (known is None or refill):
            found = door.create(marker)
            passing("created")
        if found is None:
            raise self._lost(Kind.TARGET_GONE, f"{self._name} (generation {self.consumer.number}) is gone")
        if (half := half_taken(found.marker, marker)) is not None:
            raise half_adopted(
                self._mapping.target.name, half, self._mapping.name, then=". Nothing is written."
            )
        if found.marker != marker and (known is None or refill):
            raise TargetReplaced(
                f"{self._name} is there, but this state store did not make it",
                "Use another name for the target, remove what stands there, or use the state store "
                f"that made it; or build beside it: `lockstep backfill {self._mapping.name} --rebuild`.",
            )
        if found.marker != marker:
            raise self._lost(
                Kind.TARGET_REPLACED,
                f"{self._name} is there, but {self._whose(found)}",
            )
        if known is not None and known != identity_text(found) and not refill:
            raise self._lost(
                Kind.TARGET_REPLACED,
                f"{self._name} is another one than before: {identity_text(found)}, was {known}",
            )
        contents = door.contents() if known is None else self._count(door)
        self._lease.rise_above(contents.highest)
        know = self._store.generations.know_identity
        self._lease.under(lambda epoch: know(epoch, self.consumer.generation, identity_text(found)))
        self._known()
        self._point()
        return self.consumer

    def _point(self) -> None:
        """Finishes what a deploy or a rollback that was broken off had still to do."""
        target = self._mapping.target
        if self._store.builds.pointing(target.name) == self.consumer.number:
            if isinstance(target, Generational):
                target.point(self.consumer.number)
            self._store.builds.pointed(target.name)

    def _known(self) -> None:
        """As the state store knows it: another mapping may have made it, or a restore."""
        self.consumer = self._store.generations.known(self.consumer.id) or self.consumer

    @property
    def ours(self) -> bool:
        """Whether the target was ever ours: only then it can have been lost."""
        return self.consumer.identity is not None

    def refilled(self) -> None:
        """What was lost is written anew: from now on the target is watched as before."""
        self._refilling = False

    @property
    def due(self) -> bool:
        """Whether it is time to look again."""
        return time.monotonic() >= self._looks_at

    def look(self, door: Door) -> None:
        """Looks again whether the target is still itself, and holds what it should."""
        self._looks_at = time.monotonic() + LOOK_EVERY
        found = door.identity()
        if found is None:
            raise self._lost(Kind.TARGET_GONE, f"{self._name} was removed while it was being written")
        if found.marker != self.consumer.marker or identity_text(found) != self.consumer.identity:
            said = "" if found.marker == self.consumer.marker else f": {self._whose(found)}"
            problem = f"{self._name} was replaced while it was being written{said}"
            raise self._lost(Kind.TARGET_REPLACED, problem)
        now, before, estimate = time.monotonic(), self._estimate, door.estimate()
        fell = estimate is not None and before is not None and _fell(before, estimate)
        if (now >= self._may_count_at) if fell else (now >= self._counts_at):
            self._count(door)

    def _count(self, door: Door) -> Contents:
        """Counts what the target holds. Where it holds far less than the ledger knows, somebody emptied it:
        it is for a person to say what happens, not for us to fill it row by row.

        It is counted a second time then, as other mappings write to it meanwhile."""
        estimate, begun = door.estimate(), time.monotonic()
        contents = door.contents()
        now = time.monotonic()
        every = LOOK_EVERY if estimate is None else _COUNT_EVERY
        self._counts_at = begun + max(every, (now - begun) / _SHARE)
        self._may_count_at = begun + (now - begun) / _HURRY
        self._estimate = estimate
        if not self._refilling:
            owed = self._store.ledger.owed(self.consumer.generation)
            if emptied(owed, contents.records) and emptied(owed, door.contents().records):
                said = f"should hold {owed:,} records and holds {contents.records:,}: it was emptied"
                raise self._lost(Kind.TARGET_EMPTIED, f"{self._name} {said}", contents.records, owed)
        return contents

    def _whose(self, found: Identity) -> str:
        """Who has put there what does not have this build's marker."""
        building = self._store.builds.of(self.consumer.target, "building")
        if any(build.marker == found.marker for build in building):
            return (
                "a restore that was broken off has put a saved state in its place: the same command goes on"
            )
        return "this state store did not make it: somebody has replaced it"

    @property
    def _name(self) -> str:
        return self._mapping.target.name

    def _lost(self, kind: Kind, problem: str, held: int | None = None, owed: int = 0) -> Lost:
        known = self._store.ledger.count(self.consumer.id)
        expected = known if held is None else min(known, owed - held)
        return Lost(kind, problem, self._mapping, Numbers(known=known, target=held, owed=owed), expected)

    def named(self, error: TargetReplaced) -> Lost:
        """What a person is asked, where it was a write or a read that found the target lost."""
        if isinstance(error, Lost):
            return error
        return self._lost(Kind.TARGET_GONE if self._is_gone() else Kind.TARGET_REPLACED, str(error))

    def _is_gone(self) -> bool:
        """Whether nothing stands there, as far as the target answers."""
        try:
            with contextlib.closing(door_to(self._mapping.target, self.consumer.number, self._store)) as door:
                return door.identity() is None
        except SystemError_:
            return False


def _fell(before: Estimate, now: Estimate) -> bool:
    gone = now.removed - before.removed
    return now.records < _FEWER * before.records or gone < 0 or gone > max(_GONE * before.records, FEW)


def identity_text(identity: Identity) -> str:
    """A physical target as one text: what the state store compares."""
    return f"{identity.system}/{identity.target}"
