"""Reads the current state of a PostgreSQL database, a consistent snapshot at a time.

A snapshot is one REPEATABLE READ, READ ONLY transaction on a kept connection. The tables are locked (ACCESS
SHARE) *before* its moment is fixed: TRUNCATE and the forms of ALTER TABLE that rewrite a table are not
isolated by PostgreSQL, and to an older snapshot the table would read as empty, which is as deleted. A table
that is read for the first time, or could not be locked at once, is locked later and looked at whether it was
rewritten in between.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg

from lockstep import keys
from lockstep.canonical import wrap64
from lockstep.errors import CannotSum, Refused, TimedOut, TooMuch, Unreachable
from lockstep.ports import MOST_BYTES, MOST_ROWS, KeyPage
from lockstep.systems.postgres import grouping, lookup, summing, tables, visibility, walk
from lockstep.systems.postgres.client import LOCK_TIMEOUT, Address, Connection
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.tables import TableInfo
from lockstep.systems.postgres.values import decoded, slowly
from lockstep.values import Branch, Fetch, Key, Span, Table, Tally

CHUNK = 5_000
_LIMIT = f" LIMIT {MOST_ROWS + 1}"
_FEWER = "Lockstep reads fewer at once by itself."
COUNTED = 20_000
"""Tables thought to be smaller than this are counted."""

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
_LOCK_SOON = f"SET LOCAL lock_timeout = '200ms'; {{}}; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; "
_VERSIONS = """SELECT c.oid::int8, c.xmin::text, sum(a.xmin::text::int8)::text, count(*),
       c.relkind = 'p' OR coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) = 0
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid IN ({})
GROUP BY c.oid, c.xmin, c.relkind, c.reltoastrelid"""
_REWRITTEN = """SELECT count(*) FROM pg_class c
WHERE (c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass)))
  AND c.relkind = 'r' AND c.relfilenode IS DISTINCT FROM pg_relation_filenode(c.oid)"""

T = TypeVar("T")
Row = tuple[Any, ...]
Versions = dict[int, tuple[Any, ...]]
Texts = dict[Fetch, tuple[TableInfo, str]]
"""The SQL of what is fetched, made once for each way a table was found to be."""


class PostgresSnapshot:
    """One moment of the database."""

    def __init__(
        self, connection: Connection, known: dict[str, TableInfo], texts: Texts, narrow: set[int]
    ) -> None:
        """`narrow`: relations, by oid, whose rows all fit their page."""
        self._connection = connection
        self._known = known
        self._texts = texts
        self._narrow = narrow
        self._streams = 0
        self.learnt: dict[str, TableInfo] = {}

    def rows(self, fetch: Fetch, values: Sequence[Row]) -> list[Row]:
        info = self._info(fetch.table)
        text = self._text(info, fetch)
        found: list[Row] = []
        for given in lookup.chunks(info, fetch, values, CHUNK):
            self._weigh(info, fetch, given)
            found += self._query(info, fetch.columns, text + _LIMIT, given)
            if len(found) > MOST_ROWS:
                raise TooMuch(f"more than {MOST_ROWS:,} rows of {info.name} belong together", _FEWER)
        return found

    def _weigh(self, info: TableInfo, fetch: Fetch, given: Sequence[str]) -> None:
        """Where rows may be wide, asks for their size first: the driver has them all in memory at once."""
        if not fetch.columns or self._narrow.issuperset(info.relations):
            return
        text = lookup.sizes(info, fetch)
        ((size,),) = self._query(info, (), text, given)
        if size > MOST_BYTES:
            raise TooMuch(f"{size:,} bytes of {info.name} belong together", _FEWER)

    def stream(self, fetch: Fetch, values: Sequence[Row]) -> Iterator[list[Row]]:
        info = self._info(fetch.table)
        text = self._text(info, fetch)
        for given in lookup.chunks(info, fetch, values, CHUNK):
            self._streams += 1
            name = f"lockstep_{self._streams}"
            with mapped(f"reading {info.name}"), _portal(self._connection, name) as cursor:
                cursor.execute(text.encode(), given, binary=True)
                while page := self._fetched(cursor, info, fetch.columns, CHUNK):
                    yield page

    def keys(self, table: Table, span: Span, limit: int) -> KeyPage:
        info = self._info(table.name)
        way = walk.way(info, table.key)
        columns = tuple(column.name for column in way.columns)

        def query(text: str, given: Sequence[str]) -> list[Row]:
            return self._query(info, columns, text, given)

        return walk.page(query, way, span, limit)

    def sums(self, root: Branch, cuts: Sequence[Key]) -> list[Tally]:
        infos = self._infos(root)
        found: list[Row] = []
        with _summed(root), self._connection.cursor(binary=True) as cursor:
            for text in summing.sums_sql(infos, self._references(infos), root, cuts):
                cursor.execute(text.encode())
                found += cursor.fetchall()
        return summing.tallied(found, len(cuts) + 1)

    def numbers(self, root: Branch, span: Span) -> Iterator[list[tuple[Key, int]]]:
        infos = self._infos(root)
        text = summing.numbers_sql(infos, self._references(infos), root, span)
        self._streams += 1
        with _summed(root), _portal(self._connection, f"lockstep_{self._streams}") as cursor:
            cursor.execute(text.encode(), (), binary=True)
            while page := self._fetched(cursor, infos[root.table.name], root.table.key, CHUNK):
                yield [(keys.encode(row[:-1]), wrap64(int(row[-1]))) for row in page]

    def groups(self, table: Table, of: str | None, by: Sequence[str]) -> Iterator[list[Row]]:
        info = self._info(table.name)
        text = grouping.groups_sql(info, of, by)
        self._streams += 1
        try:
            with (
                mapped(f"grouping {info.name}"),
                _portal(self._connection, f"lockstep_{self._streams}") as cursor,
            ):
                cursor.execute(text.encode(), (), binary=True)
                while page := self._fetched(cursor, info, by, CHUNK):
                    yield [grouping.group(row) for row in page]
        except TimedOut as error:
            raise CannotSum(str(error), error.remedy) from error

    def _references(self, infos: dict[str, TableInfo]) -> summing.References:
        oids = "{" + ",".join(str(info.oid) for info in infos.values()) + "}"
        found = self._connection.execute(summing.REFERENCES.encode(), [oids]).fetchall()
        return summing.references(found)

    def _infos(self, root: Branch) -> dict[str, TableInfo]:
        """What is known of all the tables of a shape."""
        found = {root.table.name: self._info(root.table.name)}
        for child in root.below:
            found |= self._infos(child)
        return found

    def _text(self, info: TableInfo, fetch: Fetch) -> str:
        made = self._texts.get(fetch)
        if made is None or made[0] is not info:
            made = self._texts[fetch] = (info, lookup.statement(info, fetch))
        return made[1]

    def _query(self, info: TableInfo, columns: Sequence[str], text: str, given: Sequence[str]) -> list[Row]:
        with mapped(f"reading {info.name}"), self._connection.cursor(binary=True) as cursor:
            cursor.execute(text.encode(), given)
            return self._fetched(cursor, info, columns)

    def _fetched(
        self, cursor: psycopg.Cursor[Row], info: TableInfo, columns: Sequence[str], limit: int | None = None
    ) -> list[Row]:
        try:
            found = cursor.fetchall() if limit is None else cursor.fetchmany(limit)
        except (psycopg.DataError, UnicodeError) as error:
            found = slowly(cursor, info, columns, error)
        return decoded(found, info, columns)

    def _info(self, name: str) -> TableInfo:
        if name in self._known:
            return self._known[name]
        with mapped(f"reading what the catalog says of {name}"):
            info = tables.load(self._connection, [name]).get(name)
            if info is None:
                raise Refused(f"there is no table {name}", "Run `lockstep check`.")
            self._connection.execute(_lock([info]).encode())
            (rewritten,) = self._connection.execute(_REWRITTEN.encode(), [info.oid]).fetchone() or (0,)
        if rewritten:
            raise Unreachable(
                f"{name} was truncated or rewritten just when it was to be read",
                "Lockstep reads it again by itself.",
            )
        self._known[name] = self.learnt[name] = info
        return info


class PostgresReader:
    """Snapshots of a database, each on one of a few kept connections. May be used by several threads."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._known: dict[str, TableInfo] = {}
        self._versions: Versions = {}
        self._texts: Texts = {}

    @contextmanager
    def snapshot(self) -> Iterator[PostgresSnapshot]:
        connection, known, narrow = self._begun()
        snapshot = PostgresSnapshot(connection, known, self._texts, narrow)
        try:
            yield snapshot
            if snapshot.learnt:
                self._learn(connection, snapshot.learnt)
        finally:
            self._give_back(connection)

    def visible(self, tokens: Sequence[str]) -> str | None:
        if not tokens:
            return None
        with mapped("asking which transactions have ended"):
            return self._asked(lambda connection: visibility.waited_for(connection, tokens))

    def estimate(self, table: Table) -> int:
        with mapped(f"estimating the rows of {table.name}"):
            return self._asked(lambda connection: _estimate(connection, table.name))

    def count(self, table: Table, most: int) -> int:
        with mapped(f"counting the rows of {table.name}"):
            return self._asked(lambda connection: _count(connection, table.name, most))

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    # Connections

    def _asked(self, question: Callable[[Connection], T]) -> T:
        """The answer of a kept connection; of a new one if that broke while it lay here."""
        while (connection := self._taken()) is not None:
            try:
                return question(connection)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if not connection.broken:
                    raise
            finally:
                self._give_back(connection)
        connection = self._address.connect()
        try:
            return question(connection)
        finally:
            self._give_back(connection)

    def _taken(self) -> Connection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _give_back(self, connection: Connection) -> None:
        with suppress(psycopg.Error):
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                connection.execute(b"ROLLBACK")
        if connection.closed or connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)

    # Beginning a snapshot

    def _begun(self) -> tuple[Connection, dict[str, TableInfo], set[int]]:
        """A connection with a snapshot open, and what is known of tables, as of that moment."""
        with mapped("opening a snapshot"):
            while (connection := self._taken()) is not None:
                try:
                    return connection, *self._begin(connection)
                except BaseException as error:
                    broken = connection.closed and isinstance(error, psycopg.Error)
                    connection.close()
                    if not broken:  # it broke while it lay here: perhaps another did not
                        raise
            connection = self._address.connect()
            try:
                return connection, *self._begin(connection)
            except BaseException:
                connection.close()
                raise

    def _begin(self, connection: Connection) -> tuple[dict[str, TableInfo], set[int]]:
        with self._lock:
            known, versions = dict(self._known), dict(self._versions)
        if known:
            try:
                text = f"{_BEGIN}{_LOCK_SOON.format(_lock(known.values()))}{_versions_sql(known)}"
                with connection.execute(text.encode()) as cursor:
                    while cursor.nextset():
                        pass
                    rows = cursor.fetchall()
                if {int(row[0]): tuple(row[1:-1]) for row in rows} == versions:
                    return known, {int(row[0]) for row in rows if row[-1]}
                connection.execute(b"ROLLBACK")
                self._forget()
            except (psycopg.ProgrammingError, psycopg.NotSupportedError):  # a table that we know is gone
                connection.execute(b"ROLLBACK")
                self._forget()
            except psycopg.errors.LockNotAvailable:  # one is being altered, and may not be needed now
                connection.execute(b"ROLLBACK")
        with connection.execute((_BEGIN + "SELECT 1").encode()):
            return {}, set()

    def _forget(self) -> None:
        with self._lock:
            self._known, self._versions = {}, {}

    def _learn(self, connection: Connection, learnt: dict[str, TableInfo]) -> None:
        """Keeps what a snapshot found out, with the versions of the catalog's rows that said so."""
        with suppress(psycopg.Error):
            now = connection.execute(_versions_sql(learnt).encode()).fetchall()
            with self._lock:
                self._known.update(learnt)
                self._versions.update({int(row[0]): tuple(row[1:-1]) for row in now})


@contextmanager
def _portal(connection: Connection, name: str) -> Iterator[psycopg.RawServerCursor[Row]]:
    cursor = psycopg.RawServerCursor(connection, name)
    try:
        yield cursor
    finally:
        try:
            cursor.close()
        finally:
            psycopg.Cursor.close(cursor)  # where the server can't be asked, it would stay open


@contextmanager
def _summed(root: Branch) -> Iterator[None]:
    """What keeps the server from summing is no error: it is read instead."""
    try:
        with mapped(f"summing {root.table.name}"):
            yield
    except TimedOut as error:
        raise CannotSum(str(error), error.remedy) from error


def _lock(infos: Any) -> str:
    return f"LOCK TABLE {', '.join(info.sql for info in infos)} IN ACCESS SHARE MODE"


def _versions_sql(infos: dict[str, TableInfo]) -> str:
    relations = dict.fromkeys(oid for info in infos.values() for oid in info.relations)
    return _VERSIONS.format(", ".join(map(str, relations)))


def _estimate(connection: Connection, name: str) -> int:
    return estimated(connection, _info(connection, name))[0]


def _count(connection: Connection, name: str, most: int) -> int:
    some = f"SELECT 1 FROM {_info(connection, name).sql} LIMIT {int(most)}"
    (counted,) = connection.execute(f"SELECT count(*) FROM ({some}) AS counted".encode()).fetchone() or (0,)
    return int(counted)


def _info(connection: Connection, name: str) -> TableInfo:
    info = tables.load(connection, [name]).get(name)
    if info is None:
        raise Refused(f"there is no table {name}", "Run `lockstep check`.")
    return info


def estimated(connection: Connection, info: TableInfo) -> tuple[int, bool]:
    """(rows, exact): the planner's estimate, which knows how large the files are; small ones are counted."""
    (plan,) = connection.execute(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {info.sql}".encode()).fetchone() or (
        [],
    )
    rows = int(plan[0]["Plan"]["Plan Rows"])
    if rows > COUNTED:
        return rows, False
    (counted,) = connection.execute(f"SELECT count(*) FROM {info.sql}".encode()).fetchone() or (0,)
    return int(counted), True
