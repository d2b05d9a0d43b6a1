"""The sums of a table whose rows all have one form, without joining it with its companion.

The companion has the hash that each row had when it was written, made of its key and of what was written. So
when the hashes of all rows, made again, add up to those in the companion, every row is there, as it was, and
no other: then the companion alone says what there is. A join by the bytes of keys takes several times longer.

When they do not, rows of the companion are found whose hash no row has: these are edited or gone. Whatever
else the table holds beyond them are strangers.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec.structs import replace

from lockstep.forms.canonical import wrap64
from lockstep.systems.sql.companion import Companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.proof import Hash, has_proof, hashed
from lockstep.systems.sql.rows import Rows
from lockstep.systems.sql.summing import ONCE, added, halves, span_of, there
from lockstep.values import Fingerprint, Key, Mark, Meta, Tallies, Tally, Version

NAMED = 50_000
"""Rows that are told one by one; with more, the tables are joined."""


def sums(
    connection: sa.Connection,
    dialect: Dialect,
    rows: Rows,
    own: Companion,
    mapping: str,
    cuts: Sequence[Key],
) -> Tallies | None:
    """See `SummingWriter`. None where this cannot be told without a join."""
    made = _only_hash(connection, dialect, rows, own)
    if made is None:
        return None
    written = _written(connection, own, mapping, cuts, made)
    if written is None:
        return None
    hashes = _hashes(rows, made)
    held = sa.select(sa.func.count(), *halves(hashes.c.made)).select_from(hashes)
    count, high, low = connection.execute(held).one()
    if (count, added(high, low)) == (written.records, written.held):
        return Tallies(written.spans, count - sum(tally.records for tally in written.spans), ())
    unlike = _unlike(connection, own, hashes)
    if unlike is None:
        return None
    return _without(written, count, unlike, _edited(connection, dialect, rows, unlike), mapping, cuts)


class _Written(NamedTuple):
    """What the companion says: of a mapping's records, span after span; and of all that it knows, how many
    there are and what their hashes add up to."""

    spans: list[Tally]
    records: int
    held: int


class _Unlike(NamedTuple):
    """A row of the companion whose hash no row of the table has."""

    mapping: str
    meta: Meta
    names: str
    held: int
    recipe: int


def _only_hash(connection: sa.Connection, dialect: Dialect, rows: Rows, own: Companion) -> Hash | None:
    """How all rows were hashed, going by one of them."""
    if not has_proof(connection, own):
        return None
    known = own.rows
    query = sa.select(known.c.names, known.c.recipe).where(known.c.buried.is_(None)).limit(1)
    one = connection.execute(query).first()
    columns = one and hashed(rows, json.loads(one.names))
    if not one or columns is None:
        return None
    made = dialect.row_hash(connection, rows, columns, "t")
    return made if made.recipe == one.recipe else None


def _written(
    connection: sa.Connection, own: Companion, mapping: str, cuts: Sequence[Key], made: Hash
) -> _Written | None:
    """None where some record was hashed in another way."""
    known = own.rows
    span = sa.case((known.c.mapping == mapping, span_of(known.c.source, cuts)))  # null: somebody else's
    hashed_so = known.c.recipe == sa.literal_column(str(made.recipe))
    other = sa.case((sa.and_(hashed_so, known.c.held.is_not(None)), 0), else_=1)
    each = (
        sa.select(span.label("span"), known.c.fingerprint, known.c.held, other.label("other"))
        .where(known.c.buried.is_(None))
        .offset(ONCE)
        .subquery()
    )
    query = sa.select(
        each.c.span,
        sa.func.count(),
        *halves(each.c.fingerprint),
        *halves(each.c.held),
        sa.func.sum(each.c.other),
    ).group_by(each.c.span)
    spans, records, held = [Tally(0, 0)] * (len(cuts) + 1), 0, 0
    for at, count, high, low, held_high, held_low, others in connection.execute(query):
        if others:
            return None
        records, held = records + count, held + added(held_high, held_low)
        if at is not None:
            spans[at] = Tally(count, added(high, low))
    return _Written(spans, records, wrap64(held))


def _hashes(rows: Rows, made: Hash) -> sa.Subquery:
    """What every row of the user's table is hashed to."""
    table = rows.table.alias("t")
    there = [table.c[name].is_not(None) for name in rows.key]
    number: sa.ColumnElement[int] = sa.literal_column(made.sql, sa.BigInteger)
    return sa.select(number.label("made")).select_from(table).where(*there).offset(ONCE).subquery()


def _unlike(connection: sa.Connection, own: Companion, hashes: sa.Subquery) -> dict[Key, _Unlike] | None:
    """By target key, of all mappings; None where there are too many."""
    known = own.rows
    names = ("key", "mapping", "source", "fingerprint", "sum", "version", "names", "held", "recipe")
    query = (
        sa.select(*(known.c[name] for name in names))
        .select_from(known.outerjoin(hashes, hashes.c.made == known.c.held))
        .where(known.c.buried.is_(None), hashes.c.made.is_(None))
        .limit(NAMED + 1)
    )
    found = {
        Key(bytes(key)): _Unlike(
            mapping, Meta(mapping, Key(bytes(source)), Fingerprint(mark), total, Version(version)), *rest
        )
        for key, mapping, source, mark, total, version, *rest in connection.execute(query)
    }
    return found if len(found) <= NAMED else None


def _edited(
    connection: sa.Connection, dialect: Dialect, rows: Rows, unlike: Mapping[Key, _Unlike]
) -> set[Key]:
    """Those whose rows are there."""
    noted: dict[str, dict[Key, tuple[int, int] | tuple[()]]] = defaultdict(dict)
    for key, one in unlike.items():
        noted[one.names][key] = (one.held, one.recipe)
    return {key for some in noted.items() for key, _ in there(connection, dialect, rows, *some)}


def _without(
    written: _Written,
    count: int,
    unlike: Mapping[Key, _Unlike],
    edited: set[Key],
    mapping: str,
    cuts: Sequence[Key],
) -> Tallies:
    """What was written, without what is gone. `count`: of rows in the table."""
    spans = list(written.spans)
    marks: list[Mark] = []
    for key, one in unlike.items():
        if one.mapping != mapping:
            continue
        at = bisect_left(cuts, one.meta.key)
        tally = spans[at]
        if key in edited:
            spans[at] = replace(tally, edited=tally.edited + 1)
            marks.append(Mark(key, replace(one.meta, fingerprint=Fingerprint(~one.meta.fingerprint))))
        else:
            total = wrap64(tally.total - one.meta.fingerprint)
            spans[at] = replace(tally, records=tally.records - 1, total=total)
    mine: Any = sum(tally.records for tally in spans)
    return Tallies(spans, count - mine, tuple(marks))
