"""What happened, as the timeline tells it: what no other table says."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lockstep.database import Database
from lockstep.state import schema


class Event(Struct, frozen=True):
    """Something that happened to `subject`: a mapping, a source or a target. `who`, `why`: of a person."""

    at: float
    kind: str
    subject: str
    text: str
    who: str | None = None
    why: str | None = None
    numbers: dict[str, Any] | None = None


class Events:
    """Append-only; read by time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(
        self,
        kind: str,
        subject: str,
        text: str,
        *,
        who: str | None = None,
        why: str | None = None,
        numbers: dict[str, Any] | None = None,
    ) -> None:
        """Records, durably, that this happened now."""
        encoded = None if numbers is None else msgspec.json.encode(numbers).decode()
        with self._database.writing() as connection:
            connection.execute(
                schema.events.insert().values(
                    at=time.time(), kind=kind, subject=subject, text=text, who=who, why=why, numbers=encoded
                )
            )

    def since(self, after: float, until: float | None = None) -> list[Event]:
        """Events from a time on, in the order in which they were noted."""
        table = schema.events
        query = sa.select(table).where(table.c.at >= after).order_by(table.c.id)
        if until is not None:
            query = query.where(table.c.at < until)
        with self._database.reading() as connection:
            return [
                Event(
                    row.at,
                    row.kind,
                    row.subject,
                    row.text,
                    row.who,
                    row.why,
                    None if row.numbers is None else msgspec.json.decode(row.numbers),
                )
                for row in connection.execute(query)
            ]
