"""The SQL databases of the state store: the same laws on every dialect.

One writer at a time, whose transaction is durable when it ends. What reads sees what was committed. No
transaction outlives one batch.
"""

from __future__ import annotations

import contextlib
import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

import sqlalchemy as sa

from lockstep.database import multirow
from lockstep.database.migrations import Migration, migrate, missing
from lockstep.errors import StateError
from lockstep.rowsets import among as among_array
from lockstep.rowsets import array_text, arrays, insert_of

_AT_ONCE = 900
"""Keys in one statement that SQLAlchemy makes for SQLite."""

_MANY = 5_000
"""Keys in one that is written for it."""


class Access(Enum):
    """What for a state store is opened. Only a run makes it, or brings it up to date."""

    RUN = "run"
    CHANGE = "change"
    LOOK = "look"


class Database(ABC):
    """One SQL database of the state store. `name` is what messages call it, without secrets."""

    def __init__(self, name: str, engine: sa.Engine, migrations: Sequence[Migration], access: Access) -> None:
        self.name, self._engine = name, engine
        if access is Access.RUN:
            with self.writing() as connection:
                migrate(connection, migrations, name)
        else:
            with self.reading() as connection:
                behind = missing(connection, migrations, name)
            if behind:
                raise StateError(
                    f"{name} was written by an older Lockstep (it lacks {', '.join(behind)})",
                    "`lockstep run` of this version brings it up to date; until then use the older one.",
                )

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read with. Close it within a batch."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise self.error(error) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that commits at the end, durably, or not at all. Writers wait for each other."""
        try:
            with self._engine.connect() as connection, self._alone(connection):
                yield connection
        except sa.exc.DBAPIError as error:
            raise self.error(error) from error

    @abstractmethod
    def _alone(self, connection: sa.Connection) -> contextlib.AbstractContextManager[Any]:
        """A transaction beside which nobody writes."""

    @abstractmethod
    def error(self, error: sa.exc.DBAPIError) -> StateError:
        """What went wrong, and what a person does about it."""

    @abstractmethod
    def given(self, connection: sa.Connection, column: sa.Column[Any]) -> int:
        """The highest number that a column which numbers its rows has given, deleted rows included."""

    def close(self) -> None:
        self._engine.dispose()


def upsert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts rows, or replaces those of the same primary key."""
    if rows:
        names = tuple(rows[0])
        upsert_rows(connection, table, names, [tuple(row[name] for name in names) for row in rows])


def upsert_rows(
    connection: sa.Connection, table: sa.Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """`upsert` of thousands: the driver gets the values as they are, its own types in them."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(_replacing(table, names), arrays(rows))
    else:
        for statement, parameters in multirow.upserts(table, names, rows):
            connection.exec_driver_sql(statement, parameters)


@functools.cache
def _replacing(table: sa.Table, names: tuple[str, ...]) -> Any:
    statement = insert_of(table, names)
    keys = [column.name for column in table.primary_key]
    rest = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=rest)


def insert(connection: sa.Connection, table: sa.Table, rows: Sequence[dict[str, Any]]) -> None:
    """Inserts rows that are not there."""
    if connection.dialect.name == "postgresql":
        names = tuple(rows[0])
        connection.execute(
            insert_of(table, names), arrays([tuple(row[name] for name in names) for row in rows])
        )
    else:
        connection.execute(table.insert(), list(rows))


def picked(
    connection: sa.Connection, column: str, keys: Sequence[bytes]
) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Conditions in the driver's own SQL that a column is one of these keys, with their parameters."""
    if connection.dialect.name == "postgresql":
        if keys:
            yield f"{column} = ANY (%s::bytea[])", (array_text(keys),)
        return
    for start in range(0, len(keys), _MANY):
        some = tuple(keys[start : start + _MANY])
        yield f"{column} IN ({', '.join('?' * len(some))})", some


def holding(connection: sa.Connection, column: sa.Column[Any], part: bytes) -> sa.ColumnElement[bool]:
    """The condition that a column of bytes has these somewhere in it."""
    if connection.dialect.name == "postgresql":
        return sa.func.pg_catalog.position(column, part) > 0
    return sa.func.instr(column, part) > 0


def among(
    connection: sa.Connection, column: sa.Column[Any], values: Sequence[Any]
) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that a column is one of these values, as many together as one statement takes."""
    if connection.dialect.name == "postgresql":
        if values:
            yield among_array(column, values)
        return
    for start in range(0, len(values), _AT_ONCE):
        yield column.in_(list(values[start : start + _AT_ONCE]))
