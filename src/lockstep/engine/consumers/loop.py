"""One consumer's loop: take → derive → decide → apply → settle, a batch at a time.

All of it but the write itself is done by one thread. Where a target takes several writes at once, the next
batch is prepared while others are in flight (`writing.inflight`); a batch that has a key in flight waits
until that is settled. What goes wrong with a whole batch (a system does not answer) leaves its intent
standing: its keys, and those of all in flight, are voided, and the same hints are taken again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from collections.abc import Mapping as MappingOf
from typing import NamedTuple

from lockstep.declaration.mapping import Mapping
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.engine.hints.addressed import addressed
from lockstep.engine.hints.batch import Batch
from lockstep.engine.hints.take import Taker
from lockstep.engine.holds.breaker import Breaker
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.writing.apply import Applier, Sent
from lockstep.engine.writing.decide import Decision, asks_target, decide, owned
from lockstep.engine.writing.inflight import InFlight, Part
from lockstep.engine.writing.judged import NOTHING, Counted, Judge, counted
from lockstep.engine.writing.settlement import settlement
from lockstep.engine.writing.stride import Stride
from lockstep.guard.door import Door
from lockstep.ports import Journal
from lockstep.state.ledger import Ledger
from lockstep.state.rows import Owned, Row
from lockstep.values import (
    Key,
    Lane,
    Status,
    Trust,
)

AT_ONCE = 5_000
"""Keys that are derived and written together, at most."""

_LONGEST_WAIT = 1.0


class Counts(NamedTuple):
    """What one batch did."""

    lane: Lane
    hints: int
    keys: int
    outcomes: MappingOf[Status, int]
    failures: int
    lag: float | None


class Loop:
    """Works the hints of one consumer."""

    def __init__(
        self,
        mapping: Mapping,
        consumer: int,
        generation: int,
        journal: Journal,
        ledger: Ledger,
        lease: Lease,
        taker: Taker,
        deriver: Deriver,
        door: Door,
        judge: Judge,
        *,
        claims: bool,
        stuck: int,
        arrived: threading.Event | None = None,
    ) -> None:
        """`arrived` is set by whoever has appended hints; then a wait for a write in flight ends."""
        self._mapping = mapping
        self._consumer = consumer
        self._generation = generation
        self._journal = journal
        self._ledger = ledger
        self._lease = lease
        self._taker = taker
        self._deriver = deriver
        self._door = door
        self._applier = Applier(mapping.name, consumer, generation, door, ledger, lease, judge, claims=claims)
        self._arrived = arrived or threading.Event()
        self._flying = InFlight(self._applier.send, door.parallel, self._arrived, mapping.name)
        self._rest: tuple[Batch, Sequence[Key]] | None = None
        self._stride = Stride(AT_ONCE, door.portion)
        self._claims = claims
        self._maybe_stuck = stuck > 0
        self._broken = False
        self.breaker = Breaker(mapping.name, door.guard)

    def recover(self) -> int:
        """Voids the keys of every intent found, and hints them. What a crash left is settled so."""
        found = self._ledger.intended(self._consumer)
        if found:
            self.hint(found, "intent", Trust.TARGET, Lane.LIVE, origin=1)
            passing("recovered")
            self.abandon()
        return len(found)

    def step(self) -> Counts | None:
        """Settles one part of a batch, the oldest in flight, and prepares others while it is written; None
        when nothing was takeable and nothing is in flight.

        Raises Unreachable, Refused, TargetReplaced, LeaseLost, MostFail or HeldBack; then nothing
        of what is in flight is settled and `abandon` must be called. While that fails, nothing goes on.
        """
        self._mended()
        while True:
            while not self._flying.landed() and (part := self._prepare()) is not None:
                self._flying.launch(part)
            if not len(self._flying):
                return None
            if self._flying.landed():
                return self._land()
            self._arrived.wait(_LONGEST_WAIT)
            self._arrived.clear()

    def drain(self) -> Iterator[Counts]:
        """Settles all that is in flight, and takes nothing more. Raises as `step` does."""
        self._mended()
        while len(self._flying):
            while not self._flying.landed():
                self._arrived.wait(_LONGEST_WAIT)
                self._arrived.clear()
            yield self._land()

    def abandon(self) -> None:
        """What is in flight broke off: what it may have written is not known any more."""
        self._broken = True  # until it is done
        self._flying.clear()
        self._rest = None
        self._taker.rewind()
        self._lease.under(
            lambda epoch: self._ledger.void_intents(epoch, self._consumer, self._mapping.default_key)
        )
        self._broken = False

    def _mended(self) -> None:
        if self._broken:
            self.abandon()

    def close(self) -> None:
        """Waits until nothing is being written. What was not settled is found by its intent."""
        self._flying.close()

    def _prepare(self) -> Part | None:
        """The next part, ready to be sent; None when there is no room, or nothing that may be taken now."""
        room = self._flying.room()
        if not room or (self.breaker.probing and len(self._flying)):
            return None
        if self._rest is None:
            batch = self._taker.take(tuple(Lane) if room > 1 or self._door.parallel == 1 else (Lane.LIVE,))
            if batch is None:
                return None
            if self._flying.holds(batch.works):
                self._taker.postpone()
                return None
            passing("taken")
            self._rest = (batch, list(batch.works))
        elif room == 1 and self._door.parallel > 1 and self._rest[0].lane is Lane.BULK:
            return None
        batch, wanted = self._rest
        wanted, left = self.breaker.some(list(wanted))
        at_once = self._stride.keys
        wanted, rest = wanted[:at_once], [*wanted[at_once:], *left]
        version = self._lease.next_version()
        passing("drawn")
        now = time.time()
        rows = self._ledger.rows(self._consumer, wanted)
        derived = self._deriver.some(wanted, now) if wanted else {}
        passing("derived")
        wanted, rest = wanted[: len(derived)], [*wanted[len(derived) :], *rest]
        # A row in short form outlives a mapping that now keys its records otherwise.
        known = dict.fromkeys(wanted, owned(None, self._mapping.default_key))
        known |= {key: owned(row, self._mapping.default_key) for key, row in rows.items() if key in derived}
        known |= self._perhaps(batch, rows, derived)
        decisions = self._decide(batch, rows, derived, known)
        sums = {key: derived[key].sum for key in decisions}
        sending = self._applier.prepare(version, decisions, sums, _counted(batch, decisions, known))
        self._rest = (batch, rest) if rest else None
        return Part(batch, not rest, version, now, rows, derived, known, decisions, sending)

    def _land(self) -> Counts:
        part, outcomes = self._flying.oldest()
        counts = self._settle(part, self._applier.answered(part.sending, outcomes))
        self.breaker.judge(counts.failures)
        self._stride.took(counts.keys, time.time() - part.now)
        return counts

    def hint(self, found: list[Key], reason: str, trust: Trust, lane: Lane, origin: int = 0) -> None:
        """Appends hints of root keys, addressed to this consumer.

        What a crash left stems from the journal's beginning (`origin` 1): a run that is to end when all
        that was known at its start is done must not end before it.
        """
        table = self._mapping.root.table.name
        self._journal.append(addressed(self._consumer, table, found, reason, trust, lane, origin))

    def _perhaps(
        self, batch: Batch, rows: MappingOf[Key, Row], derived: MappingOf[Key, Derived]
    ) -> dict[Key, MappingOf[Key, Owned]]:
        """Keys in doubt, unknown to the ledger, that mean nothing: they may have a record all the same."""
        if not self._mapping.key_is_root_key:
            return {}
        return {
            key: {(default := self._mapping.default_key(key)): Owned(default)}
            for key, one in derived.items()
            if key not in rows
            and not one.desired
            and one.error is None
            and batch.works[key].trust is Trust.TARGET
        }

    def _decide(
        self,
        batch: Batch,
        rows: MappingOf[Key, Row],
        derived: MappingOf[Key, Derived],
        known: MappingOf[Key, MappingOf[Key, Owned]],
    ) -> dict[Key, Decision]:
        asked: set[Key] = set()
        ask = [key for key in derived if asks_target(rows.get(key), batch.works[key].trust)]
        for key in ask:
            asked.update(known[key])
            asked.update(item.key for item in derived[key].desired)
        held = self._door.read(list(asked)) if asked else {}
        asking = set(ask)
        return {
            key: decide(
                one.desired,
                known[key],
                held if key in asking else None,
                (self._mapping.name, key),
            )
            for key, one in derived.items()
            if one.error is None
        }

    def _settle(self, part: Part, sent: Sent) -> Counts:
        batch, derived = part.batch, part.derived
        tally = _tally(sent)
        if tally.get(Status.SUPERSEDED):
            self._lease.redraw()
        done = settlement(self._mapping, self._consumer, part, sent)
        if not self._maybe_stuck:  # then there is nothing to be looked for
            done = done._replace(cleared=())
        if not self._claims:
            done = done._replace(released=())
        waiting = self._lease.under(lambda epoch: self._ledger.settle(epoch, self._generation, done))
        passing("settled")
        self._flying.settled()
        if part.last:
            self._taker.settled(batch)
        failures = done.failures
        self._maybe_stuck = self._maybe_stuck or bool(failures)
        for consumer, key in waiting:
            self._release(consumer, key, batch.origin)
            passing("released")
        self.breaker.settled([(key, batch.works[key].reason) for key in derived], failures)
        lag = time.time() - batch.oldest if batch.lane is Lane.LIVE and batch.oldest else None
        return Counts(batch.lane, batch.hints if part.last else 0, len(derived), tally, len(failures), lag)

    def _release(self, consumer: int, key: Key, origin: int) -> None:
        """Hints a key that waited for a claim; it may be another consumer's."""
        self._journal.append(addressed(consumer, "", [key], "claim", Trust.LEDGER, Lane.LIVE, origin))


def _counted(
    batch: Batch,
    decisions: MappingOf[Key, Decision],
    known: MappingOf[Key, MappingOf[Key, Owned]],
) -> Counted:
    """What the guard counts of a batch; of a first load, which is all new, nothing need be looked at."""
    active = {key: one for key, one in decisions.items() if known[key] and not one.idle}
    if not active:
        return NOTHING
    return counted(
        active,
        {key: len(known[key]) for key in active},
        {key: batch.works[key].reason for key in active},
    )


def _tally(sent: Sent) -> dict[Status, int]:
    """How many outcomes there are of each status. A list is counted faster than its items one by one."""
    statuses = [outcome.status for outcome in sent.outcomes]
    return {status: count for status in Status if (count := statuses.count(status))}
