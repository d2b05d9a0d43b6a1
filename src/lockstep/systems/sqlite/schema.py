"""What a table is: its columns, its keys, the unique indexes by which a row may replace another.

Names in SQLite are the same in any case (of ASCII letters), so they are looked up that way.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from lockstep.errors import Refused
from lockstep.systems.sqlite import index_sql
from lockstep.systems.sqlite.client import quoted
from lockstep.systems.sqlite.types import Kind, affinity_of, kind_of

OWN = "_lockstep"
"""How the names of everything that Lockstep keeps in a user's database begin."""


@dataclass(frozen=True)
class Column:
    name: str
    declared: str
    nullable: bool
    default: str | None
    key: int  # its place in the primary key, from 1; 0 outside
    generated: bool

    @property
    def kind(self) -> Kind:
        return kind_of(self.declared)

    @property
    def affinity(self) -> str:
        return affinity_of(self.declared)


@dataclass(frozen=True)
class Part:
    """One part of an index: a column or (column None) the text of an expression."""

    column: str | None
    expression: str | None
    collation: str
    descending: bool


@dataclass(frozen=True)
class Index:
    """An index. `predicate` is the text after WHERE of a partial one. `sql` is None for a constraint's."""

    name: str
    unique: bool
    primary: bool
    parts: tuple[Part, ...]
    predicate: str | None
    sql: str | None

    @property
    def columns(self) -> tuple[str, ...] | None:
        """Its columns, None where it has an expression or holds only some of the rows."""
        found = tuple(part.column for part in self.parts if part.column is not None)
        return found if len(found) == len(self.parts) and self.predicate is None else None


@dataclass(frozen=True)
class TableInfo:
    """A table as it stands in the database.

    `rowid` is a name by which SQL reaches its row number, None where it has none. `alias` is the
    INTEGER PRIMARY KEY column, which is that number.
    """

    name: str
    sql: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    rowid: str | None
    alias: str | None

    def column(self, name: str) -> Column:
        for column in self.columns:
            if same_name(column.name, name):
                return column
        known = ", ".join(column.name for column in self.columns)
        raise Refused(f"table {self.name} has no column {name!r}", f"Its columns are {known}.")

    def has(self, name: str) -> bool:
        return any(same_name(column.name, name) for column in self.columns)

    @property
    def primary(self) -> tuple[str, ...]:
        """The columns of the declared primary key."""
        found = sorted((column for column in self.columns if column.key), key=lambda column: column.key)
        return tuple(column.name for column in found)

    @property
    def collated(self) -> bool:
        """Whether some column may be compared in another way than by bytes."""
        return "collate" in self.sql.lower()

    def unique_over(self, columns: Iterable[str]) -> Index | None:
        """The unique index over exactly these columns, rather one with them in this order."""
        asked = [name.lower() for name in columns]
        fitting = [
            index
            for index in self.indexes
            if index.unique and index.columns and sorted(map(str.lower, index.columns)) == sorted(asked)
        ]
        fitting.sort(key=lambda index: [name.lower() for name in index.columns or ()] != asked)
        return fitting[0] if fitting else None

    def is_alias(self, columns: tuple[str, ...]) -> bool:
        """Whether these columns are the row number."""
        return self.alias is not None and len(columns) == 1 and same_name(columns[0], self.alias)


def same_name(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def table_names(connection: sqlite3.Connection) -> list[str]:
    """The user's tables, virtual ones left out."""
    found = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        " AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
    )
    return [name for (name,) in found if not name.startswith(OWN)]


def read_table(connection: sqlite3.Connection, name: str) -> TableInfo:
    """What a table is now. Raises Refused where there is none of that name."""
    found = connection.execute(
        "SELECT type, name, sql FROM sqlite_master"
        " WHERE type IN ('table', 'view') AND lower(name) = lower(?)",
        (name,),
    ).fetchone()
    if found is None:
        raise Refused(f"there is no table {name!r}", f"The tables are {', '.join(table_names(connection))}.")
    if found[0] == "view" or found[2].upper().startswith("CREATE VIRTUAL"):
        raise Refused(
            f"{name!r} is a view or virtual table, which has no rows of its own",
            "Map the tables that it reads.",
        )
    _, actual, sql = found
    columns = _columns(connection, actual)
    indexes, hidden_primary = _indexes(connection, actual)
    taken = {column.name.lower() for column in columns}
    free = [word for word in ("rowid", "_rowid_", "oid") if word not in taken]
    rowid = free[0] if free and not hidden_primary else None
    return TableInfo(actual, sql, columns, indexes, rowid, _alias(columns, indexes))


def _columns(connection: sqlite3.Connection, table: str) -> tuple[Column, ...]:
    found = connection.execute(f"PRAGMA table_xinfo({quoted(table)})").fetchall()
    return tuple(
        Column(name, declared or "", not notnull, default, key, hidden in (2, 3))
        for _, name, declared, notnull, default, key, hidden in found
        if hidden != 1
    )


def _indexes(connection: sqlite3.Connection, table: str) -> tuple[tuple[Index, ...], bool]:
    """The indexes, and whether the primary key's is the table itself (WITHOUT ROWID)."""
    texts: dict[str, str | None] = dict(
        connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
    )
    indexes = []
    hidden_primary = False
    for _, name, unique, origin, _partial in connection.execute(
        f"PRAGMA index_list({quoted(table)})"
    ).fetchall():
        sql = texts.get(name)
        expressions, predicate = index_sql.split(sql) if sql else ([], None)
        parts = []
        for place, cid, column, descending, collation, in_key in connection.execute(
            f"PRAGMA index_xinfo({quoted(name)})"
        ).fetchall():
            if in_key:
                text = expressions[place] if cid == -2 else None
                parts.append(Part(column, text, collation, bool(descending)))
        hidden_primary = hidden_primary or (origin == "pk" and name not in texts)
        indexes.append(Index(name, bool(unique), origin == "pk", tuple(parts), predicate, sql))
    return tuple(sorted(indexes, key=lambda index: (not index.primary, index.name))), hidden_primary


def _alias(columns: tuple[Column, ...], indexes: tuple[Index, ...]) -> str | None:
    keys = [column for column in columns if column.key]
    if len(keys) == 1 and keys[0].declared.upper() == "INTEGER" and not any(i.primary for i in indexes):
        return keys[0].name
    return None
