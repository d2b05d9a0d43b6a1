"""Whether what stands where a mapping's target would be can be taken over, in the words of a run."""

from __future__ import annotations

from typing import NamedTuple

from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.holds.target_watch import mend_of_lost
from lockstep.errors import Declined, TargetReplaced
from lockstep.guard.door import Door
from lockstep.operations.opened import closed_door
from lockstep.operations.readers import lost
from lockstep.ports import assert_same_build, half_adopted, half_taken
from lockstep.state.store import Store


class Known(NamedTuple):
    """What a state store knows of the build that would be taken over. `rows`: the keys of this mapping in its
    ledger; `stood`: that it was there once; `lost`: one that was made of records of others is gone, so that
    another is begun in its place; `others`: the mappings that write there too."""

    number: int = 1
    marker: str | None = None
    rows: int = 0
    stood: bool = False
    lost: bool = False
    others: tuple[str, ...] = ()


def known_of(pipeline: Pipeline, declared: Mapping, store: Store | None) -> Known:
    """`store` is None where nothing ever ran."""
    others = tuple(one.name for one in pipeline.beside(declared))
    live = None if store is None else store.generations.live(declared.target.name)
    if store is None or live is None:
        return Known(others=others)
    _, number, marker, identity = live
    consumer = store.generations.consumer(declared.name, declared.target.name)
    rows = 0 if consumer is None else store.ledger.count(consumer.id)
    stood = identity is not None or rows > 0
    with closed_door(declared, number, store) as door:
        if stood and lost(door):
            return Known(store.generations.next(declared.target.name), lost=True, others=others)
    return Known(number, marker, rows, stood, others=others)


def left_out(declared: Mapping, known: Known, store: Store) -> tuple[str, ...]:
    """The mappings of the same target that have taken over nothing, and written nothing."""
    found = {name: store.generations.consumer(name, declared.target.name) for name in known.others}
    return tuple(name for name, one in found.items() if one is None or not store.ledger.count(one.id))


def nothing_there(declared: Mapping, door: Door, known: Known) -> str | None:
    """Why there is nothing to take over: "absent", as nothing stands there, or "nothing", as no record does.

    Raises TargetReplaced where what stood there is gone, Declined where no run could make it either, or where
    what stands there is another state store's, or ours already.
    """
    foreign = door.foreign()
    marker = foreign.marker()
    _assert_free(declared, marker, known)
    records = foreign.records()
    if records is None and known.stood:
        raise TargetReplaced(
            f"{declared.target.name} (generation {known.number}) is gone: there is nothing to adopt",
            f"{mend_of_lost(declared)}.",
        )
    if records is None:
        for finding in declared.target.check():
            if finding.blocks:
                raise Declined(f"{finding.subject}: {finding.problem}", finding.mend)
        return "absent"
    return None if records or half_taken(marker, known.marker) is not None else "nothing"


def _assert_free(declared: Mapping, found: str | None, known: Known) -> None:
    """Raises Declined where the marker is another state store's, the mapping has written already, or another
    mapping has taken over half of what it means: the next run would write over the rest."""
    if found is None:
        return
    name = declared.target.name
    assert_same_build(name, found, known.marker)
    half = half_taken(found, known.marker)
    if half in known.others:
        raise half_adopted(name, half, declared.name, then="; then ask again.")
    if half is None and known.rows:
        raise Declined(
            f"{name} is taken over already: the ledger of {declared.name} knows {known.rows:,} keys",
            f"`lockstep verify {declared.name} --deep` shows what differs, `lockstep repair {declared.name}` "
            "mends it.",
        )
