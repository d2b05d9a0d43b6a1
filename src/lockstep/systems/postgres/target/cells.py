"""How the columns of a target hold values: every cell goes in as text, in PostgreSQL's own input form.

type                          takes                                    remarks
bool                          true, false, 0, 1
int2, int4, int8              whole numbers
numeric                       numbers, NaN and infinities too          exact; rounded to a declared scale
float4, float8                numbers                                  what a double makes of them
text, varchar, char(n)        everything, in canonical form            char(n): blanks at its end are lost
uuid, date, time, timetz      their values, or their texts             what is beyond Python's calendar too
timestamp, timestamptz        the same                                 of the other kind: in UTC
interval                      spans of time, with months too
ranges, multiranges           `{gte, lt}`, lists of them               [1,5] of integers is [1,6)
json, jsonb                   everything
bytea                         bytes
arrays of these               lists, nested ones too
any other type                its text, as PostgreSQL reads it

Whatever PostgreSQL then makes of a value (a scale, a precision, an order of names) is read back and reported
as held.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from lockstep.rowsets import quoted
from lockstep.systems.postgres import texts
from lockstep.systems.postgres.target import encoders, keybytes
from lockstep.systems.postgres.target.encoders import Encode
from lockstep.systems.sql.columns import Codec, from_json

Decode = Callable[[Any], Any]


class _Kind(NamedTuple):
    """A type as a column of its own, and as the element of an array."""

    encode: Encode
    parse: Callable[[str], Any] | None = None
    read: str = "{}"
    orders: bool = False
    text: bool = False
    key: str | None = None
    own: type | None = None


_AS_TEXT = "{}::pg_catalog.text"
# The type's own form: a cast to text may be another one (an inet then has its netmask).
_OTHER = _Kind(encoders.text, None, "CASE WHEN {} IS NOT NULL THEN pg_catalog.format('%%s', {}) END")
_KINDS: dict[str, _Kind] = {
    "bool": _Kind(encoders.boolean, "true".__eq__, orders=True),
    "int2": _Kind(encoders.whole(-(1 << 15), (1 << 15) - 1), int, orders=True, key=keybytes.WHOLE, own=int),
    "int4": _Kind(encoders.whole(-(1 << 31), (1 << 31) - 1), int, orders=True, key=keybytes.WHOLE, own=int),
    "int8": _Kind(encoders.whole(-(1 << 63), (1 << 63) - 1), int, orders=True, key=keybytes.WHOLE, own=int),
    "numeric": _Kind(encoders.numeric, Decimal, orders=True),
    "float4": _Kind(encoders.floating, float, "{}::pg_catalog.text::pg_catalog.float8"),
    "float8": _Kind(encoders.floating, float),
    "text": _Kind(encoders.text, orders=True, text=True, key=keybytes.TEXT, own=str),
    "varchar": _Kind(encoders.text, orders=True, text=True, key=keybytes.TEXT, own=str),
    "bpchar": _Kind(encoders.char, texts.char, _AS_TEXT, orders=True, text=True),
    "uuid": _Kind(encoders.uuid, UUID, orders=True, key=keybytes.UUID, own=UUID),
    "bytea": _Kind(encoders.blob, lambda text: bytes.fromhex(text.removeprefix("\\x")), orders=True),
    "date": _Kind(encoders.date, texts.date, _AS_TEXT, orders=True),
    "time": _Kind(encoders.time, texts.time, _AS_TEXT, orders=True),
    "timetz": _Kind(encoders.timetz, texts.timetz, _AS_TEXT, orders=True),
    "timestamp": _Kind(encoders.moment, texts.timestamp, _AS_TEXT, orders=True),
    "timestamptz": _Kind(encoders.instant, texts.timestamptz, _AS_TEXT, orders=True),
    "interval": _Kind(encoders.interval, texts.interval, _AS_TEXT),
    "json": _Kind(encoders.json, from_json, _AS_TEXT),
    "jsonb": _Kind(encoders.json, from_json, _AS_TEXT),
}
_BOUNDS = {
    "int4": _KINDS["int4"],
    "int8": _KINDS["int8"],
    "num": _KINDS["numeric"],
    "date": _KINDS["date"],
    "ts": _KINDS["timestamp"],
    "tstz": _KINDS["timestamptz"],
}
for _name, _kind in _BOUNDS.items():
    assert _kind.parse is not None
    _KINDS[f"{_name}range"] = _Kind(encoders.span(_kind.encode), texts.span(_kind.parse), _AS_TEXT)
    _KINDS[f"{_name}multirange"] = _Kind(encoders.spans(_kind.encode), texts.spans(_kind.parse), _AS_TEXT)
_ROUNDED = ("numeric", "time", "timetz", "timestamp", "timestamptz")
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
    "time with time zone": "timetz",
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
    return Codec(label, kind.encode, _reader(kind), orders, text, write, kind.read, kind.key, kind.own)


@cache
def declared(type_: str) -> Codec:
    """How a column that was declared so will hold values."""
    bare = re.sub(r"\s+", " ", re.sub(r"\(.*?\)", " ", type_.lower()))
    bare = re.split(r" (?:not null|null|default|unique|check|collate|primary|references)\b", bare)[0].strip()
    element = bare.removesuffix("[]").strip()
    name = _WRITTEN.get(element, element)
    if name not in _KINDS:
        return Codec(type_, encoders.text, _as_is)
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
            return encoders.text(value)
        if not isinstance(value, list | tuple):
            raise ValueError("it is no list")
        return inner(value)

    return encode


def _array_sql(kind: _Kind) -> str:
    # jsonb keeps every number as it is, but of json texts it would keep one of two equal names
    return "pg_catalog.to_jsonb({})::pg_catalog.text" if kind.encode is not encoders.json else _AS_TEXT


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

    if kind.encode is encoders.json:
        return _reader(_Kind(encoders.json, texts.array(from_json)))
    return decode


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
