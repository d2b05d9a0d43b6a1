"""Apply: decisions → claims and intent → the guarded write → outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from msgspec import Struct

from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.writing.decide import Decision
from lockstep.engine.writing.doubt import resolved, silence
from lockstep.engine.writing.judged import Counted, Judge, Uncounted
from lockstep.forms import keys
from lockstep.guard.door import Door, Plan
from lockstep.guard.policy import HeldBack
from lockstep.state.ledger import Ledger
from lockstep.state.rows import Claimed, Failure, Intent
from lockstep.values import Change, Fingerprint, Key, Meta, Outcome, Status, Version

_TRIES = 3
"""Batches in a row that may end without an answer."""

_PREVIEWED = 3
"""Keys of what is held for which the target is asked what would follow."""


class Sending(Struct, frozen=True):
    """What a batch asks of the target: changes, each with its source key. Its intent is durable.

    `refused`: the keys that must wait for a target key somebody else owns."""

    owners: Sequence[Key]
    changes: Sequence[Change]
    refused: Mapping[Key, Failure]


class Sent(Struct, frozen=True):
    """What became of it: one outcome a change."""

    sending: Sending
    outcomes: Sequence[Outcome]

    def by_key(self) -> dict[Key, list[tuple[Change, Outcome]]]:
        """The changes of each source key, with their outcomes."""
        found: dict[Key, list[tuple[Change, Outcome]]] = {}
        sending = self.sending
        for key, change, outcome in zip(sending.owners, sending.changes, self.outcomes, strict=True):
            if key in found:
                found[key].append((change, outcome))
            else:
                found[key] = [(change, outcome)]
        return found


class Applier:
    """Writes the batches of one consumer through its guarded door."""

    def __init__(
        self,
        mapping: str,
        consumer: int,
        generation: int,
        door: Door,
        ledger: Ledger,
        lease: Lease,
        judge: Judge,
        *,
        claims: bool,
    ) -> None:
        self._judge = judge
        self._mapping = mapping
        self._consumer = consumer
        self._generation = generation
        self._door = door
        self._ledger = ledger
        self._lease = lease
        self._claims = claims
        self._silent = 0
        self._alone: Key | None = None

    def prepare(
        self, version: Version, decisions: Mapping[Key, Decision], sums: Mapping[Key, int], batch: Counted
    ) -> Sending:
        """Claims, and makes the intent durable, for what the decisions ask for. `batch`: them, counted.

        Raises HeldBack when the guard holds it; then nothing was changed.
        """
        active = {key: decision for key, decision in decisions.items() if not decision.idle}
        if not active:
            return Sending((), (), {})
        intents = [
            Intent(key, [put.key for put in decision.puts], decision.removes)
            for key, decision in active.items()
        ]
        try:
            taken = self._intend(version, intents, batch)
        except HeldBack as held:
            some = [key for key in held.keys if key in active][:_PREVIEWED]
            held.preview = partial(self._preview, version, {key: active[key] for key in some}, sums)
            raise
        self._door.admit(version)
        passing("intended")
        refused = {key: _taken(self._mapping, key, owner) for key, owner in taken.items()}
        owners: list[Key] = []
        changes: list[Change] = []
        for key, decision in active.items():
            before = len(changes)
            self._ask(changes, version, key, decision, sums[key], refused=key in refused)
            owners += [key] * (len(changes) - before)
        return Sending(owners, changes, refused)

    def _ask(
        self,
        changes: list[Change],
        version: Version,
        key: Key,
        decision: Decision,
        sum: int,
        *,
        refused: bool = False,
    ) -> None:
        """Adds what a decision asks of the target.

        A key that waits for a claim still gives up what it does not derive any more: else two keys that
        exchange their records wait for each other for ever.
        """
        if not refused:
            for one in decision.puts:
                meta = Meta(self._mapping, key, one.fingerprint, sum, version)
                changes.append(Change(one.key, one.record, meta, one.plain))
        for target_key in decision.removes:
            changes.append(Change(target_key, None, Meta(self._mapping, key, Fingerprint(0), 0, version)))

    def _preview(
        self, version: Version, decisions: Mapping[Key, Decision], sums: Mapping[Key, int]
    ) -> list[str]:
        """What the target's system says would follow of these, in words."""
        changes: list[Change] = []
        for key, decision in decisions.items():
            self._ask(changes, version, key, decision, sums[key])
        said = self._door.preview(changes) if changes else {}
        return [f"{keys.text(key)}: {line}" for key, lines in said.items() for line in lines]

    def _intend(self, version: Version, intents: Sequence[Intent], batch: Counted) -> dict[Key, Claimed]:
        judging = batch.removes or batch.updates or batch.refills
        while True:
            try:
                return self._lease.under(
                    lambda epoch: self._ledger.intend(
                        epoch,
                        self._generation,
                        self._consumer,
                        version,
                        intents,
                        claiming=self._claims,
                        reserve=partial(self._judge.reserve, batch) if judging else None,
                        window=self._judge.seconds,
                    )
                )
            except Uncounted as uncounted:
                self._judge.count(uncounted.removed, uncounted.refills)

    def send(self, sending: Sending) -> Sequence[Outcome]:
        """Sends it; one outcome a change. Any thread may."""
        if not sending.changes:
            return ()
        outcomes = self._write(sending.changes)
        passing("written")
        return outcomes

    def _write(self, changes: Sequence[Change]) -> list[Outcome]:
        return self._door.write(Plan(self._mapping, self._generation, changes))

    def answered(self, sending: Sending, outcomes: Sequence[Outcome]) -> Sent:
        """What became of it.

        Raises Unreachable when nobody can say what became of any of it: then the intent stands. Where a
        target leaves batch after batch without an answer, and yet is there, it is found out whether one
        strange record keeps all the others waiting.
        """
        if not sending.changes:
            return Sent(sending, ())
        if any(outcome.status is Status.UNKNOWN for outcome in outcomes):
            outcomes = self._in_doubt(sending.changes, outcomes)
        else:
            self._alone = None
        self._silent = 0
        return Sent(sending, outcomes)

    def _in_doubt(self, changes: Sequence[Change], outcomes: Sequence[Outcome]) -> list[Outcome]:
        """Finds out whose fault it is that nobody knows. Raises Unreachable if it is the target's.

        A batch of one change has no other to compare with: the first such is taken for its own trouble, the
        next one, of another key and with nothing answered in between, for the target's.
        """
        silent = all(outcome.status is Status.UNKNOWN for outcome in outcomes)
        self._silent += silent
        if silent and (self._silent <= _TRIES or self._door.identity() is None):
            raise silence(changes, outcomes)
        outcomes = resolved(self._write, changes, outcomes)
        if any(outcome.status is not Status.UNKNOWN for outcome in outcomes):
            self._alone = None
        elif self._alone not in (None, changes[0].key):
            raise silence(changes, outcomes)
        else:
            self._alone = changes[0].key
        return outcomes


def _taken(mapping: str, key: Key, owner: Claimed) -> Failure:
    return Failure(
        key,
        "claim",
        f"target key {keys.text(owner.target_key)} belongs to {owner.mapping} key {keys.text(owner.key)}, "
        f"and {mapping} key {keys.text(key)} derives it too",
        "Give the two records different keys. This one is tried again when the other lets go.",
        owner.target_key,
    )
