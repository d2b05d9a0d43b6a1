"""Intents: which source and target keys a batch is about to write, durable before it is sent."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from lockstep.database import upsert_rows
from lockstep.state import schema
from lockstep.state.counted import Reserved
from lockstep.state.rows import COLUMNS, Intent, Owned, Row, decode_intent, encode, owns, to_columns
from lockstep.values import Key, Version


def noted(
    connection: sa.Connection,
    consumer: int,
    version: Version,
    intents: Sequence[Intent],
    refused: Container[Key],
    reserved: Reserved,
) -> None:
    """Notes what a batch is about to write. A `refused` source key only removes; `reserved`: what the batch
    counts as."""
    body = [
        (one.key, (*(() if one.key in refused else one.puts), *one.removes))
        for one in intents
        if one.key not in refused or one.removes
    ]
    if body:
        connection.execute(
            schema.intents.insert(),
            {"consumer": consumer, "version": version, "body": encode(body), "at": time.time()}
            | reserved.columns(),
        )


def touched(connection: sa.Connection, consumer: int) -> dict[Key, set[Key]]:
    """The source keys of every intent that stands, each with the target keys it may have written."""
    bodies = connection.scalars(
        sa.select(schema.intents.c.body).where(schema.intents.c.consumer == consumer)
    ).all()
    found: dict[Key, set[Key]] = {}
    for body in bodies:
        for key, target_keys in decode_intent(body):
            found.setdefault(key, set()).update(target_keys)
    return found


def void(
    connection: sa.Connection,
    consumer: int,
    known: Mapping[Key, Row],
    found: Mapping[Key, Iterable[Key]],
    default: Callable[[Key], Key],
) -> None:
    """Makes void rows of source keys, which own the target keys that were found with them too. `known`: their
    rows; `default` gives the target key of one in short form."""
    voided = []
    for key, target_keys in found.items():
        row = known.get(key, Row(key))
        targets = {owned.key: owned for owned in owns(row, default)}
        targets |= {target_key: Owned(target_key) for target_key in target_keys}
        voided.append(
            to_columns(consumer, msgspec.structs.replace(row, void=True, targets=tuple(targets.values())))
        )
    upsert_rows(connection, schema.ledger, COLUMNS, voided)
