"""The user's table as statements, and its rows as keys and records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from lockstep.errors import Refused
from lockstep.forms.keys import encode
from lockstep.systems.sql.columns import Columns
from lockstep.systems.sql.dialect import Dialect
from lockstep.values import Key

Cells = tuple[Any, ...]
_AT_ONCE = 400  # keys in one statement: below the smallest limit of bound values (999)


class Rows:
    """A table as it is in one transaction."""

    def __init__(self, dialect: Dialect, table: str, key: Sequence[str], columns: Columns) -> None:
        self.name, self.key, self.columns = table, tuple(key), columns
        self._dialect = dialect
        schema, self.bare = dialect.place(table)
        self.table = sa.table(self.bare, *(sa.column(name) for name in columns), schema=schema)
        self._key_columns = [self._compared(name) for name in self.key]
        self._decoders = [columns[name].decode for name in self.key]
        self.own = [columns[name].own for name in self.key]
        self._each = max(1, _AT_ONCE // len(self.key))

    def _compared(self, name: str) -> Any:
        column = self.table.c[name]
        return sa.collate(column, self._dialect.collation) if self.columns[name].text else column

    def key_of(self, cells: Sequence[Any]) -> Key:
        """The target key of a row's key columns."""
        try:
            if list(map(type, cells)) == self.own:
                return encode(cells)
            return encode([decode(cell) for decode, cell in zip(self._decoders, cells, strict=True)])
        except Exception as error:
            raise Refused(
                f"table {self.name} has a row whose key {tuple(cells)!r} is none: {error}",
                "Correct or delete that row.",
            ) from error

    def select(
        self, connection: sa.Connection, keys: Sequence[Cells], names: Sequence[str], made: str = "NULL"
    ) -> Iterator[Cells]:
        """The rows of these keys: the key columns, then the named ones, then what some SQL makes of a row."""
        columns = [*(self.table.c[name] for name in (*self.key, *names)), sa.literal_column(made)]
        for start in range(0, len(keys), self._each):
            some = keys[start : start + self._each]
            where: sa.ColumnElement[bool]
            if len(self.key) == 1:
                where = self._key_columns[0].in_([cells[0] for cells in some])
            else:
                where = sa.tuple_(*self._key_columns).in_(some)
            yield from map(tuple, connection.execute(sa.select(*columns).where(where)))

    def cells(self, names: Sequence[str]) -> list[sa.ColumnElement[Any]]:
        """Columns of a row, as they are read."""
        return [self.table.c[name] for name in names]

    def page(self, connection: sa.Connection, after: Cells | None, limit: int) -> list[Cells]:
        """The next rows in key order: the key columns, then all columns."""
        columns = [self.table.c[name] for name in (*self.key, *self.columns)]
        query = sa.select(*columns).where(*(self.table.c[name].is_not(None) for name in self.key))
        if after is not None and len(self.key) == 1:
            query = query.where(self._key_columns[0] > after[0])
        elif after is not None:
            query = query.where(sa.tuple_(*self._key_columns) > sa.tuple_(*map(sa.literal, after)))
        return [tuple(row) for row in connection.execute(query.order_by(*self._key_columns).limit(limit))]

    def upto(self, cells: Cells) -> sa.ColumnElement[bool]:
        """Whether a row's key is this one or comes before it, in key order."""
        whole: sa.ColumnElement[bool]
        if len(self.key) == 1:
            whole = self._key_columns[0] <= sa.literal(cells[0])
        else:
            whole = sa.tuple_(*self._key_columns) <= sa.tuple_(*map(sa.literal, cells))
        return whole

    def upsert(self, connection: sa.Connection, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Makes rows hold these cells: the key columns, then the named ones."""
        all_names = (*self.key, *names)
        binds: dict[Any, Any] = {
            self.table.c[name]: sa.bindparam(f"p{n}") for n, name in enumerate(all_names)
        }
        statement = self._dialect.insert(self.table).values(binds)
        conflict = [self.table.c[name] for name in self.key]
        if names:
            new = {name: statement.excluded[name] for name in names}
            statement = statement.on_conflict_do_update(index_elements=conflict, set_=new)
        else:
            statement = statement.on_conflict_do_nothing(index_elements=conflict)
        slots = [f"p{n}" for n in range(len(all_names))]
        connection.execute(statement, [dict(zip(slots, row, strict=True)) for row in rows])

    def delete(self, connection: sa.Connection, keys: Sequence[Cells]) -> None:
        """Removes the rows of these keys."""
        where = [column == sa.bindparam(f"p{n}") for n, column in enumerate(self._key_columns)]
        slots = [f"p{n}" for n in range(len(self.key))]
        connection.execute(
            sa.delete(self.table).where(*where), [dict(zip(slots, cells, strict=True)) for cells in keys]
        )
