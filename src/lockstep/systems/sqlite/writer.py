"""SQLite as a target of the SQL writer.

Values lie in a column by its declared type, in the form that Lockstep's own source reads (see `types`):
booleans as 0 and 1; dates, times and uuids as ISO text; an instant in UTC with its microseconds,
`2026-03-08T09:30:00.000000Z`, a local timestamp the same without the Z; JSON as its canonical text; bytes as
a blob. A text column takes every value, in canonical form. A column without a type takes numbers, texts and
blobs as they are. What SQLite then makes of it (a decimal of more than 15 digits becomes a real) is read
back and reported as held.
"""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID as Uuid

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite as dialects
from sqlalchemy.exc import DBAPIError

from lockstep.canonical import as_json
from lockstep.errors import DataError, LockstepError, Refused
from lockstep.far import FarDate, FarDatetime, FarTime, read_date, read_datetime
from lockstep.systems.sql.columns import Codec, Columns, as_text, from_json
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.proof import Hash, recipe
from lockstep.systems.sql.rows import Rows
from lockstep.systems.sqlite import sums, types
from lockstep.systems.sqlite.client import attach, connect, error_of, file_of, names
from lockstep.systems.sqlite.copier import SQLiteCopier
from lockstep.systems.sqlite.kept import kept

_WRITE = "lockstep_writes"
_KEY = "lockstep_key"
_ARGUMENTS = 100  # SQLite takes 127 for one function
_END_OF_DAY = "24:00:00"


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

    def row_hash(
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

    def columns(self, connection: sa.Connection, table: str) -> Columns:
        found = connection.exec_driver_sql(
            "SELECT name, type FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid", (table,)
        )
        return {name: self.codec(declared or "") for name, declared in found}

    def codec(self, declared: str) -> Codec:
        bare = declared.upper().replace("NOT NULL", "").strip()
        kind = types.kind_of(bare)
        name = "Any?" if kind is types.UNKNOWN else kind.python
        encode, decode, orders = _DIGITS if kind is types.DIGITS else _CODECS[name]
        return Codec(declared, encode, decode, orders, text=encode is as_text)

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


def _hash(names_: Sequence[str], alias: str | None) -> str:
    """SQL for the hash of stored values and their types. Texts go in as bytes: they may be no UTF-8."""
    if not names_:
        return "0"
    cells = [names([name], alias or "") for name in names_]
    kinds = " || ".join(f"typeof({cell})" for cell in cells)
    values = (f"CASE typeof({cell}) WHEN 'text' THEN CAST({cell} AS BLOB) ELSE {cell} END" for cell in cells)
    return f"{sums.FUNCTION}({kinds}, {', '.join(values)})"


# How each kind of column holds values. Encoders raise ValueError; decoders never fail.


def _integer(value: Any) -> int:
    if isinstance(value, float | Decimal) and value == value // 1:
        value = int(value)
    if not isinstance(value, int):
        raise ValueError("it is no whole number")
    if not _fits(value):
        raise ValueError("it does not fit 64 bits; a DECIMAL or TEXT column would take it")
    return int(value)


def _fits(value: int) -> bool:
    return -(1 << 63) <= value < 1 << 63


def _real(value: Any) -> float:
    if not isinstance(value, int | float | Decimal):
        raise ValueError("it is no number")
    return _no_nan(float(value))


def _no_nan(value: float) -> float:
    if value != value:
        raise ValueError("SQLite holds no NaN; a TEXT column would take it")
    return value


def _decimal(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("it is no number")
    if not Decimal(value).is_finite():
        raise ValueError("it is not finite; a REAL or TEXT column would take it")
    return as_text(value)  # SQLite makes it an integer or a real where it holds 15 digits


def _boolean(value: Any) -> int:
    if value is True or value is False or (isinstance(value, int) and value in (0, 1)):
        return int(value)
    raise ValueError("it is neither true nor false")


def _blob(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise ValueError("it is no bytes")


def _any(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return _no_nan(value)
    if isinstance(value, bytes | str) or (isinstance(value, int) and _fits(value)):
        return value
    return as_text(value)


def _date(value: Any) -> str:
    if isinstance(value, str):
        value = dt.date.fromisoformat(value) if value[4:5] == "-" else read_date(value)
    if isinstance(value, FarDate):
        return value.text
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise ValueError("it is no date")
    return value.isoformat()


def _time(value: Any) -> str:
    if value == _END_OF_DAY or (isinstance(value, FarTime) and value.tzinfo is None):
        return _END_OF_DAY
    value = dt.time.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(value, dt.time) or value.tzinfo is not None:
        raise ValueError("it is no time of day")
    return value.isoformat()


def _datetime(value: Any) -> str:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value) if value[4:5] == "-" else read_datetime(value)
    if isinstance(value, FarDatetime):
        return value.text
    if not isinstance(value, dt.datetime):
        raise ValueError("it is no timestamp")
    if value.tzinfo is None:
        return value.isoformat(timespec="microseconds")
    return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _uuid(value: Any) -> str:
    if isinstance(value, Uuid | str):
        return str(Uuid(str(value)))
    raise ValueError("it is no uuid")


def _reads(kind: types.Kind) -> Callable[[Any], Any]:
    def read(cell: Any) -> Any:
        if type(cell) in kind.plain:
            return cell
        try:
            return kind.read(cell)
        except (ValueError, ArithmeticError, RecursionError):
            return cell

    return read


def _read_json(cell: Any) -> Any:
    try:
        return from_json(cell) if type(cell) is str else cell
    except (ValueError, ArithmeticError, RecursionError):
        return cell


def _as_is(cell: Any) -> Any:
    return cell


def _digits(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("it is no number")
    return as_text(value)


_DIGITS = (_digits, _reads(types.DIGITS), False)
_CODECS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], bool]] = {
    "int": (_integer, _as_is, True),
    "float": (_real, _as_is, False),
    "str": (as_text, _as_is, True),
    "bytes": (_blob, _as_is, True),
    "Decimal": (_decimal, _reads(types.DECIMAL), False),
    "bool": (_boolean, _reads(types.BOOLEAN), True),
    "Any": (as_json, _read_json, False),
    "UUID": (_uuid, _reads(types.UUID), True),
    "dt.date": (_date, _reads(types.DATE), True),
    "dt.datetime": (_datetime, _reads(types.DATETIME), False),
    "dt.time": (_time, _reads(types.TIME), False),
    "Any?": (_any, _as_is, False),
}
