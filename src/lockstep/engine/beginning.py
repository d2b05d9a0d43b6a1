"""The consumer of a mapping's live build: taken over from whoever filled it, or made where it is new."""

from __future__ import annotations

import threading
from functools import partial

from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.recipe import recipe
from lockstep.engine.succession import take_over
from lockstep.mapping import Mapping
from lockstep.state.generations import Consumer
from lockstep.state.store import Store

_beginning = threading.Lock()


def consumer_of(mapping: Mapping, store: Store, lease: Lease, *, claims: bool) -> Consumer:
    """Raises StateInUse while the process that filled the build goes on with it."""
    known = store.generations.consumer(mapping.name, mapping.target.name)
    if known is not None:
        take_over(store, lease, known.generation)
        return known
    with _beginning:  # another source may write the same target
        generation = lease.under(partial(store.generation_of, target=mapping.target.name))
    begin = partial(
        store.generations.begin_consumer,
        mapping=mapping.name,
        generation=generation[0],
        source=mapping.source.name,
        version=mapping.version,
        recipe=recipe(mapping),
    )
    made = lease.under(begin)
    lease.under(partial(store.generations.note_claims, consumer=made, claims=claims))
    passing("begun")
    known = store.generations.consumer(mapping.name, mapping.target.name)
    assert known is not None
    return known
