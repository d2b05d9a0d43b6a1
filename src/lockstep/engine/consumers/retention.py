"""Retention: a consumer that does not get on holds the journal back only so long.

What waits for it is replaced by one hint of everything, which is recorded and said: nothing is lost but the
knowledge of which keys had changed. One that works is never overtaken, however far behind it is.
"""

from __future__ import annotations

import itertools
import logging
import time
from functools import partial

from lockstep.engine.hints.addressed import everything
from lockstep.engine.lease import Lease
from lockstep.state.generations import Consumer
from lockstep.state.positions import settled_to
from lockstep.state.store import Store
from lockstep.values import (
    PARTITIONS,
    Lane,
    Trust,
)

log = logging.getLogger("lockstep")

LONG = 7 * 86_400.0
"""Seconds for which hints wait for one that does not get on."""

MANY = 5_000_000
"""Hints that wait for it at most: half a gigabyte of journal, about."""

YOUNG = 3_600.0
"""Seconds for which a hint is kept in any case: its transaction may not be visible to readers yet."""


def too_much(store: Store, consumer: Consumer) -> str | None:
    """Why a consumer that does not get on is to be overtaken, in words."""
    positions = store.positions.of(consumer.id)
    waiting, oldest = 0, time.time()
    for stream, lane in itertools.product(consumer.streams, Lane):
        settled = settled_to(positions, stream, lane)
        waiting += store.journal.waiting(stream, lane, settled)
        oldest = min(oldest, store.journal.oldest(stream, lane, settled) or oldest)
    days = (time.time() - oldest) / 86_400
    if waiting > MANY:
        return f"{waiting:,} hints wait for it, more than {MANY:,}"
    if days * 86_400 > LONG:
        return f"hints have been waiting for it for {days:.0f} days"
    return None


def overtake(store: Store, lease: Lease, consumer: Consumer, table: str, why: str) -> None:
    """One hint of everything, and then the positions behind what it stands for: a crash between the two
    leaves both. Nobody may be working for this consumer meanwhile."""
    end = store.journal.before(time.time() - YOUNG)
    if end is None:
        return
    store.journal.append([everything(consumer.id, table, Trust.TARGET)])
    known = store.positions.of(consumer.id)
    lifted = {
        place: {
            partition: max(end, known.get(place, {}).get(partition, 0)) for partition in range(PARTITIONS)
        }
        for place in itertools.product(consumer.streams, Lane)
    }
    lease.under(lambda epoch: store.positions.place(epoch, consumer.id, lifted))
    reason = f"overtaken by the journal's retention: {why}"
    total = store.ledger.count(consumer.id)
    lease.under(partial(store.backfills.begin, consumer=consumer.id, reason=reason, total=total))
    log.warning(
        "mapping %s does not get on, and %s: they are replaced by one pass over all its keys, which is made "
        "once it goes on, compared with the target. Nothing is lost. See why it does not get on: "
        "`lockstep status`.",
        *(consumer.mapping, why),
    )
