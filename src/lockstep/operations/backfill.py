"""backfill: every key of a mapping is hinted again; with `rebuild`, into a new generation."""

from __future__ import annotations

import contextlib

from msgspec import Struct

from lockstep.database import Access
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine.consumers.beginning import begin_anew
from lockstep.engine.hints.addressed import addressed, everything
from lockstep.errors import DeclarationError, Declined
from lockstep.operations.opened import closed_door, consumer_of, existing, parse_keys
from lockstep.operations.readers import assert_moved
from lockstep.state.events import Kind
from lockstep.state.generations import Consumer
from lockstep.state.lock import user
from lockstep.state.store import Store
from lockstep.values import Lane, Trust


class Asked(Struct, frozen=True):
    """What was asked for. `running`: who will carry it out, None when the next run will."""

    mapping: str
    keys: int
    generation: int
    running: str | None


def backfill(
    pipeline: Pipeline,
    mapping: str,
    typed: tuple[str, ...] = (),
    *,
    trust_target: bool = False,
    rebuild: bool = False,
) -> Asked:
    """Asks the run to derive all keys again (or those named). Equal records are not written.

    `trust_target`: compare with what the target holds now, not with the ledger: for a target that
    somebody else changed. `rebuild`: a new generation, empty, which the run fills: for a target that
    is lost. Takes the lock for that, so no run may be going on. Raises StateInUse, StateError.
    """
    require_pipeline(pipeline)
    declared = pipeline.named(mapping)
    if typed and rebuild:
        raise DeclarationError("rebuild is of all keys", "Leave the keys out, or leave rebuild out.")
    with existing(pipeline, Access.CHANGE) as store:
        consumer = consumer_of(store, mapping, declared.target.name)

        def note(what: str, **numbers: int) -> None:
            compared = ", compared with the target" if trust_target else ""
            store.events.note(
                Kind.BACKFILL_ASKED, mapping, f"asked for {what}{compared}", who=user(), numbers=numbers
            )

        trust = Trust.TARGET if trust_target else Trust.LEDGER
        table = declared.root.table
        if typed:
            wanted = parse_keys(declared, typed)
            store.journal.append(addressed(consumer.id, table.name, wanted, "asked", trust, Lane.LIVE))
            note(f"{len(wanted):,} keys", keys=len(wanted))
            return Asked(mapping, len(wanted), consumer.number, store.lock.holder())
        with contextlib.closing(declared.source.reader()) as reader:
            total = reader.estimate(table)
        if rebuild:
            number = _begun_anew(pipeline, declared, consumer, store)
            note(f"a new build, {number}, of {declared.target.name}", generation=number)
            return Asked(mapping, total, number, None)
        store.journal.append([everything(consumer.id, table.name, trust)])
        store.backfills.ask(consumer.id, total)
        note("all keys", keys=total)
        return Asked(mapping, total, consumer.number, store.lock.holder())


def _begun_anew(pipeline: Pipeline, mapping: Mapping, consumer: Consumer, store: Store) -> int:
    """The number of another generation of the target, which the next run makes and fills."""
    store.lock.take()
    assert_moved(mapping, consumer.number, store)
    _room(mapping, consumer.number + 1, store)
    epoch = store.draw_epoch()  # a run that lost its lock must not go on with the old one
    begin_anew(store, epoch, pipeline.filling(mapping.target))
    return consumer_of(store, mapping.name, mapping.target.name).number


def _room(mapping: Mapping, number: int, store: Store) -> None:
    """Raises Declined when something stands where the next generation would be built."""
    with closed_door(mapping, number, store) as door:
        if door.identity() is not None:
            raise Declined(
                f"{mapping.target.name} has no room for another build beside the present one",
                "Remove the present one by hand (such as DROP TABLE), then ask again.",
            )
