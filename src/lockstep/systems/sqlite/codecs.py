"""How each kind of SQLite column holds values: encoders raise ValueError, decoders never fail.

Values lie in a column by its declared type, in the form that Lockstep's own source reads (see `types`):
booleans as 0 and 1; dates, times and uuids as ISO text; an instant in UTC with its microseconds,
`2026-03-08T09:30:00.000000Z`, a local timestamp the same without the Z; JSON as its canonical text; bytes as
a blob. A text column takes every value, in canonical form. A column without a type takes numbers, texts and
blobs as they are. What SQLite then makes of it (a decimal of more than 15 digits becomes a real) is read
back and reported as held.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID as Uuid

from lockstep.datatypes.far import FarDate, FarDatetime, FarTime, read_date, read_datetime
from lockstep.forms.canonical import as_json
from lockstep.systems.sql.columns import Codec, as_text, from_json
from lockstep.systems.sqlite import types

_END_OF_DAY = "24:00:00"


def codec(declared: str) -> Codec:
    """The codec of a column, by its declared type."""
    bare = declared.upper().replace("NOT NULL", "").strip()
    kind = types.kind_of(bare)
    name = "Any?" if kind is types.UNKNOWN else kind.python
    encode, decode, orders = _DIGITS if kind is types.DIGITS else _FORMS[name]
    return Codec(declared, encode, decode, orders, text=encode is as_text, own=_OWN.get(name))


def _integer(value: Any) -> int:
    if isinstance(value, float | Decimal) and value == value // 1:
        value = int(value)
    if not isinstance(value, int):
        raise ValueError("it is no whole number")
    if not _fits(value):
        raise ValueError("it does not fit 64 bits; a DECIMAL or TEXT column would take it")
    return int(value)


def _fits(value: int) -> bool:
    return -(1 << 63) <= value < 1 << 63


def _real(value: Any) -> float:
    if not isinstance(value, int | float | Decimal):
        raise ValueError("it is no number")
    return _no_nan(float(value))


def _no_nan(value: float) -> float:
    if value != value:
        raise ValueError("SQLite holds no NaN; a TEXT column would take it")
    return value


def _decimal(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("it is no number")
    if not Decimal(value).is_finite():
        raise ValueError("it is not finite; a REAL or TEXT column would take it")
    return as_text(value)  # SQLite makes it an integer or a real where it holds 15 digits


def _boolean(value: Any) -> int:
    if value is True or value is False or (isinstance(value, int) and value in (0, 1)):
        return int(value)
    raise ValueError("it is neither true nor false")


def _blob(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise ValueError("it is no bytes")


def _any(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return _no_nan(value)
    if isinstance(value, bytes | str) or (isinstance(value, int) and _fits(value)):
        return value
    return as_text(value)


def _date(value: Any) -> str:
    if isinstance(value, str):
        value = dt.date.fromisoformat(value) if value[4:5] == "-" else read_date(value)
    if isinstance(value, FarDate):
        return value.text
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise ValueError("it is no date")
    return value.isoformat()


def _time(value: Any) -> str:
    if value == _END_OF_DAY or (isinstance(value, FarTime) and value.tzinfo is None):
        return _END_OF_DAY
    value = dt.time.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(value, dt.time) or value.tzinfo is not None:
        raise ValueError("it is no time of day")
    return value.isoformat()


def _datetime(value: Any) -> str:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value) if value[4:5] == "-" else read_datetime(value)
    if isinstance(value, FarDatetime):
        return value.text
    if not isinstance(value, dt.datetime):
        raise ValueError("it is no timestamp")
    if value.tzinfo is None:
        return value.isoformat(timespec="microseconds")
    return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _uuid(value: Any) -> str:
    if isinstance(value, Uuid | str):
        return str(Uuid(str(value)))
    raise ValueError("it is no uuid")


def _reads(kind: types.Kind) -> Callable[[Any], Any]:
    def read(cell: Any) -> Any:
        if type(cell) in kind.plain:
            return cell
        try:
            return kind.read(cell)
        except (ValueError, ArithmeticError, RecursionError):
            return cell

    return read


def _read_json(cell: Any) -> Any:
    try:
        return from_json(cell) if type(cell) is str else cell
    except (ValueError, ArithmeticError, RecursionError):
        return cell


def _as_is(cell: Any) -> Any:
    return cell


def _digits(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("it is no number")
    return as_text(value)


_Form = tuple[Callable[[Any], Any], Callable[[Any], Any], bool]
"""Encode, decode, and whether the database orders the cells as their values."""

_DIGITS: _Form = (_digits, _reads(types.DIGITS), False)
_FORMS: dict[str, _Form] = {
    "int": (_integer, _as_is, True),
    "float": (_real, _as_is, False),
    "str": (as_text, _as_is, True),
    "bytes": (_blob, _as_is, True),
    "Decimal": (_decimal, _reads(types.DECIMAL), False),
    "bool": (_boolean, _reads(types.BOOLEAN), True),
    "Any": (as_json, _read_json, False),
    "UUID": (_uuid, _reads(types.UUID), True),
    "dt.date": (_date, _reads(types.DATE), True),
    "dt.datetime": (_datetime, _reads(types.DATETIME), False),
    "dt.time": (_time, _reads(types.TIME), False),
    "Any?": (_any, _as_is, False),
}
_OWN: dict[str, type] = {"int": int, "str": str}
"""See `Codec`."""
