"""Opens the SQL databases of the state store: the same laws on every dialect.

Embedded they are SQLite files in WAL mode with `synchronous=FULL`: what was committed is there after a
power cut. No transaction outlives one batch, so the WAL does not grow.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from lockstep.errors import StateError
from lockstep.migrations import Migration, migrate

BUSY_MS = 60_000


class Database:
    """One SQL database of the state store."""

    def __init__(self, path: Path, migrations: Sequence[Migration]) -> None:
        self.path = path
        new = not path.exists()
        self._engine = sa.create_engine(f"sqlite:///{path}", pool_size=16, max_overflow=32)
        sa.event.listen(self._engine, "connect", _pragmas)
        sa.event.listen(self._engine, "begin", _begin)
        try:
            if new:
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            with self.writing() as connection:
                migrate(connection, migrations, str(path))
        except sa.exc.DBAPIError as error:
            raise state_error(error, path) from error

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection to read with. Close it within a batch."""
        try:
            with self._engine.connect() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise state_error(error, self.path) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that commits at the end, durably, or not at all."""
        try:
            with self._engine.connect().execution_options(immediate=True) as connection, connection.begin():
                yield connection
        except sa.exc.DBAPIError as error:
            raise state_error(error, self.path) from error

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
    """`upsert` of thousands: the driver gets the tuples as they are, its own types in them."""
    if rows:
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        connection.exec_driver_sql(_upsert_sql(table, names, mark), list(rows))


@functools.cache
def _upsert_sql(table: sa.Table, names: tuple[str, ...], mark: str) -> str:
    keys = [column.name for column in table.primary_key]
    columns = ", ".join(f'"{name}"' for name in names)
    rest = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
    conflict = ", ".join(f'"{name}"' for name in keys)
    return (
        f'INSERT INTO "{table.name}" ({columns}) VALUES ({", ".join([mark] * len(names))}) '
        f"ON CONFLICT ({conflict}) DO {f'UPDATE SET {rest}' if rest else 'NOTHING'}"
    )


def state_error(error: sa.exc.DBAPIError, path: Path) -> StateError:
    """What went wrong with a state file, and what a person does about it."""
    words = str(error.orig)
    if "full" in words or "disk I/O" in words:
        remedy = f"Free some space on the disk of {path.parent}; nothing committed is lost."
    elif "malformed" in words or "not a database" in words:
        remedy = f"{path} is damaged. Put back a copy of {path.parent}, or move it away and backfill."
    elif "locked" in words:
        remedy = f"Another process holds {path} for over a minute; `lockstep status` says which run."
    elif "readonly" in words or "unable to open" in words:
        remedy = f"Let this user write to {path.parent}."
    else:
        remedy = f"Look at {path} with `sqlite3 {path} 'pragma integrity_check'`."
    return StateError(f"the state store {path} failed: {words}", remedy)


def _pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event says when, not the driver
    for pragma in (
        f"busy_timeout={BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-64000",
        "wal_autocheckpoint=4000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        immediate = connection.get_execution_options().get("immediate", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
