"""The one table of types: what a column's values are in Python, in SQL and in the log.

type                          Python         remarks
bool                          bool
int2, int4, int8              int
float4, float8                float          float4 by its shortest text: 0.1 is 0.1
numeric                       Decimal        never through a float; NaN and infinities too
text, varchar, name, enums    str
char(n)                       str            without the blanks at its end, which mean nothing to PostgreSQL
uuid                          UUID
date, time                    dt.date, dt.time
timestamp                     dt.datetime    without zone
timestamptz                   dt.datetime    in UTC
interval                      dt.timedelta   only without months
json, jsonb                   Any            whole numbers int, others Decimal
bytea                         bytes
arrays of these               list[…]        of one dimension, counted from 1; elements may be None
domains over these            as their base

Any other type has no exact form yet. Values that Python cannot hold (infinity, years before 1 or after
9999, 24:00) raise where they are met.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.postgres import types as registry

from lockstep import canonical

Bind = Callable[[Any], str | None]


@dataclass(frozen=True)
class Type:
    """A type of PostgreSQL, domains resolved.

    `parse` makes the value of the text that the log has; None where it cannot be part of a key, and so is
    never needed. `bind` makes a parameter's text of a value of any type; None: no value of this type equals
    it. `read` and `sum` are SQL with {} for the column: how it is selected, and its part in a row's hash.
    `by_value`: where its order in an index is the order of key bytes: always, never, or (None) if its
    collation compares bytes.
    """

    name: str
    oid: int
    python: str
    parse: Callable[[str], Any] | None
    bind: Bind
    param: str
    read: str = "{}"
    sum: str = "{}"
    by_value: bool | None = True
    quoted: bool = False
    enum: str | None = None
    array: bool = False

    @property
    def keyable(self) -> bool:
        """Whether values can be part of a key."""
        return self.parse is not None


def _bool(value: Any) -> str | None:
    return ("t" if value else "f") if type(value) is bool else None


def _parse_bool(text: str) -> bool:
    return text == "t"


def _whole(low: int, high: int) -> Bind:
    def bind(value: Any) -> str | None:
        if type(value) is not int:
            if type(value) not in (float, Decimal) or value != value or value in (_INF, -_INF):
                return None
            whole = int(value)
            if whole != value:
                return None
            value = whole
        return str(value) if low <= value <= high else None

    return bind


_INF = Decimal("Infinity")


def _numeric(value: Any) -> str | None:
    kind = type(value)
    if kind is int:
        return str(value)
    return canonical.number(value).decode() if kind is Decimal or kind is float else None


def _double(value: Any) -> str | None:
    if type(value) not in (int, float, Decimal):
        return None
    try:
        near = float(value)
    except OverflowError:
        return None
    if type(value) is not float and near == near and Decimal(repr(near)) != value:
        return None
    return repr(near)


def _single(value: Any) -> str | None:
    if type(value) not in (int, float, Decimal):
        return None
    try:
        near = float(value)
    except OverflowError:
        return None
    return repr(near) if near in (_INF, -_INF) or not abs(near) > 3.4028235e38 else None


def _text(value: Any) -> str | None:
    return value if type(value) is str and "\0" not in value and _encodable(value) else None


def _encodable(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text)


def _name(value: Any) -> str | None:
    # A longer one would be cut by the server, and then equal another.
    return value if _text(value) is not None and len(value.encode()) < 64 else None


def _char(value: Any) -> str | None:
    text = _text(value)
    return None if text is None else text.rstrip(" ")


def _only(kind: type, zoned: bool | None = None) -> Bind:
    def bind(value: Any) -> str | None:
        if type(value) is not kind:
            return None
        other: Any = value
        if zoned is not None and (other.tzinfo is not None) is not zoned:
            return None
        return str(other.isoformat())

    return bind


def _uuid(value: Any) -> str | None:
    return str(value) if type(value) is UUID else None


def _bytes(value: Any) -> str | None:
    return "\\x" + bytes(value).hex() if isinstance(value, bytes | bytearray | memoryview) else None


def _nothing(value: Any) -> str | None:
    return None


def _parse_bytes(text: str) -> bytes:
    if not text.startswith("\\x"):
        raise ValueError("bytea in another form than hex")
    return bytes.fromhex(text[2:])


def _parse_time(text: str) -> dt.time:
    if text.startswith("24"):
        raise ValueError("24:00 is no time of a day")
    return dt.time.fromisoformat(text)


def _parse_char(text: str) -> str:
    return text.rstrip(" ")


def _sent(function: str) -> str:
    return "encode(" + function + "({}), 'hex')"


def _builtin() -> dict[str, Type]:
    def make(name: str, python: str, parse: Any, bind: Bind, **more: Any) -> Type:
        return Type(name, registry[name].oid, python, parse, bind, name, **more)

    text = {"by_value": None, "quoted": True}
    listed = [
        make("bool", "bool", _parse_bool, _bool),
        make("int2", "int", int, _whole(-(1 << 15), (1 << 15) - 1)),
        make("int4", "int", int, _whole(-(1 << 31), (1 << 31) - 1)),
        make("int8", "int", int, _whole(-(1 << 63), (1 << 63) - 1)),
        make("numeric", "Decimal", Decimal, _numeric),
        make("float4", "float", float, _single, read="{}::text::float8", sum=_sent("float4send")),
        make("float8", "float", float, _double, sum=_sent("float8send")),
        make("text", "str", str, _text, **text),
        replace(make("varchar", "str", str, _text, **text), param="text"),
        make("name", "str", str, _name, read="{}::text", **text),
        make("bpchar", "str", _parse_char, _char, read="{}::text", sum="{}::text", **text),
        make("uuid", "UUID", UUID, _uuid),
        make("date", "dt.date", dt.date.fromisoformat, _only(dt.date), sum=_sent("date_send")),
        make("time", "dt.time", _parse_time, _only(dt.time, False), sum=_sent("time_send")),
        make(
            "timestamp",
            "dt.datetime",
            dt.datetime.fromisoformat,
            _only(dt.datetime, False),
            sum=_sent("timestamp_send"),
        ),
        make(
            "timestamptz",
            "dt.datetime",
            dt.datetime.fromisoformat,
            _only(dt.datetime, True),
            sum=_sent("timestamptz_send"),
        ),
        make("interval", "dt.timedelta", None, _nothing, sum=_sent("interval_send")),
        make("json", "Any", None, _nothing),
        make("jsonb", "Any", None, _nothing),
        make("bytea", "bytes", _parse_bytes, _bytes, sum="encode({}, 'hex')", quoted=True),
    ]
    return {type_.name: type_ for type_ in listed}


BUILTIN = _builtin()
BY_OID = {type_.oid: type_ for type_ in BUILTIN.values()}


def enum(oid: int, name: str) -> Type:
    """An enum: its labels, which order by their place and not as texts do. `name` is quoted for SQL."""
    return Type(name, oid, "str", str, _text, "text", read="{}::text", by_value=False, quoted=True, enum=name)


def array(of: Type, oid: int, *, of_domain: bool = False) -> Type:
    """An array of a type. Settings have a part in the text of those whose elements are sent in binary."""
    name = "text" if of.read == "{}::text" else of.name
    read = "{}"
    if of.name == "float4":
        read = "{}::text[]::float8[]"
    elif of_domain or name != of.name:
        read = "{}::" + name + "[]"
    plain = of.sum == "{}" or of.name == "bpchar"
    return Type(
        f"{of.name}[]",
        oid,
        f"list[{of.python}]",
        None,
        _nothing,
        f"{of.param}[]",
        read=read,
        sum="{}" if plain else _sent("array_send").replace("{}", "{}::" + of.name + "[]"),
        by_value=False,
        array=True,
    )


def builtin_arrays() -> dict[int, Type]:
    """The arrays of builtin types, by oid."""
    return {(oid := registry[of.name].array_oid): array(of, oid) for of in BUILTIN.values()}


def array_literal(texts: list[str], quoted: bool) -> str:
    """An array parameter of texts that `bind` made."""
    if not quoted:
        return "{" + ",".join(texts) + "}"
    return '{"' + '","'.join(text.replace("\\", "\\\\").replace('"', '\\"') for text in texts) + '"}'
