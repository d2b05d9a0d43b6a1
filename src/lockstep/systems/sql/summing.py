"""What a table's companion says of its rows, added up by the database, span after span of source keys.

Only rows that are there count: the user's table is joined with the companion, by the key bytes of each row as
the database makes them itself. So a row deleted by somebody else is missing from the sums, and a row that the
companion does not know is a stranger. A row whose columns do not have the hash that the database made of
them when they were written (see `proof`) is edited.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace

from lockstep.errors import DataError
from lockstep.forms.canonical import joined64
from lockstep.systems.sql.companion import PROOF, Companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.items import key_cells
from lockstep.systems.sql.proof import Hash, has_proof, hashed_columns, shapes
from lockstep.systems.sql.rows import Cells, Rows
from lockstep.values import Fingerprint, Key, Mark, Meta, Span, Tallies, Tally, Version

PAGE = 5_000
_LOW = (1 << 32) - 1
_EDITED, _UNPROVED = 1, 2  # else it is 0

ONCE: sa.ColumnElement[int] = sa.literal_column("'0'")
"""An offset that keeps what a subquery makes from being made again wherever it is used. Of text PostgreSQL
makes a constant of its own type; of 0 an expression, and then one process would add up all rows."""


def sums(
    connection: sa.Connection,
    dialect: Dialect,
    rows: Rows,
    own: Companion,
    mapping: str,
    cuts: Sequence[Key],
) -> Tallies:
    """See `SummingWriter`. Both tables are read once. Raises CannotSum where the key's types forbid it."""
    known, table = own.rows, rows.table.alias("t")
    key = dialect.key_bytes(connection, rows, "t")
    mine = sa.and_(known.c.buried.is_(None), known.c.mapping == mapping)
    span = sa.case((mine, span_of(known.c.source, cuts)))  # null: of somebody else's record
    state = sa.case((mine, _state(connection, dialect, rows, own, mapping)))
    present = (
        sa.select(span.label("span"), known.c.fingerprint.label("said"), state.label("state"))
        .select_from(table.outerjoin(known, known.c.key == key))
        .where(*(table.c[name].is_not(None) for name in rows.key))
        .offset(ONCE)
        .subquery()
    )
    edited, unproved = (
        sa.func.sum(sa.case((present.c.state == kind, 1), else_=0)) for kind in (_EDITED, _UNPROVED)
    )
    query = sa.select(present.c.span, sa.func.count(), *halves(present.c.said), edited, unproved).group_by(
        present.c.span
    )
    spans, others = [Tally(0, 0)] * (len(cuts) + 1), 0
    for at, count, upper, lower, changed, doubtful in connection.execute(query):
        if at is None:
            others = count
        else:
            spans[at] = Tally(count, added(upper, lower), int(changed), int(doubtful))
    return Tallies(spans, others)


def edited(
    connection: sa.Connection, dialect: Dialect, rows: Rows, own: Companion, mapping: str, limit: int
) -> list[Mark]:
    """See `SummingWriter`. Both tables are read once."""
    known, table = own.rows, rows.table.alias("t")
    key = dialect.key_bytes(connection, rows, "t")
    state = _state(connection, dialect, rows, own, mapping)
    query = (
        sa.select(*(known.c[name] for name in ("key", "source", "fingerprint", "sum", "version")))
        .select_from(table.join(known, known.c.key == key))
        .where(known.c.buried.is_(None), known.c.mapping == mapping, state == _EDITED)
        .limit(limit)
    )
    return [
        Mark(
            Key(bytes(key)),
            Meta(mapping, Key(bytes(source)), Fingerprint(~mark), total, Version(version)),
        )
        for key, source, mark, total, version in connection.execute(query)
    ]


def marks(
    connection: sa.Connection,
    dialect: Dialect,
    rows: Rows,
    own: Companion,
    mapping: str,
    span: Span,
    after: Key | None,
) -> tuple[list[Mark], Key | None]:
    """The next marks after a target key, and where to go on; None at the end."""
    known = own.rows
    columns = ["key", "source", "fingerprint", "sum", "version", "names"]
    columns += PROOF if has_proof(connection, own) else ()
    query = (
        sa.select(*(known.c[name] for name in columns))
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
    noted: dict[str, dict[Key, tuple[int, int] | tuple[()]]] = defaultdict(dict)
    for key, source, mark, total, version, names, *proof in connection.execute(query):
        meta = Meta(mapping, Key(bytes(source)), Fingerprint(mark), total, Version(version))
        said[Key(bytes(key))] = meta
        noted[names][Key(bytes(key))] = tuple(proof)
    present = dict(one for some in noted.items() for one in there(connection, dialect, rows, *some))
    page = [
        Mark(key, replace(meta, fingerprint=Fingerprint(~meta.fingerprint)) if present[key] else meta)
        for key, meta in said.items()
        if key in present
    ]
    return page, next(reversed(said)) if len(said) == PAGE else None


def strangers(
    connection: sa.Connection,
    dialect: Dialect,
    rows: Rows,
    own: Companion,
    mappings: Sequence[str],
    limit: int,
) -> tuple[int, list[Key]]:
    """See `SummingWriter`. A row whose key is none counts, and is not named.

    All are found before some are named: of tables that were never analyzed, a limit has PostgreSQL compare
    each row with each until it has found some, in order or not, since it expects the companion to be empty.
    """
    known, table = own.rows, rows.table.alias("t")
    key = dialect.key_bytes(connection, rows, "t")
    ours = sa.and_(known.c.key == key, known.c.buried.is_(None), known.c.mapping.in_(list(mappings)))
    unknown = table.outerjoin(known, ours)
    where = [known.c.key.is_(None), *(table.c[name].is_not(None) for name in rows.key)]
    count = connection.execute(sa.select(sa.func.count()).select_from(unknown).where(*where)).scalar_one()
    found = sa.select(key.label("key")).select_from(unknown).where(*where).cte("found")
    found = found.prefix_with("MATERIALIZED", dialect="postgresql")
    query = sa.select(found.c.key).order_by(found.c.key).limit(limit)
    some = connection.execute(query) if count else ()
    return int(count), sorted(Key(bytes(one)) for (one,) in some if one is not None)


def _state(
    connection: sa.Connection, dialect: Dialect, rows: Rows, own: Companion, mapping: str
) -> sa.ColumnElement[int]:
    """Whether a row of the user's table, called t, is as it was written."""
    if not has_proof(connection, own):
        return sa.literal_column(str(_UNPROVED))
    known = own.rows
    cases: dict[int, Any] = {}
    lacking: list[str] = []
    for text, names in shapes(connection, own, mapping).items():
        columns = hashed_columns(rows, names)
        if columns is None:
            lacking.append(text)
            continue
        for made in dialect.hashes_sql(connection, rows, columns, "t"):
            same = known.c.held == sa.literal_column(made.sql)
            cases[made.recipe] = sa.case(
                (same, sa.literal_column("0")), else_=sa.literal_column(str(_EDITED))
            )
    whens: list[Any] = [(known.c.names.in_(lacking), sa.literal_column(str(_EDITED)))] if lacking else []
    whens += [(known.c.recipe == number, fits) for number, fits in cases.items()]
    unproved: sa.ColumnElement[int] = sa.literal_column(str(_UNPROVED))
    return sa.case(*whens, else_=unproved) if whens else unproved


def there(
    connection: sa.Connection,
    dialect: Dialect,
    rows: Rows,
    names: str,
    keys: Mapping[Key, tuple[int, int] | tuple[()]],
) -> Iterator[tuple[Key, bool]]:
    """Which of these keys the user's table has, and whether the row was edited since it was written."""
    columns = hashed_columns(rows, json.loads(names))
    newest, *former = dialect.hashes_sql(connection, rows, columns or (), None)
    ways = {made.recipe: made for made in former}
    cells: dict[Hash, list[Cells]] = defaultdict(list)
    for key, proof in keys.items():
        try:
            cells[ways.get(proof[1], newest) if proof else newest].append(key_cells(rows, key))
        except DataError:  # a key that the table cannot hold is not there
            continue
    for made, some in cells.items():
        for *found, number in rows.select(connection, some, (), made.sql):
            key = rows.key_of(found)
            held, recipe = keys.get(key) or (None, None)
            yield key, columns is None or (recipe == made.recipe and held != number)


def halves(number: sa.ColumnElement[int]) -> tuple[sa.ColumnElement[int], sa.ColumnElement[int]]:
    """The sums of both halves of 64-bit numbers: a sum of whole numbers is one of 64 bits on some databases,
    and fails when it grows beyond."""
    high, low = number.op(">>")(sa.literal_column("32")), number.op("&")(sa.literal_column(str(_LOW)))
    return sa.func.sum(high), sa.func.sum(low)


def added(high: Any, low: Any) -> int:
    """What two halves say, modulo 2^64 and signed; nothing added up is 0."""
    return joined64(int(high or 0), int(low or 0))


def span_of(source: sa.ColumnElement[Any], cuts: Sequence[Key]) -> Any:
    """The number of the span that a source key is in."""
    return branched([source <= sa.literal(bytes(cut), sa.LargeBinary) for cut in cuts])


def branched(upto: Sequence[sa.ColumnElement[bool]]) -> Any:
    """How many of these conditions do not hold, where each holds if one before it does: a balanced tree."""
    return _branched(upto, 0, len(upto))


def _branched(upto: Sequence[sa.ColumnElement[bool]], low: int, high: int) -> Any:
    if low == high:
        return sa.literal_column(str(low))
    middle = (low + high) // 2
    lower, upper = _branched(upto, low, middle), _branched(upto, middle + 1, high)
    return sa.case((upto[middle], lower), else_=upper)
