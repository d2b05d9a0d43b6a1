"""Records in a SQL table of the user's, each with its metadata in the companion table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lockstep.errors import CannotSum, DataError
from lockstep.ports import Features
from lockstep.systems.sql import grouping, standing, summing, totals
from lockstep.systems.sql.batch import read_companion, record_of
from lockstep.systems.sql.companion import companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.foreign import ForeignTable
from lockstep.systems.sql.items import key_cells
from lockstep.systems.sql.marked import Marked
from lockstep.systems.sql.rows import Cells, Rows
from lockstep.systems.sql.transactions import Transactions
from lockstep.values import (
    EVERYTHING,
    Change,
    Contents,
    Held,
    Identity,
    Key,
    Mark,
    Outcome,
    Span,
    Tallies,
)


class SQLWriter:
    """The Writer of one table."""

    features = Features(versions=True, normalises=True)

    def __init__(
        self,
        dialect: Dialect,
        table: str,
        key: Sequence[str],
        declared: Mapping[str, str],
        tombstones: float,
    ) -> None:
        self._dialect, self._table, self._key = dialect, table, tuple(key)
        self._declared = declared
        schema, bare = dialect.place(table)
        self._own = companion(schema, bare, dialect.longest, dialect.table_options)
        self._marked = Marked(dialect, table, self._key, self._own)
        self._transactions = Transactions(dialect, self._marked, self._own, tombstones)

    def identity(self) -> Identity | None:
        if not self._dialect.there():
            return None
        try:
            with self._dialect.reading() as connection:
                return standing.identity(connection, self._dialect, self._table, self._own)
        except DBAPIError as error:
            raise self._dialect.error(error) from error

    def contents(self) -> Contents:
        with self._marked.moment() as connection:
            found = standing.contents(connection, self._dialect, self._table, self._key, self._own)
        if found is None:
            raise self._marked.missing()
        return found

    def create(self, marker: str) -> Identity:
        try:
            with self._dialect.writing(create=bool(self._declared)) as connection:
                standing.create(
                    connection, self._dialect, self._table, self._key, self._declared, self._own, marker
                )
                made = standing.identity(connection, self._dialect, self._table, self._own)
        except DBAPIError as error:
            raise self._dialect.error(error) from error
        assert made is not None
        return made

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        return self._transactions.write(changes)

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        with self._marked.moment() as connection:
            rows = self._marked.rows(connection)
            wanted: dict[Cells, Key] = {}
            width = len(rows.key)
            for key in keys:
                try:
                    wanted[key_cells(rows, key)] = key
                except DataError:  # a key that the table cannot hold is not there
                    continue
            found = [
                (wanted.get(cells[:width]) or rows.key_of(cells[:width]), cells[:-1])
                for cells in rows.select(connection, list(wanted), list(rows.columns))
            ]
            return {held.key: held for held in self._held(connection, rows, found)}

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        with self._marked.moment() as connection:
            rows = self._marked.rows(connection)
            start = None if after is None else key_cells(rows, after)
            page = rows.page(connection, start, limit)
            found = [(rows.key_of(cells[: len(rows.key)]), cells) for cells in page]
            return self._held(connection, rows, found)

    def _held(self, connection: sa.Connection, rows: Rows, found: Sequence[tuple[Key, Cells]]) -> list[Held]:
        known = read_companion(connection, self._dialect, self._own, [key for key, _ in found])
        width, names = len(rows.key), list(rows.columns)
        place = {name: width + n for n, name in enumerate(names)}
        out = []
        for key, cells in found:
            old = known.get(key)
            if old is None or not old.there:
                out.append(Held(key, record_of(rows, names, cells[width:]), None))
                continue
            mine = [name for name in old.names if name in place]
            out.append(Held(key, record_of(rows, mine, [cells[place[name]] for name in mine]), old.meta))
        return out

    def sums(self, mapping: str, cuts: Sequence[Key], within: Span = EVERYTHING) -> Tallies:
        with self._marked.moment() as connection:
            rows = self._marked.rows(connection)
            found = totals.sums(connection, self._dialect, rows, self._own, mapping, cuts, within)
            if found is None and within != EVERYTHING:
                raise CannotSum("the records of some source keys are found by reading all records")
            if found is None:
                found = summing.sums(connection, self._dialect, rows, self._own, mapping, cuts)
            return found

    def marks(self, mapping: str, span: Span) -> Iterator[list[Mark]]:
        after: Key | None = None
        while True:
            with (
                self._marked.moment() as connection
            ):  # one for each page: what is read long keeps a log from ending
                rows = self._marked.rows(connection)
                page, after = summing.marks(connection, self._dialect, rows, self._own, mapping, span, after)
            yield page
            if after is None:
                return

    def edited(self, mapping: str, limit: int) -> list[Mark]:
        with self._marked.moment() as connection:
            rows = self._marked.rows(connection)
            return summing.edited(connection, self._dialect, rows, self._own, mapping, limit)

    def strangers(self, mappings: Sequence[str], limit: int) -> tuple[int, list[Key]]:
        with self._marked.moment() as connection:
            rows = self._marked.rows(connection)
            return summing.strangers(connection, self._dialect, rows, self._own, mappings, limit)

    def groups(self, of: str | None, by: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        with self._marked.moment() as connection:
            rows = self._marked.rows(connection)
            yield from grouping.groups(connection, self._dialect, rows, self._own, of, by)

    def foreign(self) -> ForeignTable:
        return ForeignTable(self._dialect, self._table, self._key, self._declared, self._own)

    def close(self) -> None:
        self._dialect.close()
