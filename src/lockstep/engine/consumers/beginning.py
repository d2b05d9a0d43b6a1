"""The consumer of a mapping's live build: taken over from whoever filled it, or made where it is new."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial

from lockstep.declaration.mapping import Mapping
from lockstep.engine.consumers.succession import take_over
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.recipe import recipe
from lockstep.state.generations import Consumer
from lockstep.state.store import Store

_beginning = threading.Lock()


def consumer_of(mapping: Mapping, store: Store, lease: Lease, *, claims: bool) -> Consumer:
    """Raises StateInUse while the process that filled the build goes on with it."""
    known = store.generations.consumer(mapping.name, mapping.target.name)
    if known is not None:
        take_over(store, lease, known.generation)
        return known
    made = begin_consumer(mapping, store, lease)
    lease.under(partial(store.generations.note_claims, consumer=made.id, claims=claims))
    passing("begun")
    return made


def begin_anew(store: Store, epoch: int, mappings: Sequence[Mapping]) -> None:
    """A live build in place of one that is given up, with a consumer for each mapping of its target."""
    generation, _, _ = store.generations.begin(epoch, mappings[0].target.name)
    for one in mappings:
        store.generations.begin_consumer(
            epoch, one.name, generation, one.source.name, one.version, recipe(one)
        )


def begin_consumer(mapping: Mapping, store: Store, lease: Lease) -> Consumer:
    """Makes the consumer of the live build; the build too, where its target has none yet."""
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
    lease.under(begin)
    made = store.generations.consumer(mapping.name, mapping.target.name)
    assert made is not None
    return made
