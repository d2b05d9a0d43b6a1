"""Runs, and the passes over all keys that they make."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from lockstep.state import schema
from lockstep.state.books import Books, Unfenced
from lockstep.state.lock import whoami

ASKED, REDRIVE = "asked", "redrive"
"""Reasons of passes that a person asked for."""


class Backfill(Struct, frozen=True):
    """A pass over all keys of a root."""

    id: int
    consumer: int
    reason: str
    total: int
    done: int
    started_at: float
    finished_at: float | None

    @property
    def persons(self) -> bool:
        """Whether a person asked for it."""
        return self.reason in (ASKED, REDRIVE)


class Run(Struct, frozen=True):
    """One `lockstep run`, and what it showed of itself when last seen."""

    id: int
    holder: str
    epoch: int
    started_at: float
    seen_at: float
    ended_at: float | None
    outcome: str | None
    gauges: dict[str, Any]


class Backfills:
    """Passes over all keys of a consumer's root."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def begin(self, epoch: int, consumer: int, reason: str, total: int) -> None:
        """A pass over all keys begins; an unfinished one of the consumer is taken over."""
        with self._database.under(epoch) as connection:
            _begun(connection, consumer, reason, total)

    def ask(self, consumer: int, total: int, reason: str = ASKED) -> None:
        """Somebody asks for a pass over all keys, or those of a redrive, beside a run or without one."""
        with self._database.unfenced(Unfenced.PERSON) as connection:
            _begun(connection, consumer, reason, total)

    def finish(self, epoch: int, consumer: int) -> None:
        """The pass under way, if there is one, has come to its end."""
        known = self.newest(consumer)
        if known is None or known.finished_at is not None:
            return
        with self._database.under(epoch) as connection:
            _finished(connection, consumer, time.time())

    def newest(self, consumer: int) -> Backfill | None:
        """The newest pass of a consumer."""
        table = schema.backfills
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(table).where(table.c.consumer == consumer).order_by(table.c.id.desc()).limit(1)
            ).first()
        return None if row is None else Backfill(*row)

    def of(self, consumer: int, limit: int = 100) -> list[Backfill]:
        """A consumer's passes, the newest first."""
        table = schema.backfills
        statement = sa.select(table).where(table.c.consumer == consumer).order_by(table.c.id.desc())
        with self._database.reading() as connection:
            return [Backfill(*row) for row in connection.execute(statement.limit(limit))]


def _begun(connection: sa.Connection, consumer: int, reason: str, total: int) -> None:
    now = time.time()
    _finished(connection, consumer, now)
    connection.execute(
        schema.backfills.insert(),
        {"consumer": consumer, "reason": reason, "total": total, "done": 0, "started_at": now},
    )


def _finished(connection: sa.Connection, consumer: int, at: float) -> None:
    table = schema.backfills
    unfinished = table.update().where(table.c.consumer == consumer, table.c.finished_at.is_(None))
    connection.execute(unfinished.values(finished_at=at))


class Runs:
    """Every `lockstep run` there was, and what the live one shows of itself."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def begin(self, epoch: int, command: str = "run") -> int:
        """A process follows the sources: `lockstep run`, or another command where no run goes on."""
        now = time.time()
        shown = {"holder": whoami(), "epoch": epoch, "command": command, "gauges": "{}"}
        with self._database.unfenced(Unfenced.OWN) as connection:
            made = connection.execute(schema.runs.insert(), {**shown, "started_at": now, "seen_at": now})
            assert made.inserted_primary_key is not None
            return int(made.inserted_primary_key[0])

    def see(self, run: int, gauges: Mapping[str, Any], outcome: str | None = None) -> None:
        """Leaves what a run shows of itself; with an outcome, that it has ended."""
        now = time.time()
        values: dict[str, Any] = {"seen_at": now, "gauges": json.dumps(gauges)}
        if outcome is not None:
            values |= {"ended_at": now, "outcome": outcome}
        with self._database.unfenced(Unfenced.OWN) as connection:
            connection.execute(schema.runs.update().where(schema.runs.c.id == run).values(**values))

    def last(self) -> Run | None:
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(schema.runs).order_by(schema.runs.c.id.desc()).limit(1)
            ).first()
        if row is None:
            return None
        return Run(
            row.id,
            row.holder,
            row.epoch,
            row.started_at,
            row.seen_at,
            row.ended_at,
            row.outcome,
            json.loads(row.gauges or "{}"),
        )
