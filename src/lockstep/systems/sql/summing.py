"""What a table's companion says of its rows, added up by the database, span after span of source keys.

Only rows that are there count: the user's table is joined with the companion, by the key bytes of each row as
the database makes them itself. So a row deleted by somebody else is missing from the sums, and a row that the
companion does not know is a stranger. What a row's columns hold is not looked at; the deep check does that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from lockstep.canonical import wrap64
from lockstep.errors import DataError
from lockstep.systems.sql.companion import Companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.items import key_cells
from lockstep.systems.sql.rows import Cells, Rows
from lockstep.values import Fingerprint, Key, Mark, Meta, Span, Tally, Version

PAGE = 5_000
_LOW = (1 << 32) - 1


def sums(
    connection: sa.Connection,
    dialect: Dialect,
    rows: Rows,
    own: Companion,
    mapping: str,
    cuts: Sequence[Key],
) -> list[Tally]:
    """See `SummingWriter`. Both tables are read once. Raises CannotSum where the key's types forbid it."""
    known, table = own.rows, rows.table.alias("t")
    key = dialect.key_bytes(connection, rows, "t")
    span = _span_of(known.c.source, cuts, 0, len(cuts))
    mark = known.c.fingerprint
    there = (
        sa.select(span.label("span"), mark.label("mark"))
        .select_from(table.join(known, known.c.key == key))
        .where(known.c.buried.is_(None), known.c.mapping == mapping)
        .subquery()
    )
    # Halves: a sum of whole numbers is one of 64 bits on some databases, and fails when it grows beyond.
    high = sa.func.sum(there.c.mark.op(">>")(sa.literal_column("32")))
    low = sa.func.sum(there.c.mark.op("&")(sa.literal_column(str(_LOW))))
    query = sa.select(there.c.span, sa.func.count(), high, low).group_by(there.c.span)
    found = [Tally(0, 0)] * (len(cuts) + 1)
    for at, count, upper, lower in connection.execute(query):
        found[at] = Tally(count, wrap64((int(upper) << 32) + int(lower)))
    return found


def marks(
    connection: sa.Connection, rows: Rows, own: Companion, mapping: str, span: Span, after: Key | None
) -> tuple[list[Mark], Key | None]:
    """The next marks after a target key, and where to go on; None at the end."""
    known = own.rows
    query = (
        sa.select(*(known.c[name] for name in ("key", "source", "fingerprint", "sum", "version")))
        .where(known.c.buried.is_(None), known.c.mapping == mapping)
        .order_by(known.c.key)
        .limit(PAGE)
    )
    if span.after is not None:
        query = query.where(known.c.source > span.after)
    if span.upto is not None:
        query = query.where(known.c.source <= span.upto)
    if after is not None:
        query = query.where(known.c.key > after)
    said: dict[Key, Meta] = {}
    for key, source, mark, total, version in connection.execute(query):
        meta = Meta(mapping, Key(bytes(source)), Fingerprint(mark), total, Version(version))
        said[Key(bytes(key))] = meta
    there = _there(connection, rows, said)
    page = [Mark(key, meta) for key, meta in said.items() if key in there]
    return page, next(reversed(said)) if len(said) == PAGE else None


def strangers(
    connection: sa.Connection,
    dialect: Dialect,
    rows: Rows,
    own: Companion,
    mappings: Sequence[str],
    limit: int,
) -> tuple[int, list[Key]]:
    """See `SummingWriter`. A row whose key is none counts, and is not named."""
    known, table = own.rows, rows.table.alias("t")
    key = dialect.key_bytes(connection, rows, "t")
    ours = sa.and_(known.c.key == key, known.c.buried.is_(None), known.c.mapping.in_(list(mappings)))
    unknown = table.outerjoin(known, ours)
    where = [known.c.key.is_(None), *(table.c[name].is_not(None) for name in rows.key)]
    count = connection.execute(sa.select(sa.func.count()).select_from(unknown).where(*where)).scalar_one()
    some = connection.execute(sa.select(key).select_from(unknown).where(*where).limit(limit)) if count else ()
    return int(count), sorted(Key(bytes(one)) for (one,) in some if one is not None)


def _there(connection: sa.Connection, rows: Rows, keys: Iterable[Key]) -> set[Key]:
    """Which of these keys the user's table has."""
    cells: list[Cells] = []
    for key in keys:
        try:
            cells.append(key_cells(rows, key))
        except DataError:  # a key that the table cannot hold is not there
            continue
    return {rows.key_of(found) for found in rows.select(connection, cells, ())}


def _span_of(source: sa.ColumnElement[Any], cuts: Sequence[Key], low: int, high: int) -> Any:
    """The number of the span, among low…high, that a source key is in: a balanced tree of comparisons."""
    if low == high:
        return sa.literal_column(str(low))
    middle = (low + high) // 2
    lower, upper = _span_of(source, cuts, low, middle), _span_of(source, cuts, middle + 1, high)
    return sa.case((source <= sa.literal(bytes(cuts[middle]), sa.LargeBinary), lower), else_=upper)
