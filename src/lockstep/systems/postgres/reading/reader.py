"""Reads the current state of a PostgreSQL database, a consistent snapshot at a time.

A snapshot is one REPEATABLE READ, READ ONLY transaction on a kept connection. The tables are locked (ACCESS
SHARE) *before* its moment is fixed: TRUNCATE and the forms of ALTER TABLE that rewrite a table are not
isolated by PostgreSQL, and to an older snapshot the table would read as empty, which is as deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg

from lockstep.systems.postgres import estimate
from lockstep.systems.postgres.client import LOCK_TIMEOUT, Address, Connection
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.reading import visibility
from lockstep.systems.postgres.reading.snapshot import PostgresSnapshot, Texts, lock
from lockstep.systems.postgres.tables import TableInfo
from lockstep.values import Table

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
_LOCK_SOON = f"SET LOCAL lock_timeout = '200ms'; {{}}; SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'; "
_VERSIONS = """SELECT c.oid::int8, c.xmin::text, sum(a.xmin::text::int8)::text, count(*),
       c.relkind = 'p' OR coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) = 0
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.oid IN ({})
GROUP BY c.oid, c.xmin, c.relkind, c.reltoastrelid"""
T = TypeVar("T")
Versions = dict[int, tuple[Any, ...]]


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
            return self._asked(lambda connection: estimate.estimate(connection, table.name))

    def count(self, table: Table, most: int) -> int:
        with mapped(f"counting the rows of {table.name}"):
            return self._asked(lambda connection: estimate.count(connection, table.name, most))

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
                text = f"{_BEGIN}{_LOCK_SOON.format(lock(known.values()))}{_versions_sql(known)}"
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


def _versions_sql(infos: dict[str, TableInfo]) -> str:
    relations = dict.fromkeys(oid for info in infos.values() for oid in info.relations)
    return _VERSIONS.format(", ".join(map(str, relations)))
