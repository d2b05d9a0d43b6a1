"""Many rows in one statement, on SQLite: what all of them share is handed over once.

There, most of what a row costs is the driver's binding of each value. Of the ten of a ledger row seven are
mostly the same in all rows of a batch.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa

AT_ONCE = 100
"""Rows in one statement. With more it is no faster."""

Statement = tuple[str, list[tuple[Any, ...]]]
"""A statement, and the parameters of each of its executions."""


def upserts(table: sa.Table, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> Iterator[Statement]:
    """Insert rows, or replace those of the same primary key; in order, in few statements."""
    many = len(rows) - len(rows) % AT_ONCE
    if many:
        columns = list(zip(*rows[:many], strict=True))
        shared = tuple(_is_shared(column) for column in columns)
        once = tuple(column[0] for column, same in zip(columns, shared, strict=True) if same)
        each = [column for column, same in zip(columns, shared, strict=True) if not same]
        values = chain.from_iterable(zip(*each, strict=True))
        width = AT_ONCE * len(each)
        yield (
            _upsert(table, names, shared, AT_ONCE),
            [once + tuple(islice(values, width)) for _ in range(many // AT_ONCE)],
        )
    if many < len(rows):
        yield _upsert(table, names, (False,) * len(names), 1), list(rows[many:])


def _is_shared(column: Sequence[Any]) -> bool:
    """Whether all values are the same one. 1, 1.0 and True are, as a column makes one kind of them."""
    return column.count(column[0]) == len(column)


@functools.lru_cache(maxsize=128)
def _upsert(table: sa.Table, names: tuple[str, ...], shared: tuple[bool, ...], count: int) -> str:
    """The SQL for so many rows. Its parameters: the shared values, then row by row the others."""
    keys = [column.name for column in table.primary_key]
    columns = ", ".join(f'"{name}"' for name in names)
    rest = ", ".join(f'"{name}" = excluded."{name}"' for name in names if name not in keys)
    conflict = ", ".join(f'"{name}"' for name in keys)
    once, next_one = iter(range(1, len(names) + 1)), sum(shared) + 1
    places = [next(once) if same else None for same in shared]
    rows = []
    for _ in range(count):
        row = []
        for place in places:
            row.append(f"?{place or next_one}")
            next_one += place is None
        rows.append(f"({', '.join(row)})")
    return (
        f'INSERT INTO "{table.name}" ({columns}) VALUES {", ".join(rows)} '
        f"ON CONFLICT ({conflict}) DO {f'UPDATE SET {rest}' if rest else 'NOTHING'}"
    )
