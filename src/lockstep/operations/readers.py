"""Whether readers of a target find what Lockstep keeps, before another build is to take its place."""

from __future__ import annotations

from lockstep.declaration.mapping import Mapping
from lockstep.errors import Declined
from lockstep.operations.opened import closed_door
from lockstep.state.store import Store


def assert_moved(mapping: Mapping, number: int, store: Store) -> None:
    """Raises Declined while they still find what stood there before it was taken over into this generation:
    they can be moved from there to none but that."""
    with closed_door(mapping, number, store) as door:
        found = door.readers()
    if found is not None:
        raise Declined(
            f"readers of {mapping.target.name} still find {found}, which was taken over: no other build can "
            "take its place yet",
            f"Move them first: `lockstep move-readers {mapping.name}`.",
        )
