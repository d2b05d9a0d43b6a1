"""SQLite as a target of the SQL writer. How its columns hold values: `codecs`."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite as dialects
from sqlalchemy.exc import DBAPIError

from lockstep.errors import DataError, LockstepError, Refused
from lockstep.systems.sql.columns import Codec, Columns
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.proof import Hash, recipe
from lockstep.systems.sql.rows import Rows
from lockstep.systems.sqlite import codecs, grouping, sums
from lockstep.systems.sqlite.client import attach, connect, error_of, file_of, names
from lockstep.systems.sqlite.copier import SQLiteCopier
from lockstep.systems.sqlite.kept import kept

_WRITE = "lockstep_writes"
_KEY = "lockstep_key"
_ARGUMENTS = 100  # SQLite takes 127 for one function


class SQLiteDialect(Dialect):
    """A SQLite file. Its connections are full-synchronous and enforce foreign keys."""

    collation = "BINARY"
    table_options: dict[str, Any] = {"sqlite_with_rowid": False}  # noqa: RUF012 - never changed

    def __init__(self, path: Path, system: str) -> None:
        self.system, self._path = system, path
        self._engine: sa.Engine | None = None
        self._file: tuple[int, int] | None = None

    def there(self) -> bool:
        return self._path.is_file()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with self._open().begin() as connection:
            yield connection

    @contextmanager
    def writing(self, create: bool = False) -> Iterator[sa.Connection]:
        self.ensure(create)
        with self._open().execution_options(**{_WRITE: True}).begin() as connection:
            yield connection

    def ensure(self, create: bool) -> None:
        """With `create`, makes an empty database where there is none."""
        if create and not self.there():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR))

    @contextmanager
    def attached(self, path: Path, *, made: bool) -> Iterator[sa.Connection]:
        """A transaction that has another file beside, as `saved`: one that is made, or that is read while
        ours is written."""
        engine = self._make()
        sa.event.listen(engine, "connect", lambda connection, _: attach(connection, path, made=made))
        try:
            with engine.execution_options(**{_WRITE: not made}).begin() as connection:
                yield connection
        finally:
            engine.dispose()

    def copier(self) -> SQLiteCopier:
        return SQLiteCopier(self)

    def _open(self) -> sa.Engine:
        """The engine of the file that is there now: a restored one is another one under the same path."""
        file = file_of(self._path)
        if self._engine is None or file != self._file:
            self.close()
            self._engine, self._file = self._make(), file
        return self._engine

    def _make(self) -> sa.Engine:
        engine = sa.create_engine("sqlite://", creator=lambda: connect(self._path), poolclass=sa.QueuePool)

        @sa.event.listens_for(engine, "connect")
        def ready(connection: sqlite3.Connection, _: Any) -> None:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            grouping.register(connection)

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            writes = connection.get_execution_options().get(_WRITE)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

        return engine

    def insert(self, table: Any) -> Any:
        return dialects.insert(table)

    def rows(self, table: str, key: Sequence[str], columns: Columns) -> Rows:
        return Rows(self, table, key, columns)

    def key_bytes(self, connection: sa.Connection, rows: Rows, alias: str) -> sa.ColumnElement[bytes]:
        def key_of(*cells: Any) -> bytes | None:
            try:
                return rows.key_of(cells)
            except Refused:
                return None

        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.create_function(_KEY, len(rows.key), key_of, deterministic=True)
        return sa.literal_column(f"{_KEY}({names(rows.key, alias)})", sa.LargeBinary)

    def hash_sql(
        self, connection: sa.Connection, rows: Rows, names_: Sequence[str], alias: str | None
    ) -> Hash:
        raw = connection.connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        sums.register(raw)
        parts = [
            _hash(names_[start : start + _ARGUMENTS], alias) for start in range(0, len(names_), _ARGUMENTS)
        ]
        sql = parts[0] if len(parts) == 1 else f"{sums.FUNCTION}({', '.join(parts)})"
        return Hash(sql, recipe(sums.FORMAT, *names_))

    def grouped(self, rows: Rows, name: str) -> str:
        return grouping.grouped(name, _bare(rows.columns[name]))

    def added(self, rows: Rows, name: str) -> str:
        return grouping.added(name, _bare(rows.columns[name]))

    def columns(self, connection: sa.Connection, table: str) -> Columns:
        found = connection.exec_driver_sql(
            "SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid", (table,)
        )
        return {name: self.codec(declared or "") for name, declared in found}

    def codec(self, declared: str) -> Codec:
        return codecs.codec(declared)

    def kept(self, codec: Codec, cells: Sequence[Any]) -> list[Any]:
        return kept(codec, cells)

    def unique(self, connection: sa.Connection, table: str, key: Sequence[str]) -> bool:
        """SQLite's own key of a table is no index where it is the row id; every other one is listed."""
        info = connection.exec_driver_sql("SELECT name, type, pk FROM pragma_table_xinfo(?)", (table,)).all()
        primary = [(name, declared.upper()) for name, declared, place in info if place]
        if primary == [(key[0], "INTEGER")] and len(key) == 1:
            return True
        indexes = connection.exec_driver_sql(
            "SELECT name FROM pragma_index_list(?) WHERE [unique] = 1 AND partial = 0", (table,)
        )
        for (index,) in indexes.all():
            parts = connection.exec_driver_sql(
                "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key = 1", (index,)
            ).all()
            if {name for name, _ in parts} == set(key) and all(coll == "BINARY" for _, coll in parts):
                return True
        return False

    def error(self, error: DBAPIError) -> LockstepError:
        orig = error.orig
        if not isinstance(orig, sqlite3.Error):
            return DataError(str(orig), "Correct the mapping, or the table.")
        code = getattr(orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if isinstance(orig, sqlite3.IntegrityError | sqlite3.DataError) or code == sqlite3.SQLITE_ERROR:
            return DataError(str(orig), "Correct the mapping, or the constraint.")
        return error_of(orig, self._path)

    def close(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


def _bare(column: Codec) -> str:
    return column.declared.upper().replace("NOT NULL", "").strip()


def _hash(names_: Sequence[str], alias: str | None) -> str:
    """SQL for the hash of stored values and their types. Texts go in as bytes: they may be no UTF-8."""
    if not names_:
        return "0"
    cells = [names([name], alias or "") for name in names_]
    kinds = " || ".join(f"typeof({cell})" for cell in cells)
    values = (f"CASE typeof({cell}) WHEN 'text' THEN CAST({cell} AS BLOB) ELSE {cell} END" for cell in cells)
    return f"{sums.FUNCTION}({kinds}, {', '.join(values)})"
