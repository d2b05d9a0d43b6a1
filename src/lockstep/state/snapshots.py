"""Saved states of targets: which writes each holds for certain, and whether it was ever proven."""

from __future__ import annotations

import time
from collections.abc import Mapping

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lockstep.state import schema
from lockstep.state.books import Books, Unfenced
from lockstep.values import Saved, Version


class Taken(Struct, frozen=True):
    """What a saved state holds of one mapping: everything that was written with a version below `since`, by
    the mapping of this `version`, as consumer `consumer`."""

    consumer: int
    version: str
    since: Version


class Snapshot(Struct, frozen=True):
    """One saved state of a target. `state`: taking, whole, failed (never whole),
    damaged (not whole any more), forgotten."""

    id: int
    target: str
    generation: int
    name: str
    state: str
    reason: str | None
    begun_at: float
    taken_at: float | None
    records: int | None
    size: int | None
    proven_at: float | None
    mappings: dict[str, Taken]


class Snapshots:
    """The saved states of every target."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def begin(self, target: str, generation: int, mappings: Mapping[str, Taken]) -> Snapshot:
        """One is being taken from now on."""
        body = msgspec.json.encode(dict(mappings)).decode()
        values = {
            "target": target,
            "generation": generation,
            "state": "taking",
            "begun_at": time.time(),
            "body": body,
        }
        table = schema.snapshots
        with self._database.unfenced(Unfenced.OWN) as connection:
            newest = connection.scalar(sa.select(sa.func.max(table.c.id))) or 0
            moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
            values["name"] = f"{moment}-{newest + 1}"
            made = connection.execute(table.insert(), values)
            assert made.inserted_primary_key is not None
            number = int(made.inserted_primary_key[0])
        found = self.get(number)
        assert found is not None
        return found

    def whole(self, number: int, saved: Saved) -> None:
        """It is whole, and can be restored."""
        self._set(number, state="whole", taken_at=time.time(), records=saved.records, size=saved.size)

    def failed(self, number: int, reason: str) -> None:
        """It never became whole, for a reason."""
        self._set(number, state="failed", reason=reason)

    def spoilt(self, number: int, reason: str) -> None:
        """It was whole and cannot be restored any more, for a reason."""
        self._set(number, state="damaged", reason=reason)

    def forgotten(self, number: int) -> None:
        """It is not there any more."""
        self._set(number, state="forgotten")

    def proven(self, number: int) -> None:
        """It was restored, brought up to date, and shown to agree."""
        self._set(number, proven_at=time.time())

    def _set(self, number: int, **values: object) -> None:
        table = schema.snapshots
        with self._database.unfenced(Unfenced.OWN) as connection:
            connection.execute(table.update().where(table.c.id == number).values(**values))

    def get(self, number: int) -> Snapshot | None:
        """A saved state by its number."""
        return next(iter(self._found(schema.snapshots.c.id == number)), None)

    def of(self, target: str | None = None, *states: str) -> list[Snapshot]:
        """Saved states, the oldest first; of one target where it is named."""
        conditions = [] if target is None else [schema.snapshots.c.target == target]
        return self._found(*conditions, *([schema.snapshots.c.state.in_(states)] if states else []))

    def newest(self) -> list[Snapshot]:
        """The newest of each target that is whole."""
        table = schema.snapshots
        last = sa.select(sa.func.max(table.c.id)).where(table.c.state == "whole").group_by(table.c.target)
        return self._found(table.c.id.in_(last))

    def oldest(self) -> float | None:
        """When the oldest that could be restored was begun."""
        table = schema.snapshots
        with self._database.reading() as connection:
            found = connection.scalar(
                sa.select(sa.func.min(table.c.begun_at)).where(table.c.state.in_(["taking", "whole"]))
            )
        return None if found is None else float(found)

    def _found(self, *conditions: sa.ColumnElement[bool]) -> list[Snapshot]:
        table = schema.snapshots
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(table).where(*conditions).order_by(table.c.id)).all()
        return [
            Snapshot(
                row.id,
                row.target,
                row.generation,
                row.name,
                row.state,
                row.reason,
                row.begun_at,
                row.taken_at,
                row.records,
                row.size,
                row.proven_at,
                msgspec.json.decode(row.body, type=dict[str, Taken]),
            )
            for row in rows
        ]
