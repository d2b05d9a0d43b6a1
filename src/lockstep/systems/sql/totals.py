"""The sums of a table whose rows all have one form, without joining it with its companion.

The companion has the hash that each row had when it was written, made of its key and of what was written. So
when the hashes of all rows, made again, add up to those in the companion, every row is there, as it was, and
no other: then the companion alone says what there is. A join by the bytes of keys takes several times longer.

When they do not, rows of the companion are found that are edited or gone (`differing`): of the spans that do
not add up, or where these are many, of all. What else the table holds are strangers.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import sqlalchemy as sa
from msgspec.structs import replace

from lockstep.errors import DataError
from lockstep.forms.canonical import wrap64
from lockstep.systems.sql.companion import Companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.differing import NAMED, Suspect, differing, hashes, noted_in, rows_in
from lockstep.systems.sql.items import key_cells
from lockstep.systems.sql.proof import Hash, has_proof, hashed_columns
from lockstep.systems.sql.rows import Rows
from lockstep.systems.sql.summing import ONCE, added, branched, halves, span_of
from lockstep.values import EVERYTHING, Fingerprint, Key, Mark, Span, Tallies, Tally

APART = 8
"""Spans that are looked at one after another, to find what differs in them; with more, all is looked at."""


def sums(
    connection: sa.Connection,
    dialect: Dialect,
    rows: Rows,
    own: Companion,
    mapping: str,
    cuts: Sequence[Key],
    within: Span,
) -> Tallies | None:
    """See `SummingWriter`. None where this cannot be told without a join."""
    made = _only_hash(connection, dialect, rows, own)
    if made is None:
        return None
    written = _written(connection, own, mapping, cuts, within, made)
    if written is None:
        return None
    found, narrow = _found(connection, rows, made, cuts, within) if written.alike else (None, False)
    if within != EVERYTHING and not narrow:
        return None
    if found is None:
        found, _ = _found(connection, rows, made, (), EVERYTHING)
    wanted = written.held if narrow else [_total(written.held)]
    unlike = [n for n, (one, other) in enumerate(zip(found, wanted, strict=True)) if one != other]
    spans = written.spans
    marks: tuple[Mark, ...] = ()
    if unlike:
        lacking = [other.records - one.records for one, other in zip(found, wanted, strict=True)]
        bounds = [within.after, *cuts, within.upto]
        places = [(within, sum(lacking))]
        if narrow and len(unlike) <= APART:
            places = [(Span(bounds[n], bounds[n + 1]), lacking[n]) for n in unlike]
        suspects: dict[Key, Suspect] = {}
        present: dict[Key, bool] = {}
        for place, missing in places:
            there = differing(connection, dialect, rows, own, made, missing, place)
            if there is None or len(suspects) + len(there.suspects) > NAMED:
                return None
            suspects |= there.suspects
            present |= there.present
        spans, marks = _without(spans, suspects, present, mapping, cuts)
    others = sum(one.records for one in found) - sum(one.records for one in spans)
    return Tallies(spans, others if within == EVERYTHING else None, marks)


class _Written(NamedTuple):
    """What the companion says, span after span: of a mapping's records; and of all that it knows, how many
    there are and what their hashes add up to. `alike`: the mapping's alone, each by its source's key."""

    spans: list[Tally]
    held: list[Tally]
    alike: bool


def _only_hash(connection: sa.Connection, dialect: Dialect, rows: Rows, own: Companion) -> Hash | None:
    """How all rows were hashed, going by one of them."""
    if not has_proof(connection, own):
        return None
    known = own.rows
    query = sa.select(known.c.names, known.c.recipe).where(known.c.buried.is_(None)).limit(1)
    one = connection.execute(query).first()
    columns = one and hashed_columns(rows, json.loads(one.names))
    if not one or columns is None:
        return None
    ways = dialect.hashes_sql(connection, rows, columns, None)
    return next((made for made in ways if made.recipe == one.recipe), None)


def _written(
    connection: sa.Connection, own: Companion, mapping: str, cuts: Sequence[Key], within: Span, made: Hash
) -> _Written | None:
    """None where some record was hashed in another way."""
    known = own.rows
    span = sa.case((known.c.mapping == mapping, span_of(known.c.source, cuts)))  # null: somebody else's
    hashed_so = known.c.recipe == sa.literal_column(str(made.recipe))
    other = sa.case((sa.and_(hashed_so, known.c.held.is_not(None)), 0), else_=1)
    elsewhere = sa.case((known.c.key == known.c.source, 0), else_=1)
    # Of a part also what lies in it and is of another part's source: it would stand for a row that is gone.
    inside = [sa.and_(sa.true(), *noted_in(key, within)) for key in (known.c.source, known.c.key)]
    each = (
        sa.select(
            span.label("span"),
            known.c.fingerprint,
            known.c.held,
            other.label("other"),
            elsewhere.label("elsewhere"),
        )
        .where(known.c.buried.is_(None), sa.or_(*inside))
        .offset(ONCE)
        .subquery()
    )
    numbers = (*halves(each.c.fingerprint), *halves(each.c.held))
    flags = (sa.func.sum(each.c.other), sa.func.sum(each.c.elsewhere))
    query = sa.select(each.c.span, sa.func.count(), *numbers, *flags).group_by(each.c.span)
    nothing = [Tally(0, 0)] * (len(cuts) + 1)
    written = _Written(list(nothing), list(nothing), True)
    for at, count, high, low, held_high, held_low, others, moved in connection.execute(query):
        if others:
            return None
        held = Tally(count, added(held_high, held_low))
        if at is None:
            written.held.append(held)
        else:
            written.spans[at], written.held[at] = Tally(count, added(high, low)), held
        if at is None or moved:
            written = written._replace(alike=False)
    return written


def _found(
    connection: sa.Connection, rows: Rows, made: Hash, cuts: Sequence[Key], within: Span
) -> tuple[list[Tally], bool]:
    """How many rows the table has and what their hashes add up to, span after span; or of all, and False."""
    try:
        upto = [rows.upto(key_cells(rows, cut)) for cut in cuts]
        inside = rows_in(rows, within)
    except DataError:  # a key that the table does not hold as it is
        upto, inside = [], []
    if upto or inside:
        # The ledger has keys of the source that the table's key cannot be: of a domain, or in its encoding.
        with suppress(sa.exc.DataError, sa.exc.IntegrityError), connection.begin_nested():
            return _added_up(connection, rows, made, upto, inside), True
    return _added_up(connection, rows, made, (), ()), False


_Conditions = Sequence[sa.ColumnElement[bool]]


def _added_up(
    connection: sa.Connection, rows: Rows, made: Hash, upto: _Conditions, inside: _Conditions
) -> list[Tally]:
    each = hashes(rows, made, inside, [branched(upto).label("span")])
    query = sa.select(each.c.span, sa.func.count(), *halves(each.c.made)).group_by(each.c.span)
    found = [Tally(0, 0)] * (len(upto) + 1)
    for at, count, high, low in connection.execute(query):
        found[at] = Tally(count, added(high, low))
    return found


def _without(
    written: Sequence[Tally],
    suspects: Mapping[Key, Suspect],
    present: Mapping[Key, bool],
    mapping: str,
    cuts: Sequence[Key],
) -> tuple[list[Tally], tuple[Mark, ...]]:
    """What was written, without what is gone; and what the edited rows say."""
    spans = list(written)
    edited: list[Mark] = []
    for key, one in suspects.items():
        at = bisect_left(cuts, one.meta.key)
        tally = spans[at]
        if one.mapping != mapping or present.get(key) is False:
            continue
        if key in present:
            spans[at] = replace(tally, edited=tally.edited + 1)
            edited.append(Mark(key, replace(one.meta, fingerprint=Fingerprint(~one.meta.fingerprint))))
        else:
            total = wrap64(tally.total - one.meta.fingerprint)
            spans[at] = replace(tally, records=tally.records - 1, total=total)
    return spans, tuple(edited)


def _total(spans: Sequence[Tally]) -> Tally:
    return Tally(sum(span.records for span in spans), wrap64(sum(span.total for span in spans)))
