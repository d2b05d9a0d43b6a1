"""Many rows in one statement, on PostgreSQL: one array for each column, as text, and `unnest`.

Executing a statement once per row costs the server and us several times as much; so do a driver's own arrays.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


@functools.lru_cache(maxsize=64)
def insert_of(table: sa.Table, names: tuple[str, ...]) -> Any:
    """An INSERT of the rows of `arrays`, without its ON CONFLICT."""
    columns = [
        sa.func.unnest(_array(sa.bindparam(f"c{place}", type_=sa.Text), table.c[name]))
        for place, name in enumerate(names)
    ]
    return postgresql.insert(table).from_select(list(names), sa.select(*columns))


def arrays(rows: Iterable[Sequence[Any]]) -> dict[str, str]:
    """The parameters of `insert_of`."""
    return {f"c{place}": array_text(values) for place, values in enumerate(zip(*rows, strict=True))}


def among(column: sa.ColumnElement[Any], values: Iterable[Any]) -> sa.ColumnElement[bool]:
    """Whether a column is one of many values."""
    return column == sa.any_(_array(sa.literal(array_text(values), sa.Text), column))


def array_text(values: Iterable[Any]) -> str:
    """An array as PostgreSQL reads it: texts, bytes, numbers, truths and nulls."""
    return "{" + ",".join(map(_element, values)) + "}"


def quoted(text: str) -> str:
    """A text as an array's element."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bytes):
        return '"\\\\x' + value.hex() + '"'
    return repr(value)  # numbers; True and False are read as well


def _array(text: sa.ColumnElement[str], column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    kind = postgresql.ARRAY(column.type)
    return sa.cast(sa.cast(text, sa.Text), kind)
