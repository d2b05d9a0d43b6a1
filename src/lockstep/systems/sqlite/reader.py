"""Reads the current state of a SQLite file: one read transaction for each snapshot.

A snapshot's connection is used again by the next one. While one is open in a database that is not in WAL
mode, writers wait for it, which is one more reason to close it within a batch.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, product
from pathlib import Path
from typing import Any

from lockstep.errors import LockstepError, TooMuch
from lockstep.ports import MOST_BYTES, MOST_ROWS, KeyPage
from lockstep.systems.sqlite import cells, sums, walk
from lockstep.systems.sqlite.client import BUSY_SECONDS, connect, file_of, mapped, names, quoted
from lockstep.systems.sqlite.schema import TableInfo, read_table
from lockstep.values import Fetch, Span, Table

CHUNK_VALUES = 4096
"""How many values one statement asks for."""

PAGE_ROWS = 256
"""How many rows are held at once while they are streamed."""


@dataclass
class Session:
    """A connection and what is known of the schema it sees."""

    connection: sqlite3.Connection
    file: tuple[int, int] | None
    version: int = -1
    tables: dict[str, TableInfo] = field(default_factory=dict)
    indexed: dict[tuple[str, tuple[str, ...]], bool] = field(default_factory=dict)
    walks: dict[tuple[str, tuple[str, ...]], walk.Way] = field(default_factory=dict)

    def refresh(self) -> None:
        """Forgets what is known of the schema if that has changed. Inside the snapshot's transaction."""
        (version,) = self.connection.execute("PRAGMA schema_version").fetchone()
        self.connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()  # the moment is now
        if version != self.version:
            self.version = version
            self.tables.clear()
            self.indexed.clear()
            self.walks.clear()

    def table(self, name: str) -> TableInfo:
        if name not in self.tables:
            self.tables[name] = read_table(self.connection, name)
        return self.tables[name]


class SQLiteSnapshot:
    """One consistent moment. See `lockstep.ports.Snapshot`."""

    def __init__(self, path: Path, session: Session) -> None:
        self._path = path
        self._session = session
        self._connection = session.connection

    def rows(self, fetch: Fetch, values: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        size = 0
        for page in self.stream(fetch, values):
            found += page
            size += sum(map(_weight, zip(*page, strict=True)))
            if len(found) > MOST_ROWS or size > MOST_BYTES:
                raise TooMuch(
                    f"{len(found):,} rows of {fetch.table} and more, {size:,} bytes, belong together",
                    "Lockstep reads fewer at once by itself.",
                )
        return found

    def stream(self, fetch: Fetch, values: Sequence[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
        with mapped(self._path):
            info = self._session.table(fetch.table)
            by = [info.column(name) for name in fetch.by]
            asked: dict[tuple[Any, ...], None] = {}
            for value in values:
                forms = [cells.stored(column, part) for column, part in zip(by, value, strict=True)]
                asked.update(dict.fromkeys(product(*forms)))
            wanted = [info.column(name) for name in fetch.columns]
            groups = [[info.column(name).name for name in group] for group in fetch.hashes]
            read = dict.fromkeys([column.name for column in wanted] + list(chain.from_iterable(groups)))
            place = {name: at for at, name in enumerate(read)}
            for page in self._lookup(info, tuple(read), tuple(column.name for column in by), list(asked)):
                stored = list(zip(*page, strict=True))
                out = [cells.values(info.name, column, stored[place[column.name]]) for column in wanted]
                hashes = [map(sums.row_hash, *(stored[place[name]] for name in group)) for group in groups]
                yield list(zip(*out, *hashes, strict=True))

    def _lookup(
        self, info: TableInfo, columns: tuple[str, ...], by: tuple[str, ...], asked: list[tuple[Any, ...]]
    ) -> Iterator[list[tuple[Any, ...]]]:
        limit = self._connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        chunk = min(CHUNK_VALUES, limit // len(by))
        for start in range(0, len(asked), chunk):
            part = asked[start : start + chunk]
            size = min(chunk, 1 << max(len(part) - 1, 7).bit_length())
            sql = self._sql(info, columns, by, size)
            filled = part + [(None,) * len(by)] * (size - len(part))  # few statements, so they stay compiled
            cursor = self._connection.execute(sql, [item for row in filled for item in row])
            try:
                while page := cursor.fetchmany(PAGE_ROWS):
                    yield page
            finally:
                cursor.close()

    def _sql(self, info: TableInfo, columns: tuple[str, ...], by: tuple[str, ...], size: int) -> str:
        """A statement for `size` values: a search for each of them, or one scan where no index helps."""
        given = ", ".join([f"({', '.join('?' * len(by))})"] * size)
        labels = [f"v{at}" for at in range(len(by))]
        cte = f"WITH asked({', '.join(labels)}) AS (VALUES {given})"
        table = quoted(info.name)
        select = f"{cte} SELECT {names(columns, info.name)} FROM"
        equal = " AND ".join(
            f"{table}.{quoted(name)} = asked.{label}" for name, label in zip(by, labels, strict=True)
        )
        exact = ""
        if info.collated:  # 'A' = 'a' where the column says so; keys are compared by bytes
            exact = " AND " + " AND ".join(
                f"{table}.{quoted(name)} COLLATE BINARY = asked.{label}"
                for name, label in zip(by, labels, strict=True)
            )
        search = f"{select} asked CROSS JOIN {table} ON {equal}{exact}"
        if self._searches(info.name, by, search, size * len(by)):
            return search
        left = ", ".join(f"{table}.{quoted(name)} COLLATE BINARY" for name in by)
        return f"{select} {table} WHERE ({left}) IN (SELECT {', '.join(labels)} FROM asked)"

    def _searches(self, table: str, by: tuple[str, ...], sql: str, variables: int) -> bool:
        known = self._session.indexed
        if (table, by) not in known:
            plan = self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * variables).fetchall()
            steps = [step for *_, step in plan if step.startswith(f"SEARCH {table} ")]
            known[table, by] = bool(steps) and not any("AUTOMATIC" in step for step in steps)
        return known[table, by]

    def keys(self, table: Table, span: Span, limit: int) -> KeyPage:
        info = self._session.table(table.name)
        with mapped(self._path):
            way = self._session.walks.get((table.name, table.key))
            if way is None:
                way = walk.way(self._connection, info, table.key)
                self._session.walks[table.name, table.key] = way
            return walk.page(self._connection, way, span, limit)


class SQLiteReader:
    """See `lockstep.ports.Reader`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[Session] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[SQLiteSnapshot]:
        session = self._take()
        try:
            with mapped(self._path):
                session.connection.execute("BEGIN")
                session.refresh()
            yield SQLiteSnapshot(self._path, session)
            session.connection.execute("ROLLBACK")
        except BaseException as error:
            if isinstance(error, LockstepError) and not error.retriable and session.connection.in_transaction:
                session.connection.execute("ROLLBACK")
                self._give(session)
            else:
                session.connection.close()
            raise
        self._give(session)

    def _take(self) -> Session:
        file = file_of(self._path)
        with self._lock:
            while self._idle:
                session = self._idle.pop()
                if session.file == file:
                    return session
                session.connection.close()  # another file was put in its place
        connection = connect(self._path, busy=BUSY_SECONDS, query_only=True)
        sums.register(connection)
        return Session(connection, file)

    def _give(self, session: Session) -> None:
        with self._lock:
            self._idle.append(session)

    def visible(self, tokens: Sequence[str]) -> str | None:
        return None  # what is committed is read

    def estimate(self, table: Table) -> int:
        with self.snapshot() as snapshot, mapped(self._path):
            return estimate(snapshot._connection, snapshot._session.table(table.name))

    def count(self, table: Table, most: int) -> int:
        with self.snapshot() as snapshot, mapped(self._path):
            name = quoted(snapshot._session.table(table.name).name)
            some = f"SELECT 1 FROM {name} LIMIT {int(most)}"
            (counted,) = snapshot._connection.execute(f"SELECT count(*) FROM ({some})").fetchone()
            return int(counted)

    def close(self) -> None:
        with self._lock:
            while self._idle:
                self._idle.pop().connection.close()


def estimate(connection: sqlite3.Connection, info: TableInfo) -> int:
    """About how many rows a table has: the span of its row numbers, or a count where it has none."""
    if info.rowid is None:
        (count,) = connection.execute(f"SELECT count(*) FROM {quoted(info.name)}").fetchone()
        return int(count)
    (low,), (high,) = (
        connection.execute(f"SELECT {side}({info.rowid}) FROM {quoted(info.name)}").fetchone()
        for side in ("min", "max")
    )
    return 0 if low is None else int(high - low + 1)


def _weight(column: Sequence[Any]) -> int:
    """About how many bytes the texts and bytes of a column take."""
    return sum(len(value) for value in column if type(value) is str or type(value) is bytes)
