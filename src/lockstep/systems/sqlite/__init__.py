"""SQLite: a file that is read and followed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from lockstep.catalog import Catalog
from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.systems.sql.target import TOMBSTONES, SQLTarget
from lockstep.systems.sqlite import catalog, cells, check
from lockstep.systems.sqlite.client import connect, mapped
from lockstep.systems.sqlite.feed import SQLiteFeed
from lockstep.systems.sqlite.install import remove
from lockstep.systems.sqlite.reader import SQLiteReader
from lockstep.systems.sqlite.schema import Column, read_table
from lockstep.systems.sqlite.writer import SQLiteDialect
from lockstep.values import Finding, Key, Table

__all__ = ["SQLite", "remove"]


class SQLite:
    """A SQLite database, as declared: `ls.SQLite("app.db")`. Opens nothing until it is used.

    `snapshots` is the directory for saved states of tables that are targets; another disk is wise.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, snapshots: str | os.PathLike[str] | None = None
    ) -> None:
        self._name = f"sqlite:{os.fspath(path)}"
        self._path = Path(path)
        self._snapshots = None if snapshots is None else Path(snapshots)

    @property
    def name(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f"SQLite({os.fspath(self._path)!r})"

    def reader(self) -> SQLiteReader:
        return SQLiteReader(self._path)

    def feed(self) -> SQLiteFeed:
        return SQLiteFeed(self._path)

    def table(
        self,
        name: str,
        *,
        key: Sequence[str] = ("id",),
        columns: Mapping[str, str] | None = None,
        tombstones: float = TOMBSTONES,
    ) -> SQLTarget:
        """A table to write to: the user's own, or made from `columns` (their types as in CREATE TABLE)."""
        return SQLTarget(
            lambda _: SQLiteDialect(self._path, self._name), name, key, columns, tombstones, self._snapshots
        )

    def check(self, tables: Sequence[Table]) -> list[Finding]:
        return check.findings(self._path, tables)

    def catalog(self) -> Catalog:
        return catalog.read(self._path, self._name)

    def parse_keys(self, table: Table, typed: Sequence[Sequence[str]]) -> list[Key | DataError]:
        connection = connect(self._path, query_only=True)
        try:
            with mapped(self._path):
                info = read_table(connection, table.name)
        finally:
            connection.close()
        columns = [info.column(name) for name in table.key]
        return [_key(info.name, columns, parts) for parts in typed]


def _key(table: str, columns: Sequence[Column], parts: Sequence[str]) -> Key | DataError:
    if len(parts) != len(columns):
        names = ", ".join(column.name for column in columns)
        return DataError(
            f"a key of {table} has {len(columns)} parts, not {len(parts)}: {names}", 'Join the parts by "|".'
        )
    try:
        pairs = zip(columns, parts, strict=True)
        return keys.encode([cells.parse(table, column, part) for column, part in pairs])
    except DataError as error:
        return error
