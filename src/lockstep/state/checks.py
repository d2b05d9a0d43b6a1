"""Deep checks that have not come to their end: one of a consumer, and where it is."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

import sqlalchemy as sa
from msgspec import Struct

from lockstep.database import upsert
from lockstep.state import schema
from lockstep.state.books import Books, Unfenced
from lockstep.state.settling import delete_keys
from lockstep.values import Key


class Unfinished(Struct, frozen=True):
    """One of them. `owner`: the process's word for itself; `basis`, `body`: see `schema.checks`."""

    owner: str
    basis: str
    body: bytes
    kept_at: float


class Checks:
    """Who writes is the owner: a check from which another took its place keeps nothing any more."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def find(self, consumer: int) -> Unfinished | None:
        table = schema.checks
        columns = [table.c[name] for name in Unfinished.__struct_fields__]
        with self._database.reading() as connection:
            row = connection.execute(sa.select(*columns).where(table.c.consumer == consumer)).first()
        return Unfinished(*row) if row else None

    def begin(self, consumer: int, owner: str, basis: str, body: bytes, differing: Collection[Key]) -> None:
        """Keeps a check for the first time, instead of an earlier one."""
        row = {"consumer": consumer, "owner": owner, "basis": basis, "body": body, "kept_at": time.time()}
        with self._database.unfenced(Unfenced.OWN) as connection:
            _forget(connection, consumer)
            upsert(connection, schema.checks, [row])
            _add(connection, consumer, differing)

    def take(self, consumer: int, owner: str, new: str, differing: Collection[Key]) -> bool:
        """Makes it another's, with more keys to look at again; False where it is not the owner's any more."""
        with self._database.unfenced(Unfenced.OWN) as connection:
            mine = _write(connection, consumer, owner, owner=new)
            if mine:
                _add(connection, consumer, differing)
            return mine

    def keep(
        self, consumer: int, owner: str, body: bytes, differing: Collection[Key], settled: Sequence[Key]
    ) -> bool:
        """Keeps how far it is: keys that differ are added, those that do not any more are left out. False
        where it is not the owner's any more: nothing is written then."""
        with self._database.unfenced(Unfenced.OWN) as connection:
            mine = _write(connection, consumer, owner, body=body, kept_at=time.time())
            if mine:
                delete_keys(connection, schema.check_keys, consumer, settled)
                _add(connection, consumer, differing)
            return mine

    def keys(self, consumer: int, after: Key | None, limit: int) -> list[Key]:
        """The keys that differed, in order, after one of them."""
        column = schema.check_keys.c.key
        statement = sa.select(column).where(schema.check_keys.c.consumer == consumer)
        if after is not None:
            statement = statement.where(column > bytes(after))
        with self._database.reading() as connection:
            return [Key(bytes(key)) for key in connection.scalars(statement.order_by(column).limit(limit))]

    def forget(self, consumer: int) -> None:
        """A check came to its end: there is nothing left to go on with."""
        with self._database.unfenced(Unfenced.OWN) as connection:
            _forget(connection, consumer)


def _write(connection: sa.Connection, consumer: int, before: str, **values: object) -> bool:
    table = schema.checks
    statement = table.update().where(table.c.consumer == consumer, table.c.owner == before)
    return connection.execute(statement.values(**values)).rowcount == 1


def _add(connection: sa.Connection, consumer: int, keys: Collection[Key]) -> None:
    now = time.time()
    rows = [{"consumer": consumer, "key": bytes(key), "seen_at": now} for key in keys]
    upsert(connection, schema.check_keys, rows)


def _forget(connection: sa.Connection, consumer: int) -> None:
    for table in (schema.checks, schema.check_keys):
        connection.execute(table.delete().where(table.c.consumer == consumer))
