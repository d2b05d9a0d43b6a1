"""Whatever would go wrong when a SQLite file is read and followed.

What cannot be found from here: a writer that switches triggers off (SQLITE_DBCONFIG_ENABLE_TRIGGER), writes
through `sqlite3_blob_write`, edits of `writable_schema`, and a column that is dropped and added again in one
transaction. The agreement check finds what such a one changed.
"""

from __future__ import annotations

import difflib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lockstep.errors import LockstepError, Refused
from lockstep.systems.sqlite import install
from lockstep.systems.sqlite.client import connect, mapped, names, quoted
from lockstep.systems.sqlite.meeting import meeting
from lockstep.systems.sqlite.schema import Column, TableInfo, read_table, same_name, table_names
from lockstep.systems.sqlite.types import DATETIME, JSON
from lockstep.values import Finding, Table


def findings(path: Path, tables: Sequence[Table]) -> list[Finding]:
    """Everything found, of the file first."""
    found = list(_of_file(path))
    if any(finding.blocks for finding in found):
        return found
    try:
        connection = connect(path, query_only=True)
    except LockstepError as error:
        return [*found, Finding(str(path), str(error), error.remedy)]
    try:
        with mapped(path):
            found += _of_database(connection, path)
            try:
                install.merged(tables)
            except Refused as error:
                found.append(Finding(str(path), str(error), error.remedy))
            for table in tables:
                found += _of_table(connection, table)
    except LockstepError as error:
        found.append(Finding(str(path), str(error), error.remedy))
    finally:
        connection.close()
    return list({(one.subject, one.problem): one for one in found}.values())


def _of_file(path: Path) -> Iterator[Finding]:
    if not path.is_file():
        yield Finding(str(path), "there is no such file", "Correct the path, or create the database.")
        return
    for place, what in ((path, "file"), (path.absolute().parent, "directory")):
        if not os.access(place, os.R_OK | os.W_OK):
            yield Finding(
                str(path),
                f"the {what} cannot be written, so changes cannot be captured",
                f"Give this user the right to write the {what}.",
            )


def _of_database(connection: sqlite3.Connection, path: Path) -> Iterator[Finding]:
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        yield Finding(
            str(path),
            f"the journal mode is {mode}, in which the application's commits wait for each read of Lockstep",
            "PRAGMA journal_mode = WAL, once, unless the file lies on a network.",
            blocks=False,
        )
    elif _on_network(path):
        yield Finding(
            str(path), "the file is in WAL mode on a network file system", "Move the file to a local disk."
        )


def _on_network(path: Path) -> bool:
    """Whether the mount that holds a file is a network's, where that can be told."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return False
    whole = os.path.realpath(path)
    holding = [(len(at), kind) for _, at, kind, *_ in mounts if whole.startswith(at.rstrip("/") + "/")]
    return bool(holding) and max(holding)[1] in ("nfs", "nfs4", "cifs", "smb3", "9p", "afs")


def _of_table(connection: sqlite3.Connection, table: Table) -> Iterator[Finding]:
    try:
        info = read_table(connection, table.name)
    except Refused as error:
        mend = _near(table.name, table_names(connection)) or error.remedy
        yield Finding(table.name, str(error), mend)
        return
    asked = dict.fromkeys((*table.key, *table.joins, *table.columns))
    missing = [name for name in asked if not info.has(name)]
    for name in missing:
        known = [column.name for column in info.columns]
        mend = _near(name, known) or f"Its columns are {', '.join(known)}."
        yield Finding(f"{info.name}.{name}", "there is no such column", mend)
    if missing:
        return
    yield from _of_key(connection, info, table)
    yield from meeting(connection, table)
    for name in table.joins:
        yield from _of_join(info, info.column(name))
    for name in (*table.key, *table.joins):
        yield from _of_found_by(connection, info, info.column(name), table.key)


def _of_key(connection: sqlite3.Connection, info: TableInfo, table: Table) -> Iterator[Finding]:
    columns = tuple(info.column(name).name for name in table.key)
    subject = f"{info.name}({', '.join(columns)})"
    index = info.unique_over(columns)
    if index is None and not info.is_alias(columns):
        yield Finding(
            subject,
            "is no key: no PRIMARY KEY or UNIQUE index is over exactly these columns",
            f'CREATE UNIQUE INDEX "{info.name}_key" ON {quoted(info.name)}({names(columns)});',
        )
        return
    nullable = [name for name in columns if info.column(name).nullable and not info.is_alias(columns)]
    if nullable:
        condition = " OR ".join(f"{quoted(name)} IS NULL" for name in nullable)
        (rows,) = connection.execute(f"SELECT count(*) FROM {quoted(info.name)} WHERE {condition}").fetchone()
        if rows:
            yield Finding(
                subject,
                f"is null in {rows} rows, which have no key",
                "Give them one, and declare it NOT NULL.",
            )
    for part in index.parts if index else ():
        if part.collation not in ("BINARY", "NOCASE", "RTRIM"):
            yield Finding(
                subject,
                f"is compared by the collation {part.collation}, which only the application has",
                "Mark a key that SQLite can compare by itself.",
            )
        elif part.collation != "BINARY":
            yield Finding(
                subject,
                f"compares {part.column} by {part.collation}; Lockstep compares keys by bytes",
                "See that references are spelled exactly as the keys they mean.",
                blocks=False,
            )


def _of_join(info: TableInfo, column: Column) -> Iterator[Finding]:
    if any(index.parts[0].column == column.name and index.predicate is None for index in info.indexes):
        return
    if info.is_alias((column.name,)):
        return
    yield Finding(
        f"{info.name}.{column.name}",
        "has no index, so each batch reads the whole table to find rows by it",
        f"CREATE INDEX {quoted(f'{info.name}_{column.name}')} ON {quoted(info.name)}({quoted(column.name)});",
        blocks=False,
    )


def _of_found_by(
    connection: sqlite3.Connection, info: TableInfo, column: Column, key: tuple[str, ...]
) -> Iterator[Finding]:
    """Columns by whose values rows are found: every stored form of a value must be known."""
    subject = f"{info.name}.{column.name}"
    if column.kind is JSON:
        yield Finding(subject, "is JSON, by which rows cannot be found", "Use a column of another type.")
    if column.kind is DATETIME:
        name = quoted(column.name)
        other_zone = connection.execute(
            f"SELECT 1 FROM {quoted(info.name)} WHERE {name} GLOB '*[+-][0-9][0-9]:[0-9][0-9]'"
            f" AND {name} NOT GLOB '*+00:00' LIMIT 1"
        ).fetchone()
        if other_zone:
            yield Finding(
                subject,
                "is a key or join column and holds times with an offset other than UTC, which are not found",
                "Store its times in UTC.",
            )
        spellings = connection.execute(
            f"SELECT DISTINCT length({name}), substr({name}, 11, 1) FROM {quoted(info.name)}"
            f" WHERE {name} IS NOT NULL LIMIT 2"
        ).fetchall()
        if column.name in key and len(spellings) > 1:
            yield Finding(
                subject,
                "is a key column and spells its times in several ways, so two rows may have one key",
                "Store its times in one way, such as 2026-03-08 09:30:00.",
            )


def _near(name: str, known: Iterable[str]) -> str | None:
    """A name that was perhaps meant."""
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name.lower(), by_lower, 1)
    return f"Did you mean {by_lower[found[0]]!r}?" if found and not same_name(found[0], name) else None
