"""How the columns of a target hold values: every cell goes in as text, in PostgreSQL's own input form.

type                          takes                                    remarks
bool                          true, false, 0, 1
int2, int4, int8              whole numbers
numeric                       numbers, NaN and infinities too          exact; rounded to a declared scale
float4, float8                numbers                                  what a double makes of them
text, varchar, char(n)        everything, in canonical form            char(n): blanks at its end are lost
uuid, date, time              their values, or their texts
timestamp, timestamptz        the same                                 of the other kind: in UTC
interval                      spans of time
json, jsonb                   everything
bytea                         bytes
arrays of these               lists, nested ones too
any other type                its text, as PostgreSQL reads it

Whatever PostgreSQL then makes of a value (a scale, a precision, an order of names) is read back and reported
as held.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from lockstep.canonical import number
from lockstep.rowsets import quoted
from lockstep.systems.sql.columns import Codec, as_json, as_text, from_json

Encode = Callable[[Any], str]
Decode = Callable[[Any], Any]


def _whole(low: int, high: int) -> Encode:
    def encode(value: Any) -> str:
        if isinstance(value, float | Decimal) and value == value // 1:
            value = int(value)
        if not isinstance(value, int):
            raise ValueError("it is no whole number")
        if not low <= value <= high:
            raise ValueError(f"it is not between {low} and {high}")
        return str(int(value))

    return encode


def _numeric(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("it is no number")
    return number(value if isinstance(value, float | Decimal) else Decimal(value)).decode()


def _float(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("it is no number")
    return repr(float(value))


def _bool(value: Any) -> str:
    if value is True or value is False or (isinstance(value, int) and value in (0, 1)):
        return "true" if value else "false"
    raise ValueError("it is neither true nor false")


def _text(value: Any) -> str:
    text = as_text(value)
    if "\0" in text:
        raise ValueError("PostgreSQL's text holds no NUL; a BYTEA column would take it")
    return text


def _char(value: Any) -> str:
    return _text(value).rstrip(" ")


def _json(value: Any) -> str:
    return as_json(value)


def _bytes(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    raise ValueError("it is no bytes")


def _uuid(value: Any) -> str:
    if isinstance(value, UUID | str):
        return str(UUID(str(value)))
    raise ValueError("it is no uuid")


def _date(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    raise ValueError("it is no date")


def _time(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dt.time) and value.tzinfo is None:
        return value.isoformat()
    raise ValueError("it is no time of day")


def _moment(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, dt.datetime):
        raise ValueError("it is no timestamp")
    return (value if value.tzinfo is None else value.astimezone(dt.UTC).replace(tzinfo=None)).isoformat()


def _instant(value: Any) -> str:
    text = _moment(value)
    return text if isinstance(value, str) else text + "+00"


def _interval(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if not isinstance(value, dt.timedelta):
        raise ValueError("it is no span of time")
    return f"{value.days} days {value.seconds}.{value.microseconds:06d} seconds"


_SPAN = re.compile(r"(?:(-?\d+) days?)? ?(?:(-?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?")


def _read_interval(text: str) -> dt.timedelta:
    found = _SPAN.fullmatch(text)
    if found is None or not text:
        raise ValueError("months have no fixed length")
    days, sign, hours, minutes, seconds, fraction = found.groups(default="0")
    clock = dt.timedelta(
        hours=int(hours), minutes=int(minutes), seconds=int(seconds), microseconds=int(fraction.ljust(6, "0"))
    )
    return dt.timedelta(days=int(days)) + (-clock if sign == "-" else clock)


def _read_date(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def _read_instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


class _Kind(NamedTuple):
    """A type as a column of its own, and as the element of an array."""

    encode: Encode
    parse: Callable[[str], Any] | None = None
    read: str = "{}"
    orders: bool = False
    text: bool = False


_AS_TEXT = "{}::pg_catalog.text"
# The type's own form: a cast to text may be another one (an inet then has its netmask).
_OTHER = _Kind(_text, None, "CASE WHEN {} IS NOT NULL THEN pg_catalog.format('%%s', {}) END")
_KINDS: dict[str, _Kind] = {
    "bool": _Kind(_bool, "true".__eq__, orders=True),
    "int2": _Kind(_whole(-(1 << 15), (1 << 15) - 1), int, orders=True),
    "int4": _Kind(_whole(-(1 << 31), (1 << 31) - 1), int, orders=True),
    "int8": _Kind(_whole(-(1 << 63), (1 << 63) - 1), int, orders=True),
    "numeric": _Kind(_numeric, Decimal, orders=True),
    "float4": _Kind(_float, float, "{}::pg_catalog.text::pg_catalog.float8"),
    "float8": _Kind(_float, float),
    "text": _Kind(_text, orders=True, text=True),
    "varchar": _Kind(_text, orders=True, text=True),
    "bpchar": _Kind(_char, None, _AS_TEXT, orders=True, text=True),
    "uuid": _Kind(_uuid, UUID, orders=True),
    "bytea": _Kind(_bytes, lambda text: bytes.fromhex(text.removeprefix("\\x")), orders=True),
    "date": _Kind(_date, _read_date, _AS_TEXT, orders=True),
    "time": _Kind(_time, dt.time.fromisoformat, _AS_TEXT, orders=True),
    "timestamp": _Kind(_moment, dt.datetime.fromisoformat, _AS_TEXT, orders=True),
    "timestamptz": _Kind(_instant, _read_instant, _AS_TEXT, orders=True),
    "interval": _Kind(_interval, _read_interval, _AS_TEXT),
    "json": _Kind(_json, from_json, _AS_TEXT),
    "jsonb": _Kind(_json, from_json, _AS_TEXT),
}
_ROUNDED = ("numeric", "time", "timestamp", "timestamptz")
# The names that people write, where they are not the catalog's.
_WRITTEN = {
    "boolean": "bool",
    "smallint": "int2",
    "integer": "int4",
    "int": "int4",
    "bigint": "int8",
    "decimal": "numeric",
    "real": "float4",
    "double precision": "float8",
    "float": "float8",
    "character varying": "varchar",
    "character": "bpchar",
    "char": "bpchar",
    "time without time zone": "time",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}


def codec(type_: str, label: str, *, cast: str, bytewise: bool = False) -> Codec:
    """How a column holds values. `type_` is the catalog's name of its type, domains resolved, an element's
    with [] behind it; `label` as people write it; `cast` for SQL, without a length; `bytewise`: its
    collation orders texts by their bytes already."""
    element = type_.removesuffix("[]")
    kind = _KINDS.get(element, _OTHER)
    write = "{}::" + cast
    if element != type_:
        return Codec(label, _array(kind), _array_reader(kind), False, False, write, _array_sql(kind))
    orders = kind.orders and not (element in _ROUNDED and "(" in label)  # rounded, it is another key
    text = kind.text and not bytewise
    return Codec(label, kind.encode, _reader(kind), orders, text, write, kind.read)


@cache
def declared(type_: str) -> Codec:
    """How a column that was declared so will hold values."""
    bare = re.sub(r"\s+", " ", re.sub(r"\(.*?\)", " ", type_.lower()))
    bare = re.split(r" (?:not null|null|default|unique|check|collate|primary|references)\b", bare)[0].strip()
    element = bare.removesuffix("[]").strip()
    name = _WRITTEN.get(element, element)
    if name not in _KINDS:
        return Codec(type_, _text, _as_is)
    return codec(name + ("[]" if bare.endswith("[]") else ""), type_, cast=bare)


def is_text(type_: str) -> bool:
    """Whether a declared type is one that a collation orders."""
    return declared(type_).text


def _array(kind: _Kind) -> Encode:
    def inner(value: Any) -> str:
        if isinstance(value, list | tuple):
            return "{" + ",".join(map(inner, value)) + "}"
        return "NULL" if value is None else quoted(kind.encode(value))

    def encode(value: Any) -> str:
        if isinstance(value, str):
            return _text(value)
        if not isinstance(value, list | tuple):
            raise ValueError("it is no list")
        return inner(value)

    return encode


def _array_sql(kind: _Kind) -> str:
    # jsonb keeps every number as it is, but of json texts it would keep one of two equal names
    return "pg_catalog.to_jsonb({})::pg_catalog.text" if kind.encode is not _json else _AS_TEXT


def _array_reader(kind: _Kind) -> Decode:
    def inner(value: Any) -> Any:
        if isinstance(value, list):
            return [inner(one) for one in value]
        return kind.parse(value) if isinstance(value, str) and kind.parse is not None else value

    def decode(cell: Any) -> Any:
        if not isinstance(cell, str):
            return cell
        try:
            return inner(from_json(cell))
        except (ValueError, ArithmeticError, RecursionError):
            return cell

    return decode if kind.encode is not _json else _as_is


def _reader(kind: _Kind) -> Decode:
    parse = kind.parse
    if parse is None:
        return _as_is

    def decode(cell: Any) -> Any:
        if not isinstance(cell, str):
            return cell
        try:
            return parse(cell)
        except (ValueError, ArithmeticError, RecursionError):
            return cell

    return decode


def _as_is(cell: Any) -> Any:
    return cell
