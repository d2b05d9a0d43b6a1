"""Keys whose derivation or write failed, and when to try them again."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import sqlalchemy as sa
from msgspec import Struct

from lockstep.state import schema
from lockstep.state.books import Books, Unfenced
from lockstep.values import Key


class Stuck(Struct, frozen=True):
    """A key whose derivation or write failed, and why."""

    mapping: str
    key: Key
    stage: str
    error: str
    remedy: str
    claim: Key | None
    attempts: int
    first_at: float
    last_at: float
    retry_at: float | None


class StuckKeys:
    """What is stuck. Settling writes it (`state.ledger`); this reads it and asks for another try."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def of(self, consumer: int, keys: Sequence[Key] | None = None, limit: int = 1000) -> list[Stuck]:
        """A consumer's stuck keys, the longest stuck first."""
        table = schema.stuck
        statement = (
            sa.select(table, schema.consumers.c.mapping)
            .join(schema.consumers, schema.consumers.c.id == table.c.consumer)
            .where(table.c.consumer == consumer)
            .order_by(table.c.first_at)
            .limit(limit)
        )
        if keys is not None:
            statement = statement.where(table.c.key.in_(list(keys)))
        with self._database.reading() as connection:
            return [
                Stuck(
                    row.mapping,
                    row.key,
                    row.stage,
                    row.error,
                    row.remedy,
                    row.claim,
                    row.attempts,
                    row.first_at,
                    row.last_at,
                    row.retry_at,
                )
                for row in connection.execute(statement)
            ]

    def count(self, consumer: int) -> int:
        table = schema.stuck
        with self._database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).where(table.c.consumer == consumer)) or 0

    def due(self, epoch: int, consumer: int, now: float, limit: int, *, early: bool = False) -> list[Key]:
        """Stuck keys whose time to try again has come; `early`: or is next. Each is named once: hint them."""
        table = schema.stuck
        with self._database.reading() as connection:
            keys = list(
                connection.scalars(
                    sa.select(table.c.key)
                    .where(
                        table.c.consumer == consumer,
                        table.c.retry_at <= (sys.float_info.max if early else now),
                    )
                    .order_by(table.c.retry_at)
                    .limit(limit)
                )
            )
        if keys:
            with self._database.under(epoch) as connection:
                connection.execute(
                    table.update()
                    .where(table.c.consumer == consumer, table.c.key.in_(keys))
                    .values(retry_at=now + 600)  # should the hint be lost, it comes again
                )
        return keys

    def retry_all(self, consumer: int) -> int:
        """Makes every stuck key of a consumer due now; how many. The run hints them."""
        table = schema.stuck
        with self._database.unfenced(Unfenced.PERSON) as connection:
            return connection.execute(
                table.update().where(table.c.consumer == consumer).values(retry_at=time.time())
            ).rowcount
