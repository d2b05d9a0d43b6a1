"""Between what a column stores and what its values are, both ways.

`values` reads; it raises DataError where a stored value does not fit. Keys never raise: a misfit is a key
part by what is stored, so its row still has a key, is read by it, and becomes stuck under it.

`stored` goes back: the stored forms that read as a value. It must not find more, and SQLite would: it
compares '5' with an integer column as 5.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from types import NoneType
from typing import Any
from uuid import UUID

from lockstep.errors import DataError
from lockstep.systems.sqlite.schema import Column
from lockstep.systems.sqlite.types import BLOB, BOOLEAN, INTEGER, JSON, TEXT

_STORED_NAMES = {int: "an integer", float: "a real", str: "a text", bytes: "a blob"}
_NUMERIC = re.compile(r"[ \t\n\v\f\r]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t\n\v\f\r]*", re.ASCII)
_INT64 = range(-(1 << 63), 1 << 63)


def values(table: str, column: Column, stored: Sequence[Any]) -> Sequence[Any]:
    """What the stored values of one column are."""
    kind = column.kind
    if kind.plain.issuperset(set(map(type, stored)) - {NoneType}):
        return stored
    plain, read = kind.plain, kind.read
    out = []
    for value in stored:
        if value is None or type(value) in plain:
            out.append(value)
            continue
        try:
            out.append(read(value))
        except (ValueError, RecursionError) as error:
            raise _misfit(table, column, value) from error
    return out


def _misfit(table: str, column: Column, stored: Any) -> DataError:
    what = _STORED_NAMES[type(stored)]
    return DataError(
        f"{table}.{column.name} holds {what} that is no {column.kind.python} as {column.declared} means it",
        f"Correct the value in the source, or leave the column out of the model (typeof: {what}).",
    )


def key_value(column: Column, stored: Any) -> Any:
    """What a stored value is as a part of a key."""
    if stored is None or type(stored) in column.kind.plain or column.kind is JSON:
        return stored
    try:
        return column.kind.read(stored)
    except (ValueError, RecursionError):
        return stored


def stored(column: Column, value: Any) -> tuple[Any, ...]:
    """The stored forms that read as a value; none where nothing can."""
    kind = column.kind
    python = type(value)
    if (kind is INTEGER and python is int and value in _INT64) or (kind is TEXT and python is str):
        return (value,)
    found = kind.forms(value) or (value,)
    forms: list[Any] = []
    for form in found:
        if type(form) in (int, float, Decimal):
            candidates = _number(column, form)
        elif type(form) is str and column.affinity not in ("text", "blob") and _NUMERIC.fullmatch(form):
            continue  # SQLite would have stored a number
        else:
            candidates = [form]
        forms += [one for one in candidates if type(one) in _STORED_NAMES]
    return tuple(form for form in forms if _same(key_value(column, form), value))


def _number(column: Column, value: int | float | Decimal) -> list[Any]:
    """How a column may store exactly this number. Only one without an affinity keeps 5.0 from being 5."""
    if column.affinity == "text":
        return []
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    forms: list[Any] = []
    if column.affinity != "real" and exact == exact.to_integral_value() and exact.is_finite():
        forms = [int(exact)] if int(exact) in _INT64 else []
    if not forms or column.affinity == "blob":
        with contextlib.suppress(OverflowError, ValueError):
            near = float(exact)
            if Decimal(repr(near)) == exact:
                forms.append(near)
    return forms


def _same(one: Any, other: Any) -> bool:
    """Whether two values are one key part: numbers by value, others by type and value."""
    numbers = (int, float, Decimal)
    if type(one) in numbers and type(other) in numbers:
        as_exact = [Decimal(repr(v)) if isinstance(v, float) else Decimal(v) for v in (one, other)]
        return as_exact[0] == as_exact[1]
    if type(one) is dt.datetime and type(other) is dt.datetime:
        return (one.tzinfo is None) == (other.tzinfo is None) and one == other
    return type(one) is type(other) and bool(one == other)


def _parse_bool(text: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[text.lower()]


_PARSERS: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": lambda text: float(text),
    "Decimal": Decimal,
    "str": str,
    "bytes": bytes.fromhex,
    "bool": _parse_bool,
    "UUID": UUID,
    "dt.date": dt.date.fromisoformat,
    "dt.datetime": dt.datetime.fromisoformat,
    "dt.time": dt.time.fromisoformat,
}


def parse(table: str, column: Column, text: str) -> Any:
    """A key part as a person typed it."""
    kind = column.kind
    try:
        return _PARSERS[kind.python](text)
    except (ValueError, KeyError, InvalidOperation) as error:
        wanted = {INTEGER: "a whole number", BLOB: "bytes in hex", BOOLEAN: "true or false"}.get(
            kind, f"a value of type {kind.python or column.declared}"
        )
        raise DataError(
            f"{text!r} is no key of {table}: {column.name} takes {wanted}",
            "Type the key as `lockstep plan` shows it.",
        ) from error
