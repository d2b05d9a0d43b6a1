"""Writes records to a SQL table of the user's, each with its metadata in the companion table.

A batch is one transaction with set-based statements. Only when the database refuses it is it divided, in
savepoints, until each bad row stands alone; and if even the commit is refused (a deferred constraint), each
change has a transaction of its own; so one bad row harms no other and has the database's reason.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lockstep.errors import CannotSum, DataError, TargetReplaced, Unreachable
from lockstep.ports import Features
from lockstep.systems.sql import grouping, proof, standing, summing, totals
from lockstep.systems.sql.batch import apply, read_companion, record_of
from lockstep.systems.sql.companion import companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.foreign import ForeignTable
from lockstep.systems.sql.items import Item, item_of, key_cells
from lockstep.systems.sql.moment import Moment
from lockstep.systems.sql.rows import Cells, Rows
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
    Status,
    Tallies,
)

_Placed = list[tuple[int, Outcome]]
_Attempt = Callable[[Sequence[tuple[int, Change]]], _Placed]
_TRIES = 4
_PRUNE_EVERY = 60.0
_PRUNE_AT_ONCE = 10_000


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
        self._declared, self._tombstones = declared, tombstones
        schema, self._bare = dialect.place(table)
        self._own = companion(schema, self._bare, dialect.longest, dialect.table_options)
        self._pruned, self._roomy = 0.0, False

    def identity(self) -> Identity | None:
        if not self._dialect.there():
            return None
        try:
            with self._dialect.reading() as connection:
                return standing.identity(connection, self._dialect, self._table, self._own)
        except DBAPIError as error:
            raise self._dialect.error(error) from error

    def contents(self) -> Contents:
        with self._moment() as connection:
            found = standing.contents(connection, self._dialect, self._table, self._key, self._own)
        if found is None:
            raise self._missing()
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
        outcomes: dict[int, Outcome] = {}
        for run in _runs(changes):
            try:
                outcomes.update(self._write(run))
            except Unreachable as error:
                unknown = Outcome(Status.UNKNOWN, str(error))
                outcomes.update((place, unknown) for place, _ in run)
        return [outcomes[place] for place in range(len(changes))]

    def _write(self, run: Sequence[tuple[int, Change]]) -> _Placed:
        if not self._dialect.there():
            raise self._missing()
        self._make_room()
        for attempt in (self._together, self._apart):
            try:
                return self._undisturbed(attempt, run)
            except DBAPIError as error:
                meant = self._dialect.error(error)
                if not isinstance(meant, DataError):
                    raise meant from error
        return [placed for one in run for placed in self._alone(one)]

    def _make_room(self) -> None:
        if self._roomy:
            return
        try:
            with self._dialect.writing() as connection:
                proof.make_room(connection, self._own)
        except DBAPIError as error:
            raise self._dialect.error(error) from error
        self._roomy = True

    def _undisturbed(self, attempt: _Attempt, run: Sequence[tuple[int, Change]]) -> _Placed:
        """Once more, a few times, when the database undid it for another transaction's sake."""
        for left in reversed(range(_TRIES)):
            try:
                return attempt(run)
            except DBAPIError as error:
                if not left or not self._dialect.again(error):
                    raise
                time.sleep(random.uniform(0.01, 0.1))
        raise AssertionError

    def _together(self, run: Sequence[tuple[int, Change]]) -> _Placed:
        with self._dialect.writing() as connection:
            rows = self._rows(connection)
            items, outcomes = _prepared(rows, run)
            outcomes += apply(connection, self._dialect, rows, self._own, items)
            self._prune(connection)
        return outcomes

    def _apart(self, run: Sequence[tuple[int, Change]]) -> _Placed:
        with self._dialect.writing() as connection:
            rows = self._rows(connection)
            items, outcomes = _prepared(rows, run)
            waiting = [items] if items else []
            while waiting:
                some = waiting.pop()
                try:
                    with connection.begin_nested():
                        outcomes += apply(connection, self._dialect, rows, self._own, some)
                except DBAPIError as error:
                    rejected = self._rejected(error)
                    if len(some) == 1:
                        outcomes.append((some[0].place, rejected))
                    else:
                        waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
        return outcomes

    def _alone(self, one: tuple[int, Change]) -> _Placed:
        try:
            return self._undisturbed(self._together, [one])
        except DBAPIError as error:
            return [(one[0], self._rejected(error))]

    def _rejected(self, error: DBAPIError) -> Outcome:
        if self._dialect.again(error):
            raise error
        meant = self._dialect.error(error)
        if not isinstance(meant, DataError):
            raise meant from error
        return Outcome(Status.REJECTED, str(meant))

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        with self._moment() as connection:
            rows = self._rows(connection)
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
        with self._moment() as connection:
            rows = self._rows(connection)
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
        with self._moment() as connection:
            rows = self._rows(connection)
            found = totals.sums(connection, self._dialect, rows, self._own, mapping, cuts, within)
            if found is None and within != EVERYTHING:
                raise CannotSum("the records of some source keys are found by reading all records")
            if found is None:
                found = summing.sums(connection, self._dialect, rows, self._own, mapping, cuts)
            return found

    def marks(self, mapping: str, span: Span) -> Iterator[list[Mark]]:
        after: Key | None = None
        while True:
            with self._moment() as connection:  # one for each page: what is read long keeps a log from ending
                rows = self._rows(connection)
                page, after = summing.marks(connection, self._dialect, rows, self._own, mapping, span, after)
            yield page
            if after is None:
                return

    def edited(self, mapping: str, limit: int) -> list[Mark]:
        with self._moment() as connection:
            rows = self._rows(connection)
            return summing.edited(connection, self._dialect, rows, self._own, mapping, limit)

    def strangers(self, mappings: Sequence[str], limit: int) -> tuple[int, list[Key]]:
        with self._moment() as connection:
            rows = self._rows(connection)
            return summing.strangers(connection, self._dialect, rows, self._own, mappings, limit)

    def groups(self, of: str | None, by: Sequence[str]) -> Iterator[list[tuple[Any, ...]]]:
        with self._moment() as connection:
            rows = self._rows(connection)
            yield from grouping.groups(connection, self._dialect, rows, self._own, of, by)

    def foreign(self) -> ForeignTable:
        return ForeignTable(self._dialect, self._table, self._key, self._declared, self._own)

    def close(self) -> None:
        self._dialect.close()

    def _moment(self) -> Moment:
        if not self._dialect.there():
            raise self._missing()
        return Moment(self._dialect)

    def _rows(self, connection: sa.Connection) -> Rows:
        """The table as it is now. A write to a table without our marker would be one to another target."""
        columns = self._dialect.columns(connection, self._table)
        targets = self._own.targets
        if not columns or not sa.inspect(connection).has_table(targets.name, targets.schema):
            raise self._missing()
        query = sa.select(targets.c.id).where(targets.c.name == self._bare)
        if connection.execute(query).first() is None:
            raise self._missing()
        return self._dialect.rows(self._table, self._key, columns)

    def _missing(self) -> TargetReplaced:
        return TargetReplaced(
            f"table {self._table} in {self._dialect.system} is missing, or has lost Lockstep's marker",
            "Bring it back, or build it anew: `lockstep backfill MAPPING --rebuild`.",
        )

    def _prune(self, connection: sa.Connection) -> None:
        """Forgets old tombstones, some at a time: after an hour no write that old is under way."""
        now = time.monotonic()
        if now - self._pruned < _PRUNE_EVERY:
            return
        rows = self._own.rows
        old = sa.select(rows.c.key).where(rows.c.buried < time.time() - self._tombstones)
        gone = connection.execute(rows.delete().where(rows.c.key.in_(old.limit(_PRUNE_AT_ONCE))))
        if gone.rowcount < _PRUNE_AT_ONCE:
            self._pruned = now


def _runs(changes: Sequence[Change]) -> Iterator[list[tuple[int, Change]]]:
    """Changes in stretches that name no key twice; nearly always one."""
    run: list[tuple[int, Change]] = []
    seen: set[Key] = set()
    for place, change in enumerate(changes):
        if change.key in seen:
            yield run
            run, seen = [], set()
        run.append((place, change))
        seen.add(change.key)
    if run:
        yield run


def _prepared(rows: Rows, run: Sequence[tuple[int, Change]]) -> tuple[list[Item], _Placed]:
    """Changes as cells; what has no cells is rejected with the reason."""
    items: list[Item] = []
    rejected: _Placed = []
    for place, change in run:
        try:
            items.append(item_of(rows, place, change))
        except DataError as error:
            rejected.append((place, Outcome(Status.REJECTED, str(error))))
    return items, rejected
