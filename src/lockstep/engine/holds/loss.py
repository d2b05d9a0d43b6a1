"""Loss: what a person is asked of a target that was lost, and how it is filled again once that is allowed."""

from __future__ import annotations

import time
from functools import partial

from lockstep.engine.hints.addressed import everything
from lockstep.engine.holds.asking import Asking
from lockstep.engine.holds.target_watch import TargetWatch
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.errors import TargetReplaced
from lockstep.limits import REFILL
from lockstep.state.generations import Consumer
from lockstep.state.holds import Hold
from lockstep.state.store import Store
from lockstep.values import Trust


class Loss:
    """What was lost of the target of one consumer."""

    def __init__(self, store: Store, lease: Lease, watch: TargetWatch, asking: Asking) -> None:
        self._store = store
        self._lease = lease
        self._watch = watch
        self._asking = asking
        self._refilled: int | None = None

    def ask(self, error: TargetReplaced) -> None:
        """Asks what is to become of a target that is not what it was. Where somebody had allowed that it be
        filled again, that allowance was not for this."""
        if not self._watch.ours:
            return
        lost, allowed = self._watch.named(error), self._asking.refilling
        if allowed is not None:
            lost.held.beyond = (allowed.id,)
        seen = time.time()
        if self._asking.ask(lost.held):
            self._store.events.soon(lost.kind, self._watch.consumer.target, str(lost), at=seen)

    def refill(self) -> None:
        """Begins to fill the target again, where somebody has allowed that; once in the life of a process."""
        allowed = self._asking.refilling
        if allowed is not None and allowed.id != self._refilled:
            hint_all(self._store, self._lease, self._watch.consumer, allowed)
            self._refilled = allowed.id


def hint_all(store: Store, lease: Lease, consumer: Consumer, hold: Hold) -> None:
    """Hints every key of a mapping, to be compared with what its target holds. So with the other mappings of
    that target which are not held: one that was not looking when it was lost must not take it for whole."""
    for other in store.generations.following(consumer.generation):
        mine = other.id == consumer.id
        if other.state == "retired":
            continue
        if not mine and any(REFILL in one.kinds for one in store.holds.of(other.id)):
            continue  # it was decided with this one, and does it itself
        store.journal.append([everything(other.id, "", Trust.TARGET)])
        passing("hinted")
        begin = partial(
            store.backfills.begin,
            consumer=other.id,
            reason=f"what the target has lost is written anew (hold {hold.id})",
            total=store.ledger.count(other.id),
        )
        lease.under(begin)
