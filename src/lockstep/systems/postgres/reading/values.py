"""Python values of a result: what the driver does not make of it, and which value it was that nobody can.

The driver's loaders are fast, and raise for a date beyond Python's calendar. Then the result that is already
here is loaded once more, value by value, with loaders that know those too. What even they cannot load is an
error that names table, key, column and type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.adapt import Transformer
from psycopg.pq import Format

from lockstep.errors import DataError
from lockstep.systems.postgres.loaders import careful
from lockstep.systems.postgres.tables import TableInfo

Row = tuple[Any, ...]
_MEND = "Correct the value, or leave the column out of the model."


def decoded(rows: list[Row], info: TableInfo, columns: Sequence[str]) -> list[Row]:
    """Rows with the columns that were read as text made into their values."""
    made = [
        (place, name, decode)
        for place, name in enumerate(columns)
        if (decode := info.column(name).known.decode) is not None
    ]
    if not made or not rows:
        return rows
    found = []
    for row in rows:
        values = list(row)
        for place, name, decode in made:
            if values[place] is not None:
                try:
                    values[place] = decode(values[place])
                except (ValueError, ArithmeticError, RecursionError, DataError) as error:
                    raise _unreadable(info, columns, name, row, error) from error
        found.append(tuple(values))
    return found


def slowly(
    cursor: psycopg.Cursor[Any], info: TableInfo, columns: Sequence[str], error: BaseException
) -> list[Row]:
    """The rows of a fetch that failed. Raises DataError for a value that has no exact form."""
    result = cursor.pgresult
    if result is None:
        raise DataError(f"a value of {info.name} cannot be read: {error}", _MEND)
    transformer = Transformer(careful())
    loaders = [
        transformer.get_loader(result.ftype(place), Format(result.fformat(place)))
        for place in range(result.nfields)
    ]
    rows = []
    for at in range(result.ntuples):
        values: list[Any] = []
        wrong: tuple[str, BaseException] | None = None
        for place, loader in enumerate(loaders):
            data = result.get_value(at, place)
            try:
                values.append(None if data is None else loader.load(data))
            except (psycopg.DataError, UnicodeError, ValueError) as reason:
                values.append(None)
                wrong = wrong or (columns[place] if place < len(columns) else "a hash", reason)
        if wrong is not None:
            raise _unreadable(info, columns, wrong[0], values, wrong[1]) from wrong[1]
        rows.append(tuple(values))
    return rows


def _unreadable(
    info: TableInfo, columns: Sequence[str], name: str, row: Sequence[Any], reason: BaseException
) -> DataError:
    label = info.columns[name].label if name in info.columns else "int8"
    key = [row[list(columns).index(part)] for part in info.key if part in columns]
    where = f" of ({', '.join(map(str, key))})" if key and len(key) == len(info.key) else ""
    return DataError(f"{info.name}.{name} ({label}){where} cannot be read: {reason}", _MEND)
