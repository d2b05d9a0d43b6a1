"""One consumer's loop: take → derive → decide → apply → settle, a batch at a time.

One batch is open at any moment, so a key in flight cannot be taken again. What goes wrong with the whole
batch (a system does not answer) leaves its intent standing: its keys are voided, and the same hints are
taken again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping as MappingOf
from typing import NamedTuple

import msgspec

from lockstep.engine.addressed import addressed
from lockstep.engine.apply import Applier, Sent
from lockstep.engine.decide import Decision, asks_target, decide, owned
from lockstep.engine.derive import Derived, Deriver
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.settle import settle
from lockstep.engine.take import Batch, Taker
from lockstep.errors import MappingStopped
from lockstep.guard.door import Door
from lockstep.mapping import Mapping
from lockstep.ports import Journal
from lockstep.state.ledger import Ledger
from lockstep.state.rows import Failure, Owned, Row, Settlement
from lockstep.values import (
    Key,
    Lane,
    Status,
    Trust,
    Version,
)

_WINDOW = 5_000
_ENOUGH = 100


class Counts(NamedTuple):
    """What one batch did."""

    lane: Lane
    hints: int
    keys: int
    outcomes: dict[Status, int]
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
        *,
        claims: bool,
        stuck: int,
    ) -> None:
        self._mapping = mapping
        self._consumer = consumer
        self._generation = generation
        self._journal = journal
        self._ledger = ledger
        self._lease = lease
        self._taker = taker
        self._deriver = deriver
        self._door = door
        self._applier = Applier(mapping.name, consumer, generation, door, ledger, lease, claims=claims)
        self._claims = claims
        self._maybe_stuck = stuck > 0
        self._recent: deque[bool] = deque(maxlen=_WINDOW)

    def recover(self) -> int:
        """Voids the keys of every intent found, and hints them. What a crash left is settled so."""
        found = self._ledger.intended(self._consumer)
        if found:
            self.hint(found, "intent", Trust.TARGET, Lane.LIVE, origin=1)
            passing("recovered")
            self.abandon()
        return len(found)

    def step(self) -> Counts | None:
        """Works one batch; None when nothing was takeable.

        Raises Unreachable, Refused, TargetReplaced, LeaseLost, MappingStopped or HeldBack; then nothing
        of the batch is settled and `abandon` must be called before the next.
        """
        batch = self._taker.take()
        if batch is None:
            return None
        passing("taken")
        wanted = list(batch.works)
        version = self._lease.next_version()
        passing("drawn")
        now = time.time()
        rows = self._ledger.rows(self._consumer, wanted)
        derived = self._deriver.derive(wanted, now)
        passing("derived")
        # A row in short form outlives a mapping that now keys its records otherwise.
        known = {key: owned(rows.get(key), self._mapping.default_key) for key in wanted}
        decisions = self._decide(batch, rows, derived, known)
        sums = {key: derived[key].sum for key in decisions}
        sent = self._applier.write(version, decisions, sums)
        counts = self._settle(batch, version, now, rows, derived, known, decisions, sent)
        self._judge(counts)
        return counts

    def abandon(self) -> None:
        """The last batch broke off: what it may have written is not known any more."""
        self._lease.under(
            lambda epoch: self._ledger.void_intents(epoch, self._consumer, self._mapping.default_key)
        )

    def hint(self, found: list[Key], reason: str, trust: Trust, lane: Lane, origin: int = 0) -> None:
        """Appends hints of root keys, addressed to this consumer.

        What a crash left stems from the journal's beginning (`origin` 1): a run that is to end when all
        that was known at its start is done must not end before it.
        """
        table = self._mapping.root.table.name
        self._journal.append(addressed(self._consumer, table, found, reason, trust, lane, origin))

    def default_key(self, key: Key) -> Key | None:
        """The target key that follows from a source key, None where the record decides."""
        return self._mapping.default_key(key) if self._mapping.key_is_root_key else None

    def _decide(
        self,
        batch: Batch,
        rows: MappingOf[Key, Row],
        derived: MappingOf[Key, Derived],
        known: MappingOf[Key, dict[Key, Owned]],
    ) -> dict[Key, Decision]:
        asked: set[Key] = set()
        ask = [key for key, work in batch.works.items() if asks_target(rows.get(key), work.trust)]
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

    def _settle(
        self,
        batch: Batch,
        version: Version,
        now: float,
        rows: MappingOf[Key, Row],
        derived: MappingOf[Key, Derived],
        known: MappingOf[Key, dict[Key, Owned]],
        decisions: MappingOf[Key, Decision],
        sent: Sent,
    ) -> Counts:
        changed: list[Row] = []
        removed: list[Key] = []
        failures: list[Failure] = []
        cleared: list[Key] = []
        released: list[tuple[Key, Key]] = []
        tally: dict[Status, int] = {}
        for key, one in derived.items():
            if one.error is not None:
                failures.append(Failure(key, "derive", str(one.error), one.error.remedy))
                row = rows.get(key)
                if row is not None and batch.works[key].trust is Trust.TARGET:
                    changed.append(msgspec.structs.replace(row, void=True))  # the doubt outlives the failure
        for key, decision in decisions.items():
            before = rows.get(key)
            own = sent.outcomes.get(key, [])
            for _, outcome in own:
                tally[outcome.status] = tally.get(outcome.status, 0) + 1
            result = settle(
                derived[key],
                before,
                known[key],
                self.default_key(key),
                decision,
                own,
                version,
                batch.works[key],
                now,
                sent.refused.get(key),
            )
            if result.failure is not None:
                failures.append(result.failure)
            else:
                cleared.append(key)
            if result.row is None:
                if before is not None:
                    removed.append(key)
            elif result.row != before:
                changed.append(result.row)
            released.extend((target_key, key) for target_key in result.released)
        if tally.get(Status.SUPERSEDED):
            self._lease.redraw()
        backfilled = sum(work.reason == "backfill" for work in batch.works.values())
        done = Settlement(
            self._consumer,
            version,
            changed,
            removed,
            failures,
            cleared if self._maybe_stuck else (),
            released if self._claims else (),
            batch.positions,
            backfilled,
        )
        waiting = self._lease.under(lambda epoch: self._ledger.settle(epoch, self._generation, done))
        passing("settled")
        self._taker.settled(batch)
        self._maybe_stuck = self._maybe_stuck or bool(failures)
        for consumer, key in waiting:
            self._release(consumer, key, batch.origin)
            passing("released")
        failed = {failure.key for failure in failures}
        for key, work in batch.works.items():
            if work.reason not in ("retry", "claim"):  # these failed before; they say nothing new
                self._recent.append(key in failed)
        lag = now - batch.oldest if batch.lane is Lane.LIVE and batch.oldest else None
        if lag is not None:
            lag += time.time() - now
        return Counts(batch.lane, batch.hints, len(derived), tally, len(failures), lag)

    def _release(self, consumer: int, key: Key, origin: int) -> None:
        """Hints a key that waited for a claim; it may be another consumer's."""
        self._journal.append(addressed(consumer, "", [key], "claim", Trust.LEDGER, Lane.LIVE, origin))

    def _judge(self, counts: Counts) -> None:
        if len(self._recent) >= _ENOUGH and counts.failures and 2 * sum(self._recent) > len(self._recent):
            raise MappingStopped(
                f"{sum(self._recent)} of the last {len(self._recent)} keys of {self._mapping.name} failed",
                f"See why with `lockstep stuck {self._mapping.name}`, mend it, and start again. "
                "Other mappings go on; nothing is lost.",
            )
