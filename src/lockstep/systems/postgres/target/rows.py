"""A target's table as PostgreSQL's statements: one array of texts for each column, so that a batch of any
size is one statement, and what it does is the server's own reading of each text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from lockstep.rowsets import array_text
from lockstep.systems.postgres.names import literal, quoted
from lockstep.systems.sql.columns import Columns
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.rows import Cells, Rows

_BYTES = 16 << 20
"""About the most text in one statement, but for a row that is larger by itself."""


class PostgresRows(Rows):
    """A table as it is in one transaction. Cells go in as texts."""

    def __init__(self, dialect: Dialect, table: str, key: Sequence[str], columns: Columns) -> None:
        super().__init__(dialect, table, key, columns)
        schema, bare = dialect.place(table)
        assert schema is not None
        self._sql = f"{_name(schema)}.{_name(bare)}"

    def select(
        self, connection: sa.Connection, keys: Sequence[Cells], names: Sequence[str], made: str = "NULL"
    ) -> Iterator[Cells]:
        columns = f"{self._read((*self.key, *names))}, {made.replace('%', '%%')}"
        for some in _portions(keys):
            statement = f"SELECT {columns} FROM {self._sql} WHERE {self._is_given()}"
            yield from map(tuple, connection.exec_driver_sql(statement, _arrays(some)).all())

    def cells(self, names: Sequence[str]) -> list[sa.ColumnElement[Any]]:
        reads = (self.columns[name].read.replace("{}", quoted(name)) for name in names)
        return [sa.literal_column(sql) for sql in reads]

    def page(self, connection: sa.Connection, after: Cells | None, limit: int) -> list[Cells]:
        ordered = [self._ordered(name) for name in self.key]
        where = [f"{_name(name)} IS NOT NULL" for name in self.key]
        if after is not None:
            bound = ", ".join(self._write(name, "%s") for name in self.key)
            where.append(f"ROW({', '.join(ordered)}) > ROW({bound})")
        statement = (
            f"SELECT {self._read((*self.key, *self.columns))} FROM {self._sql} "
            f"WHERE {' AND '.join(where)} ORDER BY {', '.join(ordered)} LIMIT %s"
        )
        return [tuple(row) for row in connection.exec_driver_sql(statement, (*(after or ()), limit))]

    def upto(self, cells: Cells) -> sa.ColumnElement[bool]:
        ordered = ", ".join(quoted(name) + self._collated(name) for name in self.key)
        bound = ", ".join(
            self._write(name, literal(cell)) for name, cell in zip(self.key, cells, strict=True)
        )
        return sa.literal_column(f"(ROW({ordered}) <= ROW({bound}))", sa.Boolean)

    def upsert(self, connection: sa.Connection, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        all_names = (*self.key, *names)
        given = ", ".join(self._write(name, f"v.c{place}") for place, name in enumerate(all_names))
        change = ", ".join(f"{_name(name)} = excluded.{_name(name)}" for name in names)
        statement = (
            f"INSERT INTO {self._sql} ({', '.join(map(_name, all_names))}) OVERRIDING SYSTEM VALUE "
            f"SELECT {given} FROM {_unnested(len(all_names))} "
            f"ON CONFLICT ({', '.join(map(_name, self.key))}) DO "
            + (f"UPDATE SET {change}" if names else "NOTHING")
        )
        for some in _portions(rows):
            connection.exec_driver_sql(statement, _arrays(some))

    def delete(self, connection: sa.Connection, keys: Sequence[Cells]) -> None:
        for some in _portions(keys):
            connection.exec_driver_sql(f"DELETE FROM {self._sql} WHERE {self._is_given()}", _arrays(some))

    def _is_given(self) -> str:
        """That the key is one of the given ones. Without a collation: equal is equal in all that may be keys,
        and the index is used."""
        if len(self.key) == 1:
            array = self._write(self.key[0], "%s::pg_catalog.text[]")
            return f"{_name(self.key[0])} = ANY ({array}[])"
        given = ", ".join(self._write(name, f"v.c{place}") for place, name in enumerate(self.key))
        return f"({', '.join(map(_name, self.key))}) IN (SELECT {given} FROM {_unnested(len(self.key))})"

    def _ordered(self, name: str) -> str:
        return _name(name) + self._collated(name)

    def _collated(self, name: str) -> str:
        return f' COLLATE "{self._dialect.collation}"' if self.columns[name].text else ""

    def _read(self, names: Sequence[str]) -> str:
        return ", ".join(self.columns[name].read.replace("{}", _name(name)) for name in names)

    def _write(self, name: str, cell: str) -> str:
        return self.columns[name].write.replace("{}", cell)


def _name(identifier: str) -> str:
    return quoted(identifier).replace("%", "%%")


def _unnested(width: int) -> str:
    arrays = ", ".join(["pg_catalog.unnest(%s::pg_catalog.text[])"] * width)
    return f"ROWS FROM ({arrays}) AS v({', '.join(f'c{place}' for place in range(width))})"


def _arrays(rows: Sequence[Sequence[Any]]) -> tuple[str, ...]:
    return tuple(array_text(column) for column in zip(*rows, strict=True))


def _portions(rows: Sequence[Sequence[Any]]) -> Iterator[Sequence[Sequence[Any]]]:
    """Rows in parts that one statement carries easily."""
    start = size = 0
    for place, row in enumerate(rows):
        size += sum(map(len, filter(None, row)))
        if size > _BYTES and place > start:
            yield rows[start:place]
            start, size = place, sum(map(len, filter(None, row)))
    if start < len(rows):
        yield rows[start:]
