"""A mapping's loop, put together of its parts."""

from __future__ import annotations

import threading

from lockstep.engine.derive import Deriver
from lockstep.engine.judged import Judge
from lockstep.engine.lease import Lease
from lockstep.engine.loop import Loop
from lockstep.engine.noting import MappingNotes
from lockstep.engine.take import Taker
from lockstep.guard.door import Door
from lockstep.mapping import Mapping
from lockstep.ports import Reader
from lockstep.state.generations import Consumer
from lockstep.state.store import Store


def assembled(
    mapping: Mapping,
    consumer: Consumer,
    store: Store,
    lease: Lease,
    reader: Reader,
    taker: Taker,
    door: Door,
    notes: MappingNotes,
    *,
    claims: bool,
    arrived: threading.Event,
) -> Loop:
    """The loop of a consumer. `arrived` is set when hints have come."""
    return Loop(
        mapping,
        consumer.id,
        consumer.generation,
        store.journal,
        store.ledger,
        lease,
        taker,
        Deriver(mapping, reader),
        door,
        Judge(mapping, consumer.id, consumer.generation, door, store.ledger, reader),
        claims=claims,
        stuck=notes.count_first(consumer.id),
        arrived=arrived,
    )
