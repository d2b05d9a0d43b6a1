"""Whatever is wrong with the tables that a pipeline names: not there, not readable, not to be followed."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from difflib import get_close_matches

from lockstep.errors import Refused
from lockstep.systems.postgres import names, tables
from lockstep.systems.postgres.client import Connection
from lockstep.systems.postgres.estimate import estimated
from lockstep.systems.postgres.meeting import meeting
from lockstep.systems.postgres.tables import Column, TableInfo
from lockstep.values import Finding, Table

BIG = 10_000
"""Tables with fewer rows are read fast enough without an index."""

_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
_RIGHTS = """SELECT has_table_privilege($1::int8::oid, 'SELECT')
         AND has_schema_privilege($2::text, 'USAGE'),
       row_security_active($1::int8::oid), current_user::text"""
_LEAVES = """SELECT n.nspname::text, c.relname::text FROM pg_partition_tree($1::int8::oid::regclass) p
JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.isleaf AND c.relkind = 'r' AND c.relreplident NOT IN ('f', $2::text::"char") ORDER BY 1, 2"""
_HEIRS = """SELECT n.nspname::text, c.relname::text FROM pg_inherits i
JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.inhparent = $1::int8::oid ORDER BY 1, 2"""


def check_tables(
    connection: Connection, followed: Sequence[Table], infos: dict[str, TableInfo]
) -> Iterator[Finding]:
    """Findings about each table; `infos` are those that are there."""
    for table in followed:
        yield from _unfollowable(connection, table, infos)
        info = infos.get(table.name)
        if info is not None and info.kind not in _KINDS:
            yield from _heirs(connection, table, info)
            if (yield from _rights(connection, table, info)):
                yield from _indexes(connection, table, info)


def held(connection: Connection, table: Table, infos: dict[str, TableInfo]) -> Refused | None:
    """Why nobody may follow or read a table as it is now; None where all is well."""
    for finding in _unfollowable(connection, table, infos):
        return Refused(f"{finding.subject}: {finding.problem}", finding.mend)
    return None


def _unfollowable(connection: Connection, table: Table, infos: dict[str, TableInfo]) -> Iterator[Finding]:
    info = infos.get(table.name)
    if info is None:
        known = list(tables.load(connection))
        near = get_close_matches(table.name, known, 1, 0.6)
        yield Finding(
            table.name,
            "there is no such table",
            f"Did you mean {near[0]!r}?" if near else f"Its name is schema.table; there are: {_some(known)}.",
        )
    elif info.kind in _KINDS:
        yield Finding(
            table.name,
            f"it is {_KINDS[info.kind]}, whose changes are not in the log",
            "Map the tables that it is made of.",
        )
    else:
        yield from _kept(table, info)
        yield from _columns(table, info)
        if all(name in info.columns for name in (*table.key, *table.joins)):
            yield from _key(table, info)
            yield from _followed_columns(table, info)
            yield from meeting(table, infos)
            yield from _identity(connection, table, info)


def _kept(table: Table, info: TableInfo) -> Iterator[Finding]:
    if info.persistence != "p":
        kind = "unlogged" if info.persistence == "u" else "temporary"
        yield Finding(
            table.name,
            f"it is {kind}, so its changes are not in the log",
            f"ALTER TABLE {_sql(info)} SET LOGGED;",
        )


def _columns(table: Table, info: TableInfo) -> Iterator[Finding]:
    said = dict(table.types)
    for name in dict.fromkeys((*table.columns, *table.key, *table.joins)):
        column = info.columns.get(name)
        if column is None:
            near = get_close_matches(name, info.columns, 1, 0.6)
            yield Finding(
                f"{table.name}.{name}",
                "there is no such column",
                f"Did you mean {near[0]!r}?" if near else f"Its columns are {_some(info.columns)}.",
            )
        elif column.type is None:
            yield Finding(
                f"{table.name}.{name}",
                f"its type {column.label} has no exact form in Python yet",
                "Leave the column out of the model.",
            )
        elif column.type.python not in ("Any", said.get(name, column.type.python)):
            yield Finding(
                f"{table.name}.{name}",
                f"it is {column.label}, in Python {column.type.python}, and the model says {said[name]}",
                "Correct the model, or the column. `lockstep explore` writes what the columns are.",
            )


def _key(table: Table, info: TableInfo) -> Iterator[Finding]:
    unique = [index for index in info.indexes if index.unique and set(index.columns) == set(table.key)]
    if not unique:
        has = f"its key is ({', '.join(info.key)})" if info.key else "it has no primary key"
        yield Finding(
            table.name,
            f"({', '.join(table.key)}) does not tell its rows apart: {has}",
            f"ALTER TABLE {_sql(info)} ADD PRIMARY KEY ({names.columns(table.key)});  "
            "or mark the key that it has.",
        )
    for name in table.key:
        if not info.columns[name].not_null:
            yield Finding(
                f"{table.name}.{name}",
                "a column of the key may be null, and such rows are left out",
                f"ALTER TABLE {_sql(info)} ALTER COLUMN {names.quoted(name)} SET NOT NULL;",
            )


def _followed_columns(table: Table, info: TableInfo) -> Iterator[Finding]:
    """Columns whose values travel as key bytes, and come from the log."""
    for column in map(info.columns.__getitem__, (*table.key, *table.joins)):
        problem = _no_key(column)
        if problem:
            yield Finding(f"{table.name}.{column.name}", *problem)


def _no_key(column: Column) -> tuple[str, str] | None:
    if column.type is not None and column.type.coarse:
        return (
            f"its type {column.label} takes different values for equal, and a key must be one value",
            "Use another column, or ALTER it to text.",
        )
    if column.type is not None and not column.type.keyable:
        return (
            f"its type {column.label} can be neither part of a key nor a column to join by",
            "Use another column.",
        )
    if column.generated:
        return "it is a generated column, whose values are not in the log", "Use the columns it is made from."
    if not column.deterministic:
        return (
            "its collation takes different texts for equal, and a key must be one text",
            "Give it a deterministic collation, or use another column.",
        )
    return None


def _identity(connection: Connection, table: Table, info: TableInfo) -> Iterator[Finding]:
    """The log must hold what a row was found by. With no identity at all, PostgreSQL moreover refuses the
    application's own UPDATE and DELETE, once the table is published."""
    if lacking := info.unlogged(table):
        whose = " (its key)" if set(lacking) & set(table.key) else ""
        refused = (
            ""
            if info.identity_columns
            else "; and once it is published, every UPDATE and DELETE of it would be refused"
        )
        yield Finding(
            table.name,
            f"its replica identity is {info.identity_words}, so the log lacks the old values of "
            f"{', '.join(lacking)}{whose}: when a row is moved or deleted, nobody could tell what it "
            f"belonged to{refused}",
            info.identity_mend(table),
        )
    elif info.kind == "p" and table.joins:
        leaves = connection.execute(_LEAVES.encode(), [info.oid, info.identity]).fetchall()
        if leaves:
            yield Finding(
                table.name,
                f"{len(leaves)} of its partitions have another replica identity than it has (a new partition "
                "does not inherit it): when a row is moved or deleted, nobody could tell what it belonged to",
                "  ".join(
                    f"ALTER TABLE {names.quoted(schema)}.{names.quoted(leaf)} REPLICA IDENTITY FULL;"
                    for schema, leaf in leaves
                ),
            )


def _heirs(connection: Connection, table: Table, info: TableInfo) -> Iterator[Finding]:
    """Tables that inherit (not partitions): a row of theirs is theirs alone here."""
    if info.kind != "r":
        return
    heirs = connection.execute(_HEIRS.encode(), [info.oid]).fetchall()
    if heirs:
        named = ", ".join(names.written(schema, heir) for schema, heir in heirs)
        yield Finding(
            table.name,
            f"rows of tables that inherit from it ({named}) are not read as its own",
            "Map these tables too, each with a mapping of its own; or make it a partitioned table.",
            blocks=False,
        )


def _rights(connection: Connection, table: Table, info: TableInfo) -> Generator[Finding, None, bool]:
    """Also returns whether the table can be read."""
    readable, filtered, user = connection.execute(_RIGHTS.encode(), [info.oid, info.schema]).fetchone() or (
        0,
        0,
        "",
    )
    if not readable:
        yield Finding(
            table.name,
            f"user {user} may not read it",
            f"GRANT USAGE ON SCHEMA {names.quoted(info.schema)} TO {names.quoted(user)};  "
            f"GRANT SELECT ON {_sql(info)} TO {names.quoted(user)};",
        )
    if filtered:
        yield Finding(
            table.name,
            f"a row security policy hides rows from user {user}, and hidden reads as deleted",
            f"ALTER ROLE {names.quoted(user)} BYPASSRLS;",
        )
    return bool(readable) and not filtered


def _indexes(connection: Connection, table: Table, info: TableInfo) -> Iterator[Finding]:
    joins = [name for name in table.joins if name in info.columns]
    unserved = [
        name
        for name in joins
        if not any(
            name in index.columns and set(index.columns[: index.columns.index(name)]) <= set(joins)
            for index in info.indexes
        )
    ]
    if not unserved or estimated(connection, info)[0] < BIG:
        return
    for name in unserved:
        yield Finding(
            f"{table.name}.{name}",
            "rows are found by this column, and no index begins with it: each batch reads the whole table",
            f"CREATE INDEX CONCURRENTLY ON {_sql(info)} ({names.quoted(name)});",
            blocks=False,
        )


def _sql(info: TableInfo) -> str:
    return f"{names.quoted(info.schema)}.{names.quoted(info.table)}"


def _some(given: Iterable[str]) -> str:
    known = list(given)
    return ", ".join(known[:20]) + (", …" if len(known) > 20 else "") if known else "none"
