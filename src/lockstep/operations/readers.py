"""Whether readers of a target find what Lockstep keeps, before another build is to take its place."""

from __future__ import annotations

from lockstep.declaration.mapping import Mapping
from lockstep.errors import Declined
from lockstep.guard.door import Door
from lockstep.operations.opened import closed_door
from lockstep.ports import Copying
from lockstep.state.store import Store


def assert_moved(mapping: Mapping, number: int, store: Store) -> None:
    """Raises Declined while they still find what stood there before it was taken over into this generation:
    they can be moved from there to none but that."""
    with closed_door(mapping, number, store) as door:
        assert_not_lost(mapping, number, store, door)
        found = door.readers()
    if found is not None:
        raise Declined(
            f"readers of {mapping.target.name} still find {found}, which was taken over: no other build can "
            "take its place yet",
            f"Move them first: `lockstep move-readers {mapping.name}`.",
        )


def lost(door: Door) -> bool:
    """Whether a build that was made of records of others is gone, and readers find those still."""
    there = door.foreign_if_any()
    return isinstance(there, Copying) and there.marker() is None and there.records() is not None


def assert_not_lost(mapping: Mapping, number: int, store: Store, door: Door) -> None:
    """Raises Declined where it is, with what brings it back."""
    if not lost(door):
        return
    name = mapping.target.name
    again = f"`lockstep adopt {mapping.name}` takes over again what readers find"
    saved = f"`lockstep restore {name}` brings back the newest saved state. Or {again}."
    raise Declined(
        f"generation {number} of {name} is gone, and readers find what is not Lockstep's: nothing can be "
        "built beside that",
        saved if store.snapshots.of(name, "whole") else f"{again}.",
    )
