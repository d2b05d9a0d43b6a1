"""The parts of a ledger transaction: each takes the connection that the transaction is open on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from lockstep.database import upsert
from lockstep.errors import LeaseLost
from lockstep.state import schema
from lockstep.state.rows import Claimed, Intent, Settlement
from lockstep.values import Key

CHUNK = 900
"""Keys in one statement."""


def fence(connection: sa.Connection, epoch: int) -> None:
    newest = connection.scalar(sa.select(sa.func.max(schema.leases.c.epoch)))
    if newest is not None and newest > epoch:
        raise LeaseLost(
            f"epoch {epoch} is over: {newest} was drawn since",
            "Nothing is lost. Only one `lockstep run` may work a state store; end the other one.",
        )


def position_rows(done: Settlement) -> Iterable[dict[str, Any]]:
    for (stream, lane), partitions in done.positions.items():
        for partition, offset in partitions.items():
            yield {
                "consumer": done.consumer,
                "stream": stream,
                "lane": lane.value,
                "partition": partition,
                "offset": offset,
            }


def delete_keys(connection: sa.Connection, table: sa.Table, consumer: int, keys: Sequence[Key]) -> None:
    for start in range(0, len(keys), CHUNK):
        connection.execute(
            table.delete().where(table.c.consumer == consumer, table.c.key.in_(keys[start : start + CHUNK]))
        )


def claim(connection: sa.Connection, generation: int, consumer: int, intent: Intent) -> Claimed | None:
    """Claims what one source key is about to put: all of it, or nothing and who owns the first taken."""
    table = schema.claims
    free: list[Key] = []
    for target_key in intent.puts:
        owner = connection.execute(
            sa.select(table).where(table.c.generation == generation, table.c.target_key == target_key)
        ).first()
        if owner is None:
            free.append(target_key)
        elif (owner.consumer, owner.key) != (consumer, intent.key):
            return Claimed(target_key, owner.consumer, owner.key)
    if free:
        connection.execute(
            table.insert(),
            [
                {"generation": generation, "target_key": one, "consumer": consumer, "key": intent.key}
                for one in free
            ],
        )
    return None


def release(
    connection: sa.Connection, generation: int, consumer: int, released: Sequence[tuple[Key, Key]]
) -> list[tuple[int, Key]]:
    waiting: list[tuple[int, Key]] = []
    for target_key, key in released:
        connection.execute(
            schema.claims.delete().where(
                schema.claims.c.generation == generation,
                schema.claims.c.target_key == target_key,
                schema.claims.c.consumer == consumer,
                schema.claims.c.key == key,
            )
        )
        for row in connection.execute(
            sa.select(schema.stuck.c.consumer, schema.stuck.c.key)
            .join(schema.consumers, schema.consumers.c.id == schema.stuck.c.consumer)
            .where(schema.stuck.c.claim == target_key, schema.consumers.c.generation == generation)
        ):
            waiting.append((row.consumer, row.key))
    return waiting


def came_late(connection: sa.Connection, generation: int, done: Settlement) -> list[tuple[int, Key]]:
    """Keys that wait from now on for a target key which was released before they did: nobody else would
    tell them."""
    table = schema.claims
    return [
        (done.consumer, failure.key)
        for failure in done.failures
        if failure.claim is not None
        and not connection.execute(
            sa.select(table.c.key).where(
                table.c.generation == generation, table.c.target_key == failure.claim
            )
        ).first()
    ]


_FIRST_RETRY, _LONGEST_RETRY = 1.0, 300.0


def record_failures(connection: sa.Connection, done: Settlement, now: float) -> None:
    table = schema.stuck
    for failure in done.failures:
        known = connection.execute(
            sa.select(table.c.attempts, table.c.first_at).where(
                table.c.consumer == done.consumer, table.c.key == failure.key
            )
        ).first()
        attempts = (known.attempts if known else 0) + 1
        wait = min(_FIRST_RETRY * 2 ** min(attempts - 1, 20), _LONGEST_RETRY)
        upsert(
            connection,
            table,
            [
                {
                    "consumer": done.consumer,
                    "key": failure.key,
                    "stage": failure.stage,
                    "error": failure.error,
                    "remedy": failure.remedy,
                    "claim": failure.claim,
                    "attempts": attempts,
                    "first_at": known.first_at if known else now,
                    "last_at": now,
                    "retry_at": now + wait if failure.retriable else None,
                }
            ],
        )
