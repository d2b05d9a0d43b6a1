"""Apply: decisions → claims → intent → the guarded write → outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lockstep import keys
from lockstep.engine.decide import Decision
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.errors import Unreachable
from lockstep.guard.door import Door, Plan
from lockstep.state.ledger import Failure, Ledger
from lockstep.values import Change, Fingerprint, Key, Meta, Outcome, Status, Version


class Claims(NamedTuple):
    """What claiming gave: keys that must wait, with why, and target keys claimed that were not owned."""

    failures: dict[Key, Failure]
    granted: dict[Key, set[Key]]


class Applier:
    """Writes the batches of one consumer through its guarded door."""

    def __init__(
        self, mapping: str, consumer: int, generation: int, door: Door, ledger: Ledger, lease: Lease
    ) -> None:
        self._mapping = mapping
        self._consumer = consumer
        self._generation = generation
        self._door = door
        self._ledger = ledger
        self._lease = lease

    def claim(self, decisions: Mapping[Key, Decision]) -> Claims:
        """Claims every target key about to be put. One that another source key owns makes its key wait."""
        wanted: dict[Key, Key] = {}
        failures: dict[Key, Failure] = {}
        granted: dict[Key, set[Key]] = {}
        for key, decision in decisions.items():
            for put in decision.puts:
                rival = wanted.setdefault(put.key, key)
                if rival != key:
                    failures[key] = self._taken(put.key, key, rival)
                else:
                    granted.setdefault(key, set()).add(put.key)
        refused = self._ledger.claim(self._lease.epoch, self._generation, self._consumer, wanted)
        for target_key, owner in refused.items():
            key = wanted[target_key]
            granted[key].discard(target_key)
            failures[key] = self._taken(target_key, key, owner.key)
        passing("claimed")
        return Claims(failures, granted)

    def _taken(self, target_key: Key, key: Key, owner: Key) -> Failure:
        return Failure(
            key,
            "claim",
            f"target key {keys.text(target_key)} belongs to source key {keys.text(owner)}, "
            f"and {keys.text(key)} derives it too",
            "Give the two records different keys. This one is tried again when the other lets go.",
            target_key,
        )

    def write(
        self, version: Version, decisions: Mapping[Key, Decision], sums: Mapping[Key, int]
    ) -> dict[Key, list[tuple[Change, Outcome]]]:
        """Sends what the decisions ask for; the outcomes, by source key.

        Raises Unreachable when nobody can say what became of any of it: then the intent stands.
        """
        changes: list[Change] = []
        owners: list[Key] = []
        intent: list[tuple[Key, Sequence[Key]]] = []
        for key, decision in decisions.items():
            if decision.idle:
                continue
            total = sums[key]
            for put in decision.puts:
                meta = Meta(self._mapping, key, put.fingerprint, total, version)
                changes.append(Change(put.key, put.record, meta))
                owners.append(key)
            for target_key in decision.removes:
                meta = Meta(self._mapping, key, Fingerprint(0), 0, version)
                changes.append(Change(target_key, None, meta))
                owners.append(key)
            intent.append((key, [*(put.key for put in decision.puts), *decision.removes]))
        if not changes:
            return {}
        self._ledger.intend(self._lease.epoch, self._consumer, version, intent)
        passing("intended")
        outcomes = self._door.write(Plan(self._mapping, self._generation, changes))
        passing("written")
        if all(outcome.status is Status.UNKNOWN for outcome in outcomes):
            raise Unreachable(
                f"the target did not say what became of {len(outcomes):,} writes: {outcomes[0].reason}",
                "They are read back and written again once it answers.",
            )
        answers: dict[Key, list[tuple[Change, Outcome]]] = {}
        for key, change, outcome in zip(owners, changes, outcomes, strict=True):
            answers.setdefault(key, []).append((change, outcome))
        return answers
