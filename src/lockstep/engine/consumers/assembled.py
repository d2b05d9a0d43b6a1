"""A mapping's loop, put together of its parts."""

from __future__ import annotations

import threading

from lockstep.engine.consumers.given import Given
from lockstep.engine.consumers.loop import Loop
from lockstep.engine.deriving.derive import Deriver
from lockstep.engine.hints.take import Taker
from lockstep.engine.noting import MappingNotes
from lockstep.engine.writing.judged import Judge
from lockstep.guard.door import Door
from lockstep.state.generations import Consumer


def assembled(
    given: Given, consumer: Consumer, taker: Taker, door: Door, notes: MappingNotes, arrived: threading.Event
) -> Loop:
    """The loop of a consumer. `arrived` is set when hints have come."""
    mapping, store = given.mapping, given.store
    return Loop(
        mapping,
        consumer.id,
        consumer.generation,
        store.journal,
        store.ledger,
        given.lease,
        taker,
        Deriver(mapping, given.reader),
        door,
        Judge(mapping, consumer.id, consumer.generation, door, store.ledger, given.reader),
        claims=given.claims,
        stuck=notes.count_first(consumer.id),
        arrived=arrived,
    )
