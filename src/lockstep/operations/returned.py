"""Records that Lockstep has removed, as their source went, and that others have written again."""

from __future__ import annotations

from lockstep.declaration.mapping import Mapping
from lockstep.guard.door import Door
from lockstep.state.store import Store
from lockstep.values import Version


def standing_again(mapping: Mapping, store: Store, door: Door) -> int:
    """How many records of nobody's stand where one was removed, as far back as removals are remembered (a
    week, or the oldest saved state). 0 where a target key does not follow from the source key."""
    consumer = store.generations.consumer(mapping.name, mapping.target.name)
    if consumer is None or not mapping.key_is_root_key:
        return 0
    return sum(
        held.meta is None
        for page in store.inheritance.removed(consumer.id, Version(0))
        for held in door.read([mapping.default_key(key) for key in page]).values()
    )
