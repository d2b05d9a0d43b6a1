"""Judge: what a batch would do, counted, before its intent is made. The guard's policies answer.

Counting the source and the ledger costs something, so it is done only where there are removals enough, or
updates enough, to make a policy ask; outside the transaction that reserves, and not again for a while.
"""

from __future__ import annotations

import time
from collections.abc import Mapping as MappingOf
from typing import NamedTuple

from lockstep.declaration.mapping import Mapping
from lockstep.engine.writing.decide import Decision
from lockstep.errors import TimedOut
from lockstep.guard.door import Door
from lockstep.guard.policies import FEW, MANY_UPDATES
from lockstep.guard.policy import HeldBack, Verdict
from lockstep.limits import REFILL, Numbers
from lockstep.ports import Reader
from lockstep.state.counted import Reserved, Window
from lockstep.state.holds import KEYS, Hold
from lockstep.state.ledger import Ledger
from lockstep.values import Key

_PASSES = frozenset({"backfill", "repair", "redrive"})
"""Reasons of passes that somebody asked for: what they change is no mass update."""

_FRESH = 1.0
_SHARE = 20
"""What was counted is good for a second, or for twenty times what the counting took."""


class Counted(NamedTuple):
    """What a batch would do. `removed`, `updated`: source keys whose records it would remove or change."""

    updates: int
    removes: int
    removed: tuple[Key, ...]
    updated: tuple[Key, ...]
    refills: int = 0


NOTHING = Counted(0, 0, (), ())


class _Seen(NamedTuple):
    """`source` is None where it could not be counted in time; `removed`: those of the window at that time;
    `target`, `owed`: records that the target holds, and should, where that was asked for."""

    known: int
    source: int | None
    removed: int
    until: float
    target: int | None = None
    owed: int = 0


class Uncounted(Exception):
    """A policy may ask for what was not counted yet: see `Judge.count`."""

    def __init__(self, removed: int, refills: int) -> None:
        self.removed = removed
        self.refills = refills


def counted(
    decisions: MappingOf[Key, Decision], owned: MappingOf[Key, int], reasons: MappingOf[Key, str]
) -> Counted:
    """Counts a batch's decisions. `owned`: how many records the ledger knows of a source key. A record that
    moves to another target key is no removal."""
    updates = removes = refills = 0
    removed: list[Key] = []
    updated: list[Key] = []
    for key, decision in decisions.items():
        puts, gone = len(decision.puts), len(decision.removes) - decision.absent
        if gone > puts:
            removes += gone - puts
            removed.append(key)
        changed = min(puts, owned[key])
        if changed and reasons[key] not in _PASSES:
            updates += changed
            updated.append(key)
        refills += decision.lost
    return Counted(updates, removes, tuple(removed), tuple(updated), refills)


class Judge:
    """Judges the batches of one consumer."""

    def __init__(
        self, mapping: Mapping, consumer: int, generation: int, door: Door, ledger: Ledger, reader: Reader
    ) -> None:
        self._mapping = mapping
        self._consumer = consumer
        self.generation = generation
        self.seconds = door.guard.window
        self._door = door
        self._ledger = ledger
        self._reader = reader
        self._seen: _Seen | None = None

    def count(self, removed: int, refills: int) -> None:
        """Counts what a policy may ask for: the target only where records of it are missing."""
        begun = time.monotonic()
        known = self._ledger.count(self._consumer)
        source: int | None
        try:
            source = self._reader.count(self._mapping.root.table, max(known, 1))
        except TimedOut:  # a huge table: then what was removed lately must tell
            source = None
        target = self._door.contents().records if refills else None
        owed = self._ledger.owed(self.generation) if refills else 0
        took = time.monotonic() - begun
        until = time.monotonic() + max(_FRESH, _SHARE * took)
        self._seen = _Seen(known, source, removed, until, target, owed)

    def reserve(self, batch: Counted, window: Window) -> Reserved:
        """What the batch counts as. Raises HeldBack, or Uncounted when `count` has to be called before."""
        left = {"remove": batch.removes, "update": batch.updates, REFILL: batch.refills}
        allowed: dict[int, int] = {}
        beyond: list[int] = []
        for hold in window.holds:
            asked = sum(left[kind] for kind in hold.kinds)
            if not asked:
                continue
            _assert_answered(hold)
            if self._fits(hold, batch, asked, window):
                allowed[hold.id] = asked
                left |= dict.fromkeys(hold.kinds, 0)
            else:
                beyond.append(hold.id)
        try:
            self._judge(batch, left["update"], left["remove"], left[REFILL], window)
        except HeldBack as error:
            error.beyond = tuple(beyond)
            raise
        if allowed:
            self._seen = None  # what was allowed is not among what is counted of late
        return Reserved(left["update"], left["remove"], allowed)

    def _fits(self, hold: Hold, batch: Counted, asked: int, window: Window) -> bool:
        """Whether a person has allowed so many more changes, and of these keys where they were named."""
        if not hold.allows(asked, window.allowed.get(hold.id, 0), time.time()):
            return False
        if len(hold.keys) < hold.expected:
            return True
        named = set(hold.keys)
        wanted = {"remove": batch.removed, "update": batch.updated, REFILL: ()}
        return all(key in named for kind in hold.kinds for key in wanted[kind])

    def _judge(self, batch: Counted, updates: int, removes: int, refills: int, window: Window) -> None:
        if not updates and not removes and not refills:
            return
        many = removes > 0 and removes + window.removes >= min(FEW, self._door.guard.free + 1)
        changing = updates > 0 and updates + window.updates > MANY_UPDATES
        filling = refills >= FEW
        seen = self._seen
        if not many and not changing and not filling:
            seen = _Seen(0, None, 0, 0.0)
        elif seen is None or time.monotonic() > seen.until or (filling and seen.target is None):
            raise Uncounted(window.removes, refills)
        removed = max(window.removes - seen.removed, 0)  # since it was counted
        numbers = Numbers(
            updates,
            removes,
            window.updates,
            window.removes,
            max(seen.known - removed, 0),
            seen.source,
            refills=refills,
            target=seen.target,
            owed=seen.owed,
        )
        busy = removes > 0 and window.removes + max(removes, numbers.waiting) > self._door.guard.free
        if changing or busy:
            numbers = _beside_usual(numbers, window)
        self._door.judge(numbers, (*batch.removed, *batch.updated)[:KEYS])


def judge_strangers(door: Door, removes: int, known: int, window: Window) -> Reserved:
    """What the removal of records counts as that no mapping wrote, of `known` records. Raises HeldBack.

    A person asks for it, with all that go: no allowance is for it, and nothing of the source is counted."""
    for hold in window.holds:
        if "remove" in hold.kinds:
            _assert_answered(hold)
    numbers = Numbers(removes=removes, window_removes=window.removes, known=known)
    if removes > 0 and window.removes + removes > door.guard.free:
        numbers = _beside_usual(numbers, window)
    door.judge(numbers)
    return Reserved(removes=removes)


def _assert_answered(hold: Hold) -> None:
    """Raises HeldBack while a person is asked: what is held holds all that is like it."""
    if hold.state != "approved":
        raise HeldBack(hold.policy, Verdict(False, hold.reason, hold.kinds, hold.expected))


def _beside_usual(numbers: Numbers, window: Window) -> Numbers:
    usual = window.usual()
    return numbers if usual is None else numbers._replace(usual=usual.updates, usual_removes=usual.removes)
