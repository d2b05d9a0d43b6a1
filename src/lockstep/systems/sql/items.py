"""A change as cells of the user's table, or the reason why it cannot be."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, NamedTuple

from lockstep.errors import DataError
from lockstep.forms.canonical import canonical
from lockstep.forms.keys import decode, text
from lockstep.systems.sql.rows import Cells, Rows
from lockstep.values import Change, Key

_ABSENT = object()


class Item(NamedTuple):
    """A change, ready to be written. `place` is where its outcome goes; `form` its canonical form."""

    place: int
    change: Change
    key: Cells
    names: tuple[str, ...]
    cells: Cells
    form: bytes


def key_cells(rows: Rows, key: Key) -> Cells:
    """The cells of a target key. Raises DataError where the table could not hold it as it is."""
    values = decode(key)
    if len(values) != len(rows.key):
        raise DataError(
            f"the key {text(key)!r} is no key of {rows.name}, which is by {', '.join(rows.key)}",
            "Give the mapping a target key of that many parts.",
        )
    cells = tuple(_cell(rows, name, value) for name, value in zip(rows.key, values, strict=True))
    if list(map(type, values)) != rows.own and rows.key_of(cells) != key:
        types = ", ".join(f"{name} {rows.columns[name].declared}" for name in rows.key)
        raise DataError(
            f"the key {text(key)!r} would come back as another one from {rows.name} ({types})",
            "Declare the columns of the target, or let the mapping return a key of their types.",
        )
    return cells


def item_of(rows: Rows, place: int, change: Change) -> Item:
    """A change as cells. Raises DataError that names the column."""
    key = key_cells(rows, change.key)
    record = change.record
    if record is None:
        return Item(place, change, key, (), (), b"")
    form = canonical(record)
    unknown = next((name for name in record if name not in rows.columns), None)
    if unknown is not None:
        raise DataError(
            f"table {rows.name} has no column {unknown}; its columns are {', '.join(rows.columns)}",
            f"Add the column, or leave {unknown} out of the mapping.",
        )
    for name, cell in zip(rows.key, key, strict=True):
        value = record.get(name, _ABSENT)
        if value is not _ABSENT and (value is None or _cell(rows, name, value) != cell):
            raise DataError(
                f"column {name} of the record is {value!r:.100} and its key says {cell!r:.100}",
                "Let the mapping return the same value in both, or leave the column out.",
            )
    names = tuple(name for name in record if name not in rows.key)
    cells = tuple(_cell(rows, name, record[name]) for name in names)
    return Item(place, change, key, names, cells, form)


def _cell(rows: Rows, name: str, value: Any) -> Any:
    if value is None:
        return None
    try:
        return rows.columns[name].encode(value)
    except (ValueError, OverflowError, ArithmeticError) as error:
        raise DataError(
            f"column {rows.name}.{name} ({rows.columns[name].declared}) cannot take {value!r:.100}: {error}",
            "Correct the mapping, or the type of the column.",
        ) from error


@lru_cache(maxsize=1024)
def names_text(names: tuple[str, ...]) -> str:
    """The names of a record's columns as the companion keeps them."""
    return json.dumps(names, ensure_ascii=False)
