"""What writers note of targets that have no place for it: see `lockstep.ports.notes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from lockstep.database import upsert
from lockstep.ports.notes import Amendment, Note
from lockstep.state import schema
from lockstep.state.books import Books
from lockstep.values import Key

_AT_ONCE = 500


class TargetNotes:
    """The notes on every generation of every target."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def read(self, target: str, number: int, kind: str, keys: Sequence[Key]) -> dict[Key, bytes]:
        with self._database.reading() as connection:
            return _read(connection, target, number, kind, keys)

    def scan(
        self, target: str, number: int, kind: str, after: Key | None, limit: int
    ) -> list[tuple[Key, bytes]]:
        statement = _of(target, number, kind).order_by(schema.notes.c.key).limit(limit)
        if after is not None:
            statement = statement.where(schema.notes.c.key > bytes(after))
        with self._database.reading() as connection:
            return [(Key(bytes(row.key)), bytes(row.body)) for row in connection.execute(statement)]

    def write(
        self,
        epoch: int,
        target: str,
        number: int,
        notes: Sequence[Note],
        amended: Sequence[Amendment] = (),
    ) -> None:
        """All or none. Raises LeaseLost when this epoch is over."""
        with self._database.under(epoch) as connection:
            holding = _holding(connection, target, number, amended)
            _write(connection, target, number, {(one.kind, one.key): one.body for one in notes})
            for kind in dict.fromkeys(one.kind for one in holding):
                some = [one for one in holding if one.kind == kind]
                bodies: dict[Key, bytes | None] = dict(
                    _read(connection, target, number, kind, [one.key for one in some])
                )
                for one in some:
                    bodies[one.key] = one.made(bodies.get(one.key))
                _write(connection, target, number, {(kind, key): body for key, body in bodies.items()})


def _holding(
    connection: sa.Connection, target: str, number: int, amended: Sequence[Amendment]
) -> list[Amendment]:
    """Those whose condition holds."""
    wanted = [one.where for one in amended if one.where is not None]
    found = {
        kind: _read(connection, target, number, kind, [one.key for one in wanted if one.kind == kind])
        for kind in {one.kind for one in wanted}
    }
    return [
        one
        for one in amended
        if one.where is None or one.where.holds(found[one.where.kind].get(one.where.key))
    ]


def _read(
    connection: sa.Connection, target: str, number: int, kind: str, keys: Sequence[Key]
) -> dict[Key, bytes]:
    found: dict[Key, bytes] = {}
    for start in range(0, len(keys), _AT_ONCE):
        some = [bytes(key) for key in keys[start : start + _AT_ONCE]]
        rows = connection.execute(_of(target, number, kind).where(schema.notes.c.key.in_(some)))
        found |= {Key(bytes(row.key)): bytes(row.body) for row in rows}
    return found


def _write(
    connection: sa.Connection, target: str, number: int, bodies: Mapping[tuple[str, Key], bytes | None]
) -> None:
    table = schema.notes
    gone = [
        {"of": target, "nth": number, "what": kind, "at": bytes(key)}
        for (kind, key), body in bodies.items()
        if body is None
    ]
    if gone:
        connection.execute(
            table.delete().where(
                table.c.target == sa.bindparam("of"),
                table.c.number == sa.bindparam("nth"),
                table.c.kind == sa.bindparam("what"),
                table.c.key == sa.bindparam("at"),
            ),
            gone,
        )
    kept = [
        {"target": target, "number": number, "kind": kind, "key": bytes(key), "body": body}
        for (kind, key), body in bodies.items()
        if body is not None
    ]
    if kept:
        upsert(connection, table, kept)


def _of(target: str, number: int, kind: str) -> sa.Select[Any]:
    table = schema.notes
    return sa.select(table.c.key, table.c.body).where(
        table.c.target == target, table.c.number == number, table.c.kind == kind
    )
