"""Which column of which row it was, when a result cannot be made into Python values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import Format

from lockstep.errors import DataError
from lockstep.systems.postgres.tables import TableInfo

_MEND = "Correct the value, or leave the column out of the model."


def blamed(
    cursor: psycopg.Cursor[Any], info: TableInfo, columns: Sequence[str], error: BaseException
) -> DataError:
    """The error of a fetch, naming table, key, column and type. Loads value by value to find it."""
    result = cursor.pgresult
    if result is None:
        return DataError(f"a value of {info.name} cannot be read: {error}", _MEND)
    transformer = Transformer(cursor)
    loaders = [
        transformer.get_loader(result.ftype(place), Format(result.fformat(place)))
        for place in range(result.nfields)
    ]

    def load(row: int, place: int) -> Any:
        data = result.get_value(row, place)
        return None if data is None else loaders[place].load(data)

    for row in range(result.ntuples):
        for place in range(result.nfields):
            try:
                load(row, place)
            except (psycopg.DataError, UnicodeError) as reason:
                name = columns[place] if place < len(columns) else "a hash"
                label = info.columns[name].label if name in info.columns else "int8"
                where = _row_name(info, columns, lambda at, row=row: load(row, at))
                return DataError(f"{info.name}.{name} ({label}){where} cannot be read: {reason}", _MEND)
    return DataError(f"a value of {info.name} cannot be read: {error}", _MEND)


def _row_name(info: TableInfo, columns: Sequence[str], load: Any) -> str:
    """Where the key was read too: " of (7)"."""
    try:
        return (
            f" of ({', '.join(str(load(list(columns).index(name))) for name in info.key)})"
            if info.key
            else ""
        )
    except (ValueError, psycopg.DataError):
        return ""
