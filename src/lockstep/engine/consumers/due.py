"""What comes due by itself: keys to be tried again, and dates that mappings asked about."""

from __future__ import annotations

import time

from lockstep.engine.consumers.loop import Loop
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.state.store import Store
from lockstep.values import Lane, Trust


def hint_due(loop: Loop, store: Store, lease: Lease, consumer: int) -> None:
    """Hints what of a consumer has come due."""
    now = time.time()
    retries = lease.under(lambda epoch: store.stuck.due(epoch, consumer, now, 1_000))
    if retries:
        passing("retrying")
        loop.hint(retries, "retry", Trust.LEDGER, Lane.BULK, origin=1)
    due = lease.under(lambda epoch: store.ledger.due(epoch, consumer, now, 1_000))
    if due:
        loop.hint(due, "clock", Trust.LEDGER, Lane.BULK, origin=1)
