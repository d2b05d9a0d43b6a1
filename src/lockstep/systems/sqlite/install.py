"""Puts capture into a user's database, and takes it out again.

What Lockstep keeps there, all of it removed by `remove`:
_lockstep_changes    the log. `n` only grows, since the last row is never deleted; `token` is random, so
                     that a restored file, which counts on from an older number, is told from this one
_lockstep_layouts    which table and columns a row of the log speaks of, and what the table was like then
_lockstep_meta       the database's identity
_lockstep_capture_*  the triggers
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from lockstep.errors import Refused
from lockstep.systems.sqlite import triggers
from lockstep.systems.sqlite.client import connect, mapped, quoted, writing
from lockstep.systems.sqlite.schema import OWN, TableInfo, read_table
from lockstep.systems.sqlite.triggers import LOG, MARKER, PREFIX
from lockstep.values import Table

LAYOUTS = f"{OWN}_layouts"
META = f"{OWN}_meta"
_LEAST_COLUMNS = 4


class Wanted(msgspec.Struct, frozen=True):
    """What is captured of a table, in the spelling of the declaration."""

    table: str
    key: tuple[str, ...]
    joins: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.key + self.joins


class Layout(msgspec.Struct, frozen=True):
    """What a row of the log holds. `types` are the declared types of the columns."""

    wanted: Wanted
    types: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A table whose triggers are not what they should be."""

    info: TableInfo
    layout: Layout
    definition: str


def merged(tables: Sequence[Table]) -> dict[str, Wanted]:
    """What is wanted of each table, by its name in lower case, if several shapes read it."""
    found: dict[str, Wanted] = {}
    for table in tables:
        before = found.get(table.name.lower())
        if before is None:
            found[table.name.lower()] = Wanted(table.name, table.key, table.joins)
            continue
        if before.table != table.name or before.key != table.key:
            raise Refused(
                f"table {table.name!r} with key {table.key} is also declared as {before.table!r} with key"
                f" {before.key}",
                "Declare a table under one name and with one key.",
            )
        found[table.name.lower()] = Wanted(
            table.name, table.key, tuple(dict.fromkeys(before.joins + table.joins))
        )
    return found


def install(
    connection: sqlite3.Connection, wanted: Iterable[Wanted], *, missing_ok: bool = False
) -> list[str]:
    """Makes capture what is wanted; the tables whose triggers are new. Writes only where something changed.

    `missing_ok`: a table that is not there is passed over, for it may come back.
    """
    wanted = list(wanted)
    if (
        _is_there(connection, META)
        and not _plans(connection, wanted, missing_ok)
        and not _stale(connection, wanted)
    ):
        return []
    with writing(connection):
        _create(connection)
        for name in _stale(connection, wanted):
            connection.execute(f"DROP TRIGGER {quoted(name)}")
        plans = _plans(connection, wanted, missing_ok)
        for plan in plans:
            _capture(connection, plan)
    return [plan.layout.wanted.table for plan in plans]


def remove(path: Path) -> None:
    """Takes everything that capture keeps out of a database."""
    connection = connect(path)
    try:
        with mapped(path), writing(connection):
            for (name,) in _triggers(connection):
                connection.execute(f"DROP TRIGGER {quoted(name)}")
            for table in (LOG, LAYOUTS, META):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
    finally:
        connection.close()


def identity(connection: sqlite3.Connection) -> str:
    (found,) = connection.execute(f"SELECT value FROM {META} WHERE name = 'identity'").fetchone()
    return str(found)


def layouts(connection: sqlite3.Connection) -> dict[int, Layout]:
    """Every layout that rows of the log may have."""
    found = connection.execute(f"SELECT id, layout FROM {LAYOUTS}")
    return {number: msgspec.json.decode(text, type=Layout) for number, text in found}


def _is_there(connection: sqlite3.Connection, table: str) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
    return found.fetchone() is not None


def _triggers(connection: sqlite3.Connection) -> list[tuple[str]]:
    return connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, ?) = ?",
        (len(PREFIX), PREFIX),
    ).fetchall()


def _create(connection: sqlite3.Connection) -> None:
    connection.execute(f"CREATE TABLE IF NOT EXISTS {META}(name TEXT PRIMARY KEY, value TEXT NOT NULL)")
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {LAYOUTS}(id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
        " layout TEXT NOT NULL, definition TEXT NOT NULL)"
    )
    if _is_there(connection, LOG):  # which somebody may have left without its identity
        connection.execute(f"INSERT OR IGNORE INTO {META} VALUES ('identity', ?)", (secrets.token_hex(16),))
        return
    columns = "".join(f", {side}{at}" for at in range(_LEAST_COLUMNS) for side in "ba")
    connection.execute(
        f"CREATE TABLE {LOG}(n INTEGER PRIMARY KEY, token INTEGER DEFAULT (random()),"
        f" at REAL DEFAULT (julianday('now')), layout INTEGER, operation INTEGER{columns})"
    )
    connection.execute(f"INSERT INTO {LOG}(layout, operation) VALUES (0, {MARKER})")  # never an empty log
    connection.execute(f"INSERT OR REPLACE INTO {META} VALUES ('identity', ?)", (secrets.token_hex(16),))


def _widen(connection: sqlite3.Connection, width: int) -> None:
    held = len(connection.execute(f"PRAGMA table_info({LOG})").fetchall()) // 2 - 2
    for at in range(held, width):
        for side in "ba":
            connection.execute(f"ALTER TABLE {LOG} ADD COLUMN {side}{at}")


def _plans(connection: sqlite3.Connection, wanted: list[Wanted], missing_ok: bool) -> list[Plan]:
    """The tables whose triggers, columns or definition are not as they were installed."""
    plans = []
    for one in wanted:
        try:
            info = read_table(connection, one.table)
            types = tuple(info.column(name).declared for name in one.columns)
        except Refused:
            if missing_ok:
                continue
            raise
        plan = Plan(info, Layout(one, types), _definition(info))
        if not _stands(connection, plan):
            plans.append(plan)
    return plans


def _definition(info: TableInfo) -> str:
    unique = sorted(index.sql for index in info.indexes if index.unique and index.sql is not None)
    return ";\n".join([info.sql, *unique])


def _current(connection: sqlite3.Connection, table: str) -> tuple[int, str, str] | None:
    if not _is_there(connection, LAYOUTS):
        return None
    found: tuple[int, str, str] | None = connection.execute(
        f"SELECT id, layout, definition FROM {LAYOUTS} WHERE name = ? ORDER BY id DESC LIMIT 1",
        (table.lower(),),
    ).fetchone()
    return found


def _stands(connection: sqlite3.Connection, plan: Plan) -> bool:
    current = _current(connection, plan.info.name)
    if current is None or not _is_there(connection, LOG):
        return False
    number, layout, definition = current
    if layout != _text(plan.layout) or definition != plan.definition:
        return False
    expected = triggers.statements(plan.info, plan.layout.wanted.columns, number)
    return expected == dict(_of_layout(connection, number))


def _of_layout(connection: sqlite3.Connection, number: int) -> list[tuple[str, str]]:
    prefix = f"{PREFIX}{number}_"
    return connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND substr(name, 1, ?) = ?",
        (len(prefix), prefix),
    ).fetchall()


def _stale(connection: sqlite3.Connection, wanted: list[Wanted]) -> list[str]:
    """Triggers of tables that nobody asks for any more, and of older layouts."""
    current = [_current(connection, one.table) for one in wanted]
    kept = tuple(f"{PREFIX}{found[0]}_" for found in current if found is not None)
    return [name for (name,) in _triggers(connection) if not name.startswith(kept)]


def _capture(connection: sqlite3.Connection, plan: Plan) -> None:
    current = _current(connection, plan.info.name)
    for name, _ in _of_layout(connection, current[0]) if current else []:
        connection.execute(f"DROP TRIGGER {quoted(name)}")
    captured = plan.layout.wanted.columns
    _widen(connection, len(captured))
    number = connection.execute(
        f"INSERT INTO {LAYOUTS}(name, layout, definition) VALUES (?, ?, ?)",
        (plan.info.name.lower(), _text(plan.layout), plan.definition),
    ).lastrowid
    assert number is not None
    for sql in triggers.statements(plan.info, captured, number).values():
        connection.execute(sql)
    connection.execute(f"INSERT INTO {LOG}(layout, operation) VALUES (?, {MARKER})", (number,))


def _text(layout: Layout) -> str:
    return msgspec.json.encode(layout).decode()
