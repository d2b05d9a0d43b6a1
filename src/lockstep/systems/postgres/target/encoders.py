"""Values as the server takes them, as texts in its own input form, by the kind of column they go into.

An encoder raises ValueError with the reason where a column of its kind cannot take a value.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from lockstep.datatypes.far import FarDatetime, read_date, read_datetime
from lockstep.forms.canonical import as_json, number
from lockstep.rowsets import quoted
from lockstep.systems.postgres import binds
from lockstep.systems.sql.columns import as_text

Encode = Callable[[Any], str]


def whole(low: int, high: int) -> Encode:
    def encode(value: Any) -> str:
        if isinstance(value, float | Decimal) and value == value // 1:
            value = int(value)
        if not isinstance(value, int):
            raise ValueError("it is no whole number")
        if not low <= value <= high:
            raise ValueError(f"it is not between {low} and {high}")
        return str(int(value))

    return encode


def numeric(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("it is no number")
    return number(value if isinstance(value, float | Decimal) else Decimal(value)).decode()


def floating(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("it is no number")
    return repr(float(value))


def boolean(value: Any) -> str:
    if value is True or value is False or (isinstance(value, int) and value in (0, 1)):
        return "true" if value else "false"
    raise ValueError("it is neither true nor false")


def text(value: Any) -> str:
    found = as_text(value)
    if "\0" in found:
        raise ValueError("PostgreSQL's text holds no NUL; a BYTEA column would take it")
    return found


def char(value: Any) -> str:
    return text(value).rstrip(" ")


def json(value: Any) -> str:
    return as_json(value)


def blob(value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    raise ValueError("it is no bytes")


def uuid(value: Any) -> str:
    if isinstance(value, UUID | str):
        return str(UUID(str(value)))
    raise ValueError("it is no uuid")


def date(value: Any) -> str:
    return _bound(binds.date, value, read_date, "it is no date")


def time(value: Any) -> str:
    return _bound(binds.time(False), value, None, "it is no time of day")


def timetz(value: Any) -> str:
    return _bound(binds.time(True), value, None, "it is no time with a zone")


def moment(value: Any) -> str:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        if isinstance(value, FarDatetime):
            value = FarDatetime(value.place, False)
        else:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
    return _bound(binds.timestamp(False), value, read_datetime, "it is no timestamp")


def instant(value: Any) -> str:
    if isinstance(value, dt.datetime) and value.tzinfo is None:
        if isinstance(value, FarDatetime):
            value = FarDatetime(value.place, True)
        else:
            value = value.replace(tzinfo=dt.UTC)
    return _bound(binds.timestamp(True), value, read_datetime, "it is no timestamp")


def interval(value: Any) -> str:
    return _bound(binds.interval, value, None, "it is no span of time")


def _bound(bind: binds.Bind, value: Any, far: Callable[[str], Any] | None, wrong: str) -> str:
    """A value as the server takes it; a text as it is, unless it says something beyond Python's calendar."""
    if isinstance(value, str):
        if far is None:
            return text(value)
        try:
            value = far(value)
        except ValueError:
            return text(value)
        if isinstance(value, FarDatetime):
            bind = binds.timestamp(value.tzinfo is not None)
    found = bind(value)
    if found is None:
        raise ValueError(wrong)
    return found


def span(of: Encode) -> Encode:
    """A range of its parts, `gte` and `lt` and so on; a text as it is."""

    def encode(value: Any) -> str:
        if isinstance(value, str):
            return text(value)
        if not isinstance(value, dict) or not value.keys() <= {"gte", "gt", "lte", "lt", "empty"}:
            raise ValueError("it is no range: {gte, gt, lte, lt}, or {empty: true}")
        if "empty" in value:
            return "empty"
        low, high = value.get("gte", value.get("gt")), value.get("lte", value.get("lt"))
        lower, upper = ("" if end is None else quoted(of(end)) for end in (low, high))
        return f"{'[' if 'gte' in value else '('}{lower},{upper}{']' if 'lte' in value else ')'}"

    return encode


def spans(of: Encode) -> Encode:
    """A multirange: a list of ranges."""
    one = span(of)

    def encode(value: Any) -> str:
        if isinstance(value, str):
            return text(value)
        if not isinstance(value, list | tuple):
            raise ValueError("it is no list of ranges")
        return "{" + ",".join(map(one, value)) + "}"

    return encode
