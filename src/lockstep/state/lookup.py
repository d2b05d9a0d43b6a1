"""The rows of the ledger by their keys.

Keys that lie beside each other, as those of a span or of a page of a walk, are read as all that lies from the
least to the greatest: that takes half of what it takes to look for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from lockstep.database import picked
from lockstep.state import schema
from lockstep.state.rows import COLUMNS, Row, from_columns
from lockstep.values import Key

_MANY = 500
"""Keys for which it is worth to ask first how many rows there are from the least to the greatest: in a first
load there is none, too."""

_ROWS: Any = sa.select(*(sa.column(name) for name in COLUMNS)).select_from(schema.ledger)
"""Without types: values as the driver has them, which is as `from_columns` takes them."""


def rows_of(connection: sa.Connection, consumer: int, keys: Sequence[Key]) -> dict[Key, Row]:
    """What the ledger says of these keys; a key it does not know is not in the answer."""
    found = _between(connection, consumer, keys) if len(keys) >= _MANY else None
    if found is None:
        found = _each(connection, consumer, keys)
    wanted = set(keys)
    return {row[1]: from_columns(row) for row in found if row[1] in wanted}


def _between(connection: sa.Connection, consumer: int, keys: Sequence[Key]) -> Sequence[Any] | None:
    """The rows from the least to the greatest of these keys; None where those are many more."""
    most = len(keys) * 3 // 2
    within = (
        schema.ledger.c.consumer == consumer,
        schema.ledger.c.key.between(min(keys), max(keys)),
    )
    some = sa.select(sa.true()).where(*within).limit(most + 1).subquery()
    count = connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    return connection.execute(_ROWS.where(*within)).all() if count <= most else None


def _each(connection: sa.Connection, consumer: int, keys: Sequence[Key]) -> Sequence[Any]:
    columns = ", ".join(COLUMNS)
    found: list[Any] = []
    for some, given in picked(connection, "key", keys):
        statement = f"SELECT {columns} FROM ledger WHERE {some} AND consumer = {consumer:d}"
        found += connection.exec_driver_sql(statement, given).all()
    return found
