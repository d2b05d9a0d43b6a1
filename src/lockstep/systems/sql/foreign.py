"""A table that somebody else has filled, as it is before and while Lockstep takes it over.

The user's table is only read. What makes a row Lockstep's is a row of the companion, written in the
transaction that has seen that the row is as it should be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from lockstep.errors import DataError, Declined
from lockstep.forms.canonical import canonical
from lockstep.ports import assert_same_build
from lockstep.systems.sql import standing
from lockstep.systems.sql.batch import Proof, note, read_companion, record_of
from lockstep.systems.sql.columns import Columns
from lockstep.systems.sql.companion import Before, Companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.items import Item, item_of, key_cells
from lockstep.systems.sql.proof import hashed_columns, make_room
from lockstep.systems.sql.rows import Cells, Rows
from lockstep.values import Change, Held, Identity, Key, Meta, Outcome, Record, Status

_APPLIED = Outcome(Status.APPLIED)
_GONE = Outcome(Status.REJECTED, "the table holds no such row any more")
_OTHER = Outcome(Status.REJECTED, "the row is another one by now")


Opening = Callable[[], AbstractContextManager[sa.Connection]]


class ForeignTable:
    """A `ports.Foreign`."""

    def __init__(
        self, dialect: Dialect, table: str, key: Sequence[str], declared: Mapping[str, str], own: Companion
    ) -> None:
        self._dialect, self._table, self._key = dialect, table, tuple(key)
        self._declared, self._own = declared, own
        self._schema, self._bare = dialect.place(table)
        self._columns: Columns | None = None

    def records(self) -> int | None:
        if not self._dialect.there():
            return None
        with self._connected(self._dialect.reading) as connection:
            columns = self._dialect.columns(connection, self._table)
            if not columns:
                return None
            self._require(connection, columns)
            return self._dialect.count(connection, sa.table(self._bare, schema=self._schema), self._key[0])

    def marker(self) -> str | None:
        if not self._dialect.there():
            return None
        with self._connected(self._dialect.reading) as connection:
            found = standing.identity(connection, self._dialect, self._table, self._own)
        return None if found is None else found.marker

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        with self._connected(self._dialect.reading) as connection:
            rows = self._rows(connection)
            return {
                key: Held(key, record, meta_of(old))
                for key, record, old in self._found(connection, rows, keys)
            }

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        with self._connected(self._dialect.reading) as connection:
            rows = self._rows(connection)
            page = rows.page(connection, None if after is None else key_cells(rows, after), limit)
            width, names = len(rows.key), list(rows.columns)
            found = [(rows.key_of(cells[:width]), record_of(rows, names, cells[width:])) for cells in page]
            known = self._companion(connection, [key for key, _ in found])
            return [Held(key, record, meta_of(known.get(key))) for key, record in found]

    def compared(self, change: Change, held: Held) -> tuple[Record, Record]:
        if self._columns is None:
            with self._connected(self._dialect.reading) as connection:
                self._rows(connection)
        assert self._columns is not None
        return _compared(self._dialect.rows(self._table, self._key, self._columns), change, held.record)

    def leave(self, marker: str) -> Identity:
        own = self._own
        with self._connected(self._dialect.writing) as connection:
            columns = self._dialect.columns(connection, self._table)
            self._require(connection, columns)
            own.targets.create(connection, checkfirst=True)
            mine = own.targets.c.name == self._bare
            there = connection.scalar(sa.select(own.targets.c.marker).where(mine))
            if there is None:
                own.rows.drop(connection, checkfirst=True)  # of a table that was dropped
                connection.execute(
                    own.targets.insert().values(name=self._bare, id=uuid4().hex, marker=marker, highest=0)
                )
            else:
                assert_same_build(self._table, there, marker)
                connection.execute(own.targets.update().where(mine).values(marker=marker))
            own.rows.create(connection, checkfirst=True)
            make_room(connection, own)
            made = standing.identity(connection, self._dialect, self._table, own)
        assert made is not None
        return made

    def own(self, changes: Sequence[Change]) -> list[Outcome]:
        outcomes: dict[Key, Outcome] = {}
        noted: list[Item] = []
        with self._connected(self._dialect.writing) as connection:
            rows = self._rows(connection)
            wanted = {change.key: change for change in changes}
            for key, record, old in self._found(connection, rows, list(wanted)):
                change = wanted[key]
                said = meta_of(old)
                if said is not None and (said.mapping, said.key) != (change.meta.mapping, change.meta.key):
                    outcomes[key] = _OTHER
                    continue
                try:
                    expected, actual = _compared(rows, change, record)
                except DataError as error:
                    outcomes[key] = Outcome(Status.REJECTED, str(error))
                    continue
                if canonical(expected) == canonical(actual):
                    noted.append(item_of(rows, 0, change))
                    outcomes[key] = _APPLIED
                else:
                    outcomes[key] = _OTHER
            if noted:
                note(connection, self._dialect, rows, self._own, self._proved(connection, rows, noted))
        return [outcomes.get(change.key, _GONE) for change in changes]

    def _found(
        self, connection: sa.Connection, rows: Rows, keys: Sequence[Key]
    ) -> Iterator[tuple[Key, Record, Before | None]]:
        """The rows of these keys, all columns, with what the companion says."""
        wanted: dict[Cells, Key] = {}
        for key in keys:
            try:
                wanted[key_cells(rows, key)] = key
            except DataError:  # a key that the table cannot hold is not there
                continue
        known = self._companion(connection, keys)
        width, names = len(rows.key), list(rows.columns)
        for *found, _ in rows.select(connection, list(wanted), names):
            cells = tuple(found)
            key = wanted.get(cells[:width]) or rows.key_of(cells[:width])
            yield key, record_of(rows, names, cells[width:]), known.get(key)

    def _proved(
        self, connection: sa.Connection, rows: Rows, items: Sequence[Item]
    ) -> list[tuple[Item, Proof]]:
        """Items, each with the hash of its row as the database holds it."""
        groups: dict[tuple[str, ...], list[Item]] = defaultdict(list)
        for item in items:
            groups[hashed_columns(rows, tuple(item.change.record or ())) or ()].append(item)
        proved: list[tuple[Item, Proof]] = []
        for names, some in groups.items():
            made = self._dialect.hash_sql(connection, rows, names, None)
            of = {item.key: item for item in some}
            for cells in rows.select(connection, list(of), (), made.sql):
                key = rows.key_of(cells[: len(rows.key)])
                item = of.get(cells[: len(rows.key)]) or next(one for one in some if one.change.key == key)
                proved.append((item, (cells[-1], made.recipe)))
        return proved

    def _companion(self, connection: sa.Connection, keys: Sequence[Key]) -> dict[Key, Before]:
        if not sa.inspect(connection).has_table(self._own.rows.name, self._own.rows.schema):
            return {}
        return read_companion(connection, self._dialect, self._own, keys)

    def _rows(self, connection: sa.Connection) -> Rows:
        self._columns = self._dialect.columns(connection, self._table)
        self._require(connection, self._columns)
        return self._dialect.rows(self._table, self._key, self._columns)

    def _require(self, connection: sa.Connection, columns: Columns) -> None:
        if not columns:
            raise Declined(f"there is no table {self._table} in {self._dialect.system}", "Create it first.")
        trouble = standing.problem(
            connection, self._dialect, self._table, self._key, self._declared, columns
        ) or self._dialect.trouble(connection, self._table)
        if trouble is not None:
            raise Declined(*trouble)

    @contextmanager
    def _connected(self, opening: Opening) -> Iterator[sa.Connection]:
        try:
            with opening() as connection:
                yield connection
        except DBAPIError as error:
            raise self._dialect.error(error) from error


def meta_of(old: Before | None) -> Meta | None:
    """What a companion row says of a row that is there."""
    return old.meta if old is not None and old.there else None


def _compared(rows: Rows, change: Change, record: Record) -> tuple[Record, Record]:
    """The columns of a change, as they would come back and as they are. Other columns are somebody else's."""
    assert change.record is not None
    item = item_of(rows, 0, change)
    actual = {name: record.get(name) for name in change.record}
    return {**actual, **record_of(rows, item.names, item.cells)}, actual
