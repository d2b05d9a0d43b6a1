"""Counts and totals by group of a SQL target's rows: see `ports.GroupingWriter`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from lockstep.errors import CannotSum
from lockstep.systems.sql.companion import Companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.proof import SHAPES
from lockstep.systems.sql.rows import Rows

PAGE = 5_000


def groups(
    connection: sa.Connection,
    dialect: Dialect,
    rows: Rows,
    own: Companion,
    of: str | None,
    by: Sequence[str],
) -> Iterator[list[tuple[Any, ...]]]:
    """See the port. The table is read once, by the server."""
    wanted = [*by, *(() if of is None else (of,))]
    missing = next((name for name in wanted if name not in rows.columns), None)
    if missing is not None:
        raise CannotSum(f"{missing} is no column of table {rows.name}")
    columns: list[sa.ColumnElement[Any]] = [sa.literal_column(dialect.grouped(rows, name)) for name in by]
    total: sa.ColumnElement[Any] = sa.literal_column("NULL" if of is None else dialect.added(rows, of))
    _require_whole(connection, own, wanted)
    query = sa.select(*columns, sa.func.count(), total).select_from(rows.table)
    query = query.where(*(rows.table.c[name].is_not(None) for name in rows.key))
    query = query.group_by(*columns) if by else query.having(sa.func.count() > 0)
    decoders = [rows.columns[name].decode for name in by]
    for page in connection.execution_options(yield_per=PAGE).execute(query).partitions():
        yield [(*map(_decoded, decoders, cells), count, _exact(added)) for *cells, count, added in page]


def _exact(total: str | None) -> Decimal | None:
    if total is None:
        return None
    found = Decimal(total)
    if found.is_snan():
        raise CannotSum("it holds what is no number, or what the database does not add up exactly")
    return found


def _decoded(decode: Callable[[Any], Any], cell: Any) -> Any:
    return None if cell is None else decode(cell)


def _require_whole(connection: sa.Connection, own: Companion, wanted: Sequence[str]) -> None:
    """Every record has these fields: a column that Lockstep did not write in a row is none of its record,
    whatever the row holds there."""
    known = own.rows
    query = sa.select(known.c.names).where(known.c.buried.is_(None)).distinct().limit(SHAPES + 1)
    found = [json.loads(text) for (text,) in connection.execute(query)] if wanted else []
    if len(found) > SHAPES:
        raise CannotSum(f"its records have more than {SHAPES} sets of fields")
    lacking = next((name for name in wanted for names in found if name not in names), None)
    if lacking is not None:
        raise CannotSum(f"some of its records were written without {lacking}")
