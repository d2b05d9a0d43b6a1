"""Apply: decisions → claims and intent → the guarded write → outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lockstep import keys
from lockstep.engine.decide import Decision
from lockstep.engine.doubt import resolved, silence
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.guard.door import Door, Plan
from lockstep.state.ledger import Ledger
from lockstep.state.rows import Claimed, Failure, Intent
from lockstep.values import Change, Fingerprint, Key, Meta, Outcome, Status, Version

_TRIES = 3
"""Batches in a row that may end without an answer."""


class Sent(NamedTuple):
    """The outcomes by source key, and the keys that must wait for a target key somebody else owns."""

    outcomes: dict[Key, list[tuple[Change, Outcome]]]
    refused: dict[Key, Failure]


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
        *,
        claims: bool,
    ) -> None:
        self._mapping = mapping
        self._consumer = consumer
        self._generation = generation
        self._door = door
        self._ledger = ledger
        self._lease = lease
        self._claims = claims
        self._silent = 0
        self._alone: Key | None = None

    def write(self, version: Version, decisions: Mapping[Key, Decision], sums: Mapping[Key, int]) -> Sent:
        """Claims, makes the intent durable, and sends what the decisions ask for.

        Raises Unreachable when nobody can say what became of any of it: then the intent stands. Where a
        target leaves batch after batch without an answer, and yet is there, it is found out whether one
        strange record keeps all the others waiting.
        """
        active = {key: decision for key, decision in decisions.items() if not decision.idle}
        if not active:
            return Sent({}, {})
        intents = [
            Intent(key, [put.key for put in decision.puts], decision.removes)
            for key, decision in active.items()
        ]
        taken = self._lease.under(
            lambda epoch: self._ledger.intend(
                epoch, self._generation, self._consumer, version, intents, claiming=self._claims
            )
        )
        passing("intended")
        refused = {key: _taken(self._mapping, key, owner) for key, owner in taken.items()}
        owners: list[Key] = []
        changes: list[Change] = []
        for key, decision in active.items():
            own = self._changes(key, decision, sums[key], version, put=key not in refused)
            changes += own
            owners += [key] * len(own)
        if not changes:
            return Sent({}, refused)
        outcomes = self._write(changes)
        passing("written")
        if any(outcome.status is Status.UNKNOWN for outcome in outcomes):
            outcomes = self._in_doubt(changes, outcomes)
        else:
            self._alone = None
        self._silent = 0
        answers: dict[Key, list[tuple[Change, Outcome]]] = {}
        for key, change, outcome in zip(owners, changes, outcomes, strict=True):
            answers.setdefault(key, []).append((change, outcome))
        return Sent(answers, refused)

    def _write(self, changes: Sequence[Change]) -> list[Outcome]:
        return self._door.write(Plan(self._mapping, self._generation, changes))

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

    def _changes(
        self, key: Key, decision: Decision, total: int, version: Version, *, put: bool
    ) -> list[Change]:
        """What one key asks for. A key that waits for a claim still gives up what it does not derive any
        more: else two keys that exchange their records wait for each other for ever."""
        puts = [
            Change(one.key, one.record, Meta(self._mapping, key, one.fingerprint, total, version), one.plain)
            for one in (decision.puts if put else ())
        ]
        gone = Meta(self._mapping, key, Fingerprint(0), 0, version)
        return puts + [Change(target_key, None, gone) for target_key in decision.removes]


def _taken(mapping: str, key: Key, owner: Claimed) -> Failure:
    return Failure(
        key,
        "claim",
        f"target key {keys.text(owner.target_key)} belongs to {owner.mapping} key {keys.text(owner.key)}, "
        f"and {mapping} key {keys.text(key)} derives it too",
        "Give the two records different keys. This one is tried again when the other lets go.",
        owner.target_key,
    )
