"""One moment of a PostgreSQL database: what is read of it, by rows, keys, sums and groups.

Tables that were read before are locked when the snapshot begins (`reader`). One that is read for the first
time, or could not be locked at once, is locked here, and looked at whether it was rewritten in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from lockstep.errors import CannotSum, Refused, TimedOut, TooMuch, Unreachable
from lockstep.forms import keys
from lockstep.forms.canonical import wrap64
from lockstep.ports import MOST_BYTES, MOST_ROWS, KeyPage
from lockstep.systems.postgres import tables
from lockstep.systems.postgres.client import Connection
from lockstep.systems.postgres.faults import mapped
from lockstep.systems.postgres.reading import grouping, lookup, summing, walk
from lockstep.systems.postgres.reading.values import decoded, slowly
from lockstep.systems.postgres.tables import TableInfo
from lockstep.values import EVERYTHING, Branch, Fetch, Key, Span, Table, Tally

CHUNK = 5_000
_LIMIT = f" LIMIT {MOST_ROWS + 1}"
_FEWER = "Lockstep reads fewer at once by itself."

_REWRITTEN = """SELECT count(*) FROM pg_class c
WHERE (c.oid = $1 OR c.oid IN (SELECT relid FROM pg_partition_tree($1::oid::regclass)))
  AND c.relkind = 'r' AND c.relfilenode IS DISTINCT FROM pg_relation_filenode(c.oid)"""

Row = tuple[Any, ...]
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

    def sums(self, root: Branch, cuts: Sequence[Key], within: Span = EVERYTHING) -> list[Tally]:
        infos = self._infos(root)
        found: list[Row] = []
        with _summed(root), self._connection.cursor(binary=True) as cursor:
            for text in summing.sums_sql(infos, self._references(infos), root, cuts, within):
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
            self._connection.execute(lock([info]).encode())
            (rewritten,) = self._connection.execute(_REWRITTEN.encode(), [info.oid]).fetchone() or (0,)
        if rewritten:
            raise Unreachable(
                f"{name} was truncated or rewritten just when it was to be read",
                "A run reads it again by itself; of anything else, ask again.",
            )
        self._known[name] = self.learnt[name] = info
        return info


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


def lock(infos: Iterable[TableInfo]) -> str:
    """The statement that locks tables as reading them does."""
    return f"LOCK TABLE {', '.join(info.sql for info in infos)} IN ACCESS SHARE MODE"
