"""Saved states of SQLite tables: another SQLite file with the rows in it, copied by SQLite itself.

Values lie in columns of the same declared types, so each keeps its storage class. (VACUUM INTO and the backup
interface copy the whole database, which may be much more than the table.) The file is attached: what reads
and what copies is one transaction. Where the user's file is not in WAL mode, writers wait for its end.
"""

from __future__ import annotations

import errno
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lockstep.systems.saved.durable import Moved
from lockstep.systems.sql.copier import Copier, Place, Reference
from lockstep.systems.sql.merging import literally
from lockstep.systems.sqlite.client import names, quoted
from lockstep.systems.sqlite.schema import same_name

if TYPE_CHECKING:
    from lockstep.systems.sqlite.writer import SQLiteDialect

FILE = "saved.db"
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_ ]*(\([0-9 ,+-]*\))?")
_COLUMNS = "SELECT name, type, [notnull], dflt_value FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid"


class SQLiteCopier(Copier):
    """Of one SQLite file."""

    def __init__(self, dialect: SQLiteDialect) -> None:
        self._dialect = dialect

    @contextmanager
    def saving(self, directory: Path) -> Iterator[sa.Connection]:
        try:
            with self._dialect.attached(directory / FILE, made=True) as connection:
                yield connection
        except DBAPIError as error:
            if _no_room(error):
                raise OSError(errno.ENOSPC, str(error.orig), str(directory)) from error
            raise

    def put(
        self,
        connection: sa.Connection,
        directory: Path,
        name: str,
        table: Place,
        key: Sequence[str],
        moved: Moved,
    ) -> int:
        columns = self._columns(connection, table[1])
        declared = ", ".join(f"{quoted(column)} {type_}" for column, type_ in columns.items())
        connection.execute(literally(f"CREATE TABLE saved.{_saved(name)} ({declared})"))
        every = names(list(columns))
        done = connection.execute(
            literally(
                f"INSERT INTO saved.{_saved(name)} ({every}) SELECT {every} FROM main.{quoted(table[1])}"
            )
        )
        connection.execute(
            literally(f"CREATE INDEX saved.{_saved(f'{name}_by_key')} ON {_saved(name)} ({names(list(key))})")
        )
        moved(done.rowcount)
        return done.rowcount

    @contextmanager
    def restoring(self, directory: Path, create: bool = False) -> Iterator[sa.Connection]:
        self._dialect.ensure(create)
        with self._dialect.attached(directory / FILE, made=False) as connection:
            connection.exec_driver_sql("PRAGMA defer_foreign_keys = ON")  # rows may refer to later ones
            yield connection

    def stage(
        self,
        connection: sa.Connection,
        directory: Path,
        name: str,
        into: Place,
        columns: Sequence[str],
        moved: Moved,
    ) -> str:
        moved((directory / FILE).stat().st_size // 2)
        return f"saved.{_saved(name)}"

    def differ(self, columns: Sequence[str]) -> str:
        saved, now = names(list(columns), "s"), names(list(columns), "t")
        kinds = [", ".join(f"typeof({of}.{quoted(name)})" for name in columns) for of in ("s", "t")]
        # What is on the left says how texts compare: the saved columns do it by their bytes.
        return f"(({saved}) IS NOT ({now}) OR ({kinds[0]}) IS NOT ({kinds[1]}))"

    def like(self, connection: sa.Connection, table: Place, scratch: Place, key: Sequence[str]) -> None:
        lines = []
        types = self._columns(connection, table[1])
        for name, _, required, default in connection.exec_driver_sql(_COLUMNS, (table[1],)).all():
            line = f"{quoted(name)} {types[name]}"
            line += " NOT NULL" if required or name in key else ""
            lines.append(line + (f" DEFAULT ({default})" if default is not None else ""))
        strict = connection.exec_driver_sql(
            "SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table[1],)
        ).scalar_one()
        lines.append(f"PRIMARY KEY ({names(list(key))})")
        made = f"CREATE TABLE main.{quoted(scratch[1])} ({', '.join(lines)}){' STRICT' if strict else ''}"
        connection.execute(literally(made))

    def referring(self, connection: sa.Connection, table: Place) -> list[Reference]:
        found = []
        every = connection.exec_driver_sql(
            "SELECT name FROM main.sqlite_master WHERE type = 'table'"
        ).scalars()
        for name in every.all():
            if same_name(name, table[1]):
                continue
            keys: dict[int, list[tuple[str, str | None, str]]] = {}
            for number, _, to, column, of, _, on_delete, _ in connection.exec_driver_sql(
                f"PRAGMA main.foreign_key_list({quoted(name)})"
            ).all():
                if same_name(to, table[1]):
                    keys.setdefault(number, []).append((column, of, on_delete))
            for parts in keys.values():
                primary = self._primary(connection, table[1])
                columns = [(column, of or primary[n]) for n, (column, of, _) in enumerate(parts)]
                changes = parts[0][2].upper() not in ("NO ACTION", "RESTRICT")
                found.append(Reference(f"main.{quoted(name)}", columns, changes=changes))
        return found

    def _primary(self, connection: sa.Connection, table: str) -> list[str]:
        query = "SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk"
        return list(connection.exec_driver_sql(query, (table,)).scalars())

    def _columns(self, connection: sa.Connection, table: str) -> dict[str, str]:
        """The columns that can be written, and their types as CREATE TABLE takes them."""
        return {
            name: declared if _PLAIN.fullmatch(declared) else quoted(declared) if declared else ""
            for name, declared, _, _ in connection.exec_driver_sql(_COLUMNS, (table,)).all()
        }


def _saved(name: str) -> str:
    """A name in the attached file that no table of the user's can have, whose file is looked in as well."""
    return quoted(f"_lockstep_saved_{name}")


def _no_room(error: DBAPIError) -> bool:
    """Whether the file that was being made could not be written. (Only it is written while it is made.)"""
    code = getattr(error.orig, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_WRITE
