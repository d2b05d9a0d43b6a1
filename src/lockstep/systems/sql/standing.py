"""Whether a SQL target stands, and making it: the marker, the companion, and the user's table.

The user's table is the user's. It is made only from columns that were declared, and never changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from uuid import uuid4

import sqlalchemy as sa

from lockstep.errors import DeclarationError, Refused
from lockstep.systems.sql.columns import Columns
from lockstep.systems.sql.companion import TARGETS, Companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.values import Contents, Identity, Version

_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_. ]*(\(\s*\d+\s*(,\s*-?\d+\s*)?\))?[A-Za-z ]*(\[\])?[A-Za-z ]*")


def identity(connection: sa.Connection, dialect: Dialect, table: str, own: Companion) -> Identity | None:
    """Which target this is; None where the marker or the table is missing."""
    schema, bare = dialect.place(table)
    if not sa.inspect(connection).has_table(TARGETS, schema) or not dialect.columns(connection, table):
        return None
    row = connection.execute(
        sa.select(own.targets.c.id, own.targets.c.marker).where(own.targets.c.name == bare)
    ).one_or_none()
    if row is None:
        return None
    return Identity(dialect.system, f"{table}:{row.id}", row.marker)


def contents(
    connection: sa.Connection, dialect: Dialect, table: str, key: Sequence[str], own: Companion
) -> Contents | None:
    """What it holds; None where the marker or the table is missing."""
    if identity(connection, dialect, table, own) is None:
        return None
    schema, bare = dialect.place(table)
    records = dialect.count(connection, sa.table(bare, schema=schema), key[0])
    highest = connection.execute(sa.select(own.targets.c.highest).where(own.targets.c.name == bare))
    return Contents(records, Version(highest.scalar_one()))


def create(
    connection: sa.Connection,
    dialect: Dialect,
    table: str,
    key: Sequence[str],
    declared: Mapping[str, str],
    own: Companion,
    marker: str,
) -> None:
    """Makes what is missing and leaves the marker. Refuses where a target stands, or rows are."""
    schema, bare = dialect.place(table)
    columns = dialect.columns(connection, table)
    own.targets.create(connection, checkfirst=True)
    stands = connection.execute(
        sa.select(own.targets.c.marker).where(own.targets.c.name == bare)
    ).scalar_one_or_none()
    if stands is not None and columns:
        raise Refused(
            f"table {table} is a target already (marker {stands})",
            "Run against the state that created it, or name another table.",
        )
    if columns:
        trouble = problem(connection, dialect, table, key, declared, columns)
        if trouble is not None:
            raise Refused(*trouble)
        if connection.execute(
            sa.select(sa.literal(1)).select_from(sa.table(bare, schema=schema)).limit(1)
        ).first():
            raise Refused(
                f"table {table} holds rows that Lockstep did not write",
                "`lockstep adopt MAPPING` takes it over as it is; or empty it, or name another table.",
            )
    elif declared:
        connection.exec_driver_sql(ddl(connection, dialect, table, key, declared))
    else:
        raise Refused(
            f"there is no table {table} in {dialect.system}",
            f'Create it, or declare its columns: .table("{table}", columns={{"id": "INTEGER", ...}}).',
        )
    own.rows.drop(connection, checkfirst=True)  # of a table that was dropped
    own.rows.create(connection)
    connection.execute(own.targets.delete().where(own.targets.c.name == bare))
    connection.execute(own.targets.insert().values(name=bare, id=uuid4().hex, marker=marker, highest=0))


def problem(
    connection: sa.Connection,
    dialect: Dialect,
    table: str,
    key: Sequence[str],
    declared: Mapping[str, str],
    columns: Columns,
) -> tuple[str, str] | None:
    """What keeps an existing table from being a target, and the mend."""
    missing = [name for name in (*key, *declared) if name not in columns]
    if missing:
        return (
            f"table {table} has no column {missing[0]}; its columns are {', '.join(columns)}",
            "Correct `key` or `columns`, or add the column.",
        )
    for name in key:
        if not columns[name].orders:
            return (
                f"column {table}.{name} is declared {columns[name].declared or 'without a type'}, which the "
                "database does not order as Lockstep orders keys",
                "Use a key column of an integer, text, uuid, date or bytes type.",
            )
    if not dialect.unique(connection, table, key):
        return (
            f"no unique index of {table} is on exactly ({', '.join(key)}), telling upper from lower case",
            f"Make it the primary key, or CREATE UNIQUE INDEX on {table} ({', '.join(key)}).",
        )
    return None


def ddl(
    connection: sa.Connection, dialect: Dialect, table: str, key: Sequence[str], declared: Mapping[str, str]
) -> str:
    """The CREATE TABLE of declared columns."""
    quote = connection.dialect.identifier_preparer.quote_identifier
    place = ".".join(quote(part) for part in dialect.place(table) if part is not None)
    lines = []
    for name, type_ in declared.items():
        required = name in key and "NOT NULL" not in type_.upper()
        written = dialect.declared(type_, name in key)
        lines.append(f"{quote(name)} {written}{' NOT NULL' if required else ''}")
    lines.append(f"PRIMARY KEY ({', '.join(map(quote, key))})")
    return f"CREATE TABLE {place} ({', '.join(lines)})"


def validate(dialect: Dialect, table: str, key: Sequence[str], declared: Mapping[str, str]) -> None:
    """Raises DeclarationError for a table that can be no target, without opening anything."""
    if dialect.place(table)[1].startswith("_lockstep"):
        raise DeclarationError(f"{table} is a name of Lockstep's own tables", "Name another table.")
    if not key or len(set(key)) != len(key):
        raise DeclarationError(
            f"table {table} is declared with the key {tuple(key)}", "Name one or more columns, each once."
        )
    for name, type_ in declared.items():
        if not _TYPE.fullmatch(type_):
            raise DeclarationError(
                f"{table}.{name} is declared {type_!r}, which is no column type",
                'Use a type as in CREATE TABLE: "TEXT", "DECIMAL(12, 2)", "INTEGER NOT NULL".',
            )
    if declared:
        missing = [name for name in key if name not in declared]
        if missing:
            raise DeclarationError(
                f"the key column {missing[0]} of {table} is not among its declared columns",
                "Declare it in `columns`, or correct `key`.",
            )
        for name in key:
            if not dialect.codec(declared[name]).orders:
                raise DeclarationError(
                    f"{table}.{name} cannot be a key column as {declared[name]}: not in the order of keys",
                    "Use a key column of an integer, text, uuid, date or bytes type.",
                )
