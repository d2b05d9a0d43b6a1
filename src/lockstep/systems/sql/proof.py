"""Whether a row is still as it was written: a hash of its columns that the database makes of what it holds.

It is made of the key and of the columns that the record had, when they are read back in the transaction that
wrote them, and again by whoever sums. A recipe says how it was made: where the columns' types or the server's
major have changed since, it says nothing of the row, which then is *unproved* until it is written again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

import sqlalchemy as sa

from lockstep.systems.sql.companion import PROOF, Companion, widen
from lockstep.systems.sql.rows import Rows

SHAPES = 100
"""Sets of columns that one statement tells apart; rows of further ones are unproved."""


class Hash(NamedTuple):
    """SQL that makes a signed 64-bit number of a row, and the number of that recipe."""

    sql: str
    recipe: int


def recipe(*parts: object) -> int:
    """The number of a recipe, of 31 bits."""
    return crc32("\0".join(map(str, parts)).encode()) & 0x7FFFFFFF


def hashed_columns(rows: Rows, record: Sequence[str]) -> tuple[str, ...] | None:
    """The columns that are hashed of a record with these names; None where the table lacks one by now.

    With the key, so that two rows that were exchanged have other hashes, not each the other's."""
    names = (*rows.key, *sorted(name for name in record if name not in rows.key))
    return names if all(name in rows.columns for name in names) else None


def has_proof(connection: sa.Connection, own: Companion) -> bool:
    """Whether the companion has a place for hashes."""
    table = own.rows
    columns = sa.inspect(connection).get_columns(table.name, table.schema)
    return set(PROOF) <= {column["name"] for column in columns}


def make_room(connection: sa.Connection, own: Companion) -> None:
    """Gives a companion that was made before there were hashes a place for them."""
    table = own.rows
    if not sa.inspect(connection).has_table(table.name, table.schema) or has_proof(connection, own):
        return
    widen(connection, table)


def shapes(connection: sa.Connection, own: Companion, mapping: str) -> dict[str, tuple[str, ...]]:
    """The sets of names that records of a mapping have, by their text in the companion."""
    known = own.rows
    mine = (known.c.buried.is_(None), known.c.mapping == mapping)
    found = connection.execute(sa.select(known.c.names).where(*mine).distinct().limit(SHAPES))
    return {text: tuple(json.loads(text)) for (text,) in found}
