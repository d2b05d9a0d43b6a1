"""Which rows of a table are not as they were when its companion noted their hashes: edited, or gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from lockstep.errors import Refused
from lockstep.systems.sql.companion import Companion
from lockstep.systems.sql.dialect import Dialect
from lockstep.systems.sql.items import key_cells
from lockstep.systems.sql.proof import Hash
from lockstep.systems.sql.rows import Rows
from lockstep.systems.sql.summing import ONCE, there
from lockstep.values import Fingerprint, Key, Meta, Span, Version

NAMED = 50_000
"""Rows that are told one by one; with more, the tables are joined."""

_AT_ONCE = 2_000


class Suspect(NamedTuple):
    """A row of the companion whose row of the table may be edited or gone."""

    mapping: str
    meta: Meta
    names: str
    held: int
    recipe: int


_SUSPECT = ("key", "mapping", "source", "fingerprint", "sum", "version", "names", "held", "recipe")


class Differing(NamedTuple):
    """Rows of the companion that differ from the table, by target key, and whether those that are there were
    edited."""

    suspects: dict[Key, Suspect]
    present: dict[Key, bool]


def differing(
    connection: sa.Connection,
    dialect: Dialect,
    rows: Rows,
    own: Companion,
    made: Hash,
    lacking: int,
    place: Span,
) -> Differing | None:
    """Those of a span, of all mappings; None where there are more than `NAMED`. `lacking`: how many more rows
    the companion has there than the table."""
    if -NAMED <= lacking <= 0:
        edited, strangers = _edited(connection, dialect, rows, own, made, place)
        if len(edited) > NAMED:
            return None
        all_told = len(edited) + strangers <= NAMED
        if all_told and lacking + strangers == 0:  # else some are gone
            return Differing(edited, dict.fromkeys(edited, True))
    suspects = _unlike(connection, own, rows, made, place)
    if len(suspects) > NAMED:
        return None
    return Differing(suspects, _present(connection, dialect, rows, suspects))


def hashes(
    rows: Rows, made: Hash, within: Sequence[sa.ColumnElement[bool]], beside: Sequence[Any] = ()
) -> sa.Subquery:
    """What rows of the user's table are hashed to (`made`), with what is to stand `beside`."""
    named = [rows.table.c[name].is_not(None) for name in rows.key]
    number: sa.ColumnElement[int] = sa.literal_column(made.sql, sa.BigInteger)
    each = sa.select(number.label("made"), *beside).select_from(rows.table)
    return each.where(*named, *within).offset(ONCE).subquery()


def rows_in(rows: Rows, span: Span) -> list[sa.ColumnElement[bool]]:
    """Whether a row's key is in a span. Raises DataError for a bound that is no key of the table."""
    after = [] if span.after is None else [~rows.upto(key_cells(rows, span.after))]
    return after + ([] if span.upto is None else [rows.upto(key_cells(rows, span.upto))])


def noted_in(key: sa.ColumnElement[Any], span: Span) -> list[sa.ColumnElement[bool]]:
    """Whether a key of the companion is in a span."""
    after = [] if span.after is None else [key > bytes(span.after)]
    return after + ([] if span.upto is None else [key <= bytes(span.upto)])


def _edited(
    connection: sa.Connection, dialect: Dialect, rows: Rows, own: Companion, made: Hash, place: Span
) -> tuple[dict[Key, Suspect], int]:
    """Rows whose hash the companion does not have: those that it has another of, and how many it does not
    know. Of more than `NAMED`, some.

    PostgreSQL knows how the companion's hashes are spread, and nothing of those that it makes itself: in a
    table of the others it looks these up with all its processes, where the reverse has each sort them all."""
    known = own.rows
    cells = [cell.label(f"key_{n}") for n, cell in enumerate(rows.cells(rows.key))]
    each = hashes(rows, made, rows_in(rows, place), cells)
    as_it_was = sa.and_(known.c.held == each.c.made, known.c.buried.is_(None))
    query = (
        sa.select(*(each.c[cell.name] for cell in cells))
        .select_from(each.outerjoin(known, as_it_was))
        .where(known.c.held.is_(None))
        .limit(NAMED + 1)
    )
    keys = [_key_of(rows, row) for row in connection.execute(query)]
    wanted = [key for key in keys if key is not None]
    found: dict[Key, Suspect] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        given = dialect.among(known.c.key, wanted[start : start + _AT_ONCE])
        noted = sa.select(*(known.c[name] for name in _SUSPECT)).where(given, known.c.buried.is_(None))
        found |= _suspects(connection.execute(noted))
    return found, len(keys) - len(found)


def _key_of(rows: Rows, cells: Sequence[Any]) -> Key | None:
    """None where it is none: nobody wrote that row."""
    try:
        return rows.key_of(cells)
    except Refused:
        return None


def _unlike(
    connection: sa.Connection, own: Companion, rows: Rows, made: Hash, place: Span
) -> dict[Key, Suspect]:
    """Whose hash no row has, by target key, of all mappings; one more than `NAMED` at most."""
    known, each = own.rows, hashes(rows, made, rows_in(rows, place))
    query = (
        sa.select(*(known.c[name] for name in _SUSPECT))
        .select_from(known.outerjoin(each, each.c.made == known.c.held))
        .where(known.c.buried.is_(None), each.c.made.is_(None), *noted_in(known.c.key, place))
        .limit(NAMED + 1)
    )
    return dict(_suspects(connection.execute(query)))


def _suspects(found: Iterable[Any]) -> Iterator[tuple[Key, Suspect]]:
    for key, mapping, source, mark, total, version, names, held, recipe in found:
        meta = Meta(mapping, Key(bytes(source)), Fingerprint(mark), total, Version(version))
        yield Key(bytes(key)), Suspect(mapping, meta, names, held, recipe)


def _present(
    connection: sa.Connection, dialect: Dialect, rows: Rows, suspects: Mapping[Key, Suspect]
) -> dict[Key, bool]:
    """Those whose rows are there, and whether they are edited."""
    noted: dict[str, dict[Key, tuple[int, int] | tuple[()]]] = defaultdict(dict)
    for key, one in suspects.items():
        noted[one.names][key] = (one.held, one.recipe)
    return dict(one for some in noted.items() for one in there(connection, dialect, rows, *some))
