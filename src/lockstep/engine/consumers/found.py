"""Finding: what a target holds of a mapping whose ledger was lost, or that was restored without one."""

from __future__ import annotations

import logging
from collections import defaultdict
from functools import partial

from lockstep.declaration.mapping import Mapping
from lockstep.engine.lease import Lease
from lockstep.guard.door import Door
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Key

_AT_ONCE = 1_000

log = logging.getLogger("lockstep")


def find(
    mapping: Mapping, consumer: Consumer, store: Store, lease: Lease, door: Door, *, claims: bool
) -> None:
    """Enters what the target holds of this mapping, as its records say, where the ledger does not know it."""
    if not store.generations.adopted(consumer):
        return
    log.warning(
        "mapping %s: no ledger is left of what the target holds, so its records are read", mapping.name
    )
    after: Key | None = None
    while page := door.scan(after, _AT_ONCE):
        after = page[-1].key
        found: defaultdict[Key, list[Key]] = defaultdict(list)
        for held in page:
            if held.meta is not None and held.meta.mapping == mapping.name:
                found[held.meta.key].append(held.key)
        enter = partial(
            store.ledger.adopt,
            generation=consumer.generation,
            consumer=consumer.id,
            found=found,
            default=mapping.default_key,
            claiming=claims,
        )
        lease.under(enter)
    lease.under(partial(store.generations.note_found, consumer=consumer.id))
