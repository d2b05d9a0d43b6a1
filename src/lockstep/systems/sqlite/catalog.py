"""What a SQLite file says of its own tables, for `lockstep explore`."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from lockstep.catalog import Catalog, CatalogColumn, CatalogReference, CatalogTable
from lockstep.systems.sqlite.client import connect, mapped, quoted
from lockstep.systems.sqlite.schema import TableInfo, read_table, same_name, table_names


def read(path: Path, system: str) -> Catalog:
    """Every table of the user, in one snapshot, with its rows counted."""
    connection = connect(path, query_only=True)
    try:
        with mapped(path):
            connection.execute("BEGIN")
            infos = [read_table(connection, name) for name in table_names(connection)]
            tables = tuple(_table(connection, info, infos) for info in infos)
            connection.execute("ROLLBACK")
    finally:
        connection.close()
    return Catalog(system, tables)


def _table(connection: sqlite3.Connection, info: TableInfo, infos: list[TableInfo]) -> CatalogTable:
    (rows,) = connection.execute(f"SELECT count(*) FROM {quoted(info.name)}").fetchone()
    key = key_of(info)
    columns = tuple(
        CatalogColumn(
            column.name, column.declared, column.kind.python or None, _nullable(info, column.name, key)
        )
        for column in info.columns
    )
    return CatalogTable(info.name, columns, key, _references(connection, info, infos), rows, True)


def key_of(info: TableInfo) -> tuple[str, ...]:
    """The primary key; without one, the first unique index whose columns are never null."""
    if info.primary:
        return info.primary
    for index in info.indexes:
        if index.unique and index.columns and not any(info.column(name).nullable for name in index.columns):
            return index.columns
    return ()


def _nullable(info: TableInfo, name: str, key: tuple[str, ...]) -> bool:
    """SQLite lets a primary key be null where it is not said otherwise; a row without a key is no record."""
    return info.column(name).nullable and name not in key


def _references(
    connection: sqlite3.Connection, info: TableInfo, infos: list[TableInfo]
) -> tuple[CatalogReference, ...]:
    found: dict[int, list[tuple[str, str, str | None]]] = {}
    for number, _, to, column, of, *_ in connection.execute(
        f"PRAGMA foreign_key_list({quoted(info.name)})"
    ).fetchall():
        found.setdefault(number, []).append((to, column, of))
    references = []
    for number in sorted(found, reverse=True):  # SQLite lists the last declared first
        parts = found[number]
        to = next((other for other in infos if same_name(other.name, parts[0][0])), None)
        if to is None:
            continue  # to a table that is not there
        columns = tuple(info.column(column).name for _, column, _ in parts)
        named = tuple(to.column(of).name for _, _, of in parts if of is not None)
        of = named or to.primary
        if len(of) == len(columns):
            references.append(CatalogReference(columns, to.name, of))
    return tuple(references)
