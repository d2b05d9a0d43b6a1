"""Refill: what a target has lost is written anew row by row, as a person has allowed."""

from __future__ import annotations

import time
from functools import partial

from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.limits import REFILL
from lockstep.state.generations import Consumer
from lockstep.state.holds import Hold
from lockstep.state.store import Store
from lockstep.values import EVERYTHING, Entry, Hint, Lane, Trust, consumer_stream


def refill(store: Store, lease: Lease, consumer: Consumer, hold: Hold) -> None:
    """Hints every key of a mapping, to be compared with what its target holds. So with the other mappings of
    that target which are not held: one that was not looking when it was lost must not take it for whole."""
    for other in store.generations.following(consumer.generation):
        mine = other.id == consumer.id
        if other.state == "retired":
            continue
        if not mine and any(REFILL in one.kinds for one in store.holds.of(other.id)):
            continue  # it was decided with this one, and does it itself
        hint = Hint("", span=EVERYTHING, reason="backfill", trust=Trust.TARGET, at=time.time())
        store.journal.append([Entry(consumer_stream(other.id), Lane.BULK, 0, (hint,))])
        passing("hinted")
        begin = partial(
            store.backfills.begin,
            consumer=other.id,
            reason=f"what the target has lost is written anew (hold {hold.id})",
            total=store.ledger.count(other.id),
        )
        lease.under(begin)
