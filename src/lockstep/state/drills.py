"""Rehearsals of a restore, and what they showed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lockstep.state import schema
from lockstep.state.books import Books, Unfenced


class Drill(Struct, frozen=True):
    """One rehearsal. `outcome`: running, passed, failed."""

    id: int
    target: str
    snapshot: str
    begun_at: float
    ended_at: float | None
    outcome: str
    reason: str | None
    numbers: dict[str, Any]


class Drills:
    """Every rehearsal there was."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def begin(self, target: str, snapshot: str) -> int:
        """One begins; its number."""
        values = {"target": target, "snapshot": snapshot, "begun_at": time.time()}
        with self._database.unfenced(Unfenced.OWN) as connection:
            made = connection.execute(
                schema.drills.insert(), {**values, "outcome": "running", "numbers": "{}"}
            )
            assert made.inserted_primary_key is not None
            return int(made.inserted_primary_key[0])

    def end(self, number: int, outcome: str, reason: str | None, numbers: Mapping[str, Any]) -> None:
        """It has passed or failed, with its figures."""
        table = schema.drills
        values = {
            "outcome": outcome,
            "reason": reason,
            "ended_at": time.time(),
            "numbers": msgspec.json.encode(dict(numbers)).decode(),
        }
        with self._database.unfenced(Unfenced.OWN) as connection:
            connection.execute(table.update().where(table.c.id == number).values(**values))

    def newest(self) -> list[Drill]:
        """The last rehearsal of each target that has ended."""
        table = schema.drills
        last = sa.select(sa.func.max(table.c.id)).where(table.c.outcome != "running").group_by(table.c.target)
        return self._found(table.c.id.in_(last))

    def of(self, target: str | None = None) -> list[Drill]:
        """The rehearsals of a target, or of all, the oldest first."""
        return self._found(*([] if target is None else [schema.drills.c.target == target]))

    def _found(self, *conditions: sa.ColumnElement[bool]) -> list[Drill]:
        table = schema.drills
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(table).where(*conditions).order_by(table.c.id)).all()
        return [Drill(**{**row._mapping, "numbers": msgspec.json.decode(row.numbers)}) for row in rows]
