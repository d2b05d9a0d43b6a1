"""What a parameter's text is for a value of any Python type.

A `bind` answers None where no value of its type equals the given one: a text where a number is, a number out
of range. Such values are left out of a read, as they equal nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from lockstep.datatypes.far import FarDate, FarDatetime, time_text
from lockstep.datatypes.interval import parts_of
from lockstep.forms import canonical

Bind = Callable[[Any], str | None]


def of_bool(value: Any) -> str | None:
    return ("t" if value else "f") if type(value) is bool else None


def whole(low: int, high: int) -> Bind:
    def bind(value: Any) -> str | None:
        if type(value) is not int:
            if type(value) not in (float, Decimal) or value != value or value in (_INF, -_INF):
                return None
            exact = int(value)
            if exact != value:
                return None
            value = exact
        return str(value) if low <= value <= high else None

    return bind


_INF = Decimal("Infinity")


def numeric(value: Any) -> str | None:
    kind = type(value)
    if kind is int:
        return canonical.number(Decimal(value)).decode()  # Python's own has a limit of 4,300 digits
    return canonical.number(value).decode() if kind is Decimal or kind is float else None


def double(value: Any) -> str | None:
    if type(value) not in (int, float, Decimal):
        return None
    try:
        near = float(value)
    except OverflowError:
        return None
    if type(value) is not float and near == near and Decimal(repr(near)) != value:
        return None
    return repr(near)


def single(value: Any) -> str | None:
    if type(value) not in (int, float, Decimal):
        return None
    try:
        near = float(value)
    except OverflowError:
        return None
    return repr(near) if near in (_INF, -_INF) or not abs(near) > 3.4028235e38 else None


def text(value: Any) -> str | None:
    return value if type(value) is str and "\0" not in value and _encodable(value) else None


def _encodable(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in value)


def name(value: Any) -> str | None:
    # A longer one would be cut by the server, and then equal another.
    return value if text(value) is not None and len(value.encode()) < 64 else None


def char(value: Any) -> str | None:
    found = text(value)
    return None if found is None else found.rstrip(" ")


def of_uuid(value: Any) -> str | None:
    return str(value) if type(value) is UUID else None


def of_bytes(value: Any) -> str | None:
    return "\\x" + bytes(value).hex() if isinstance(value, bytes | bytearray | memoryview) else None


def nothing(value: Any) -> str | None:
    return None


# Dates and times: as the server takes them, BC and infinity too.

_FIRST, _LAST_DATE, _LAST_TIMESTAMP = -4712, 5_874_897, 294_276  # years; the server refuses what is beyond


def date(value: Any) -> str | None:
    if isinstance(value, FarDate):
        return _far(value, _LAST_DATE)
    return value.isoformat() if type(value) is dt.date else None


def timestamp(zoned: bool) -> Bind:
    """For `timestamptz`, if `zoned`, or for `timestamp`."""

    def bind(value: Any) -> str | None:
        if not isinstance(value, dt.datetime) or (value.tzinfo is not None) is not zoned:
            return None
        return _far(value, _LAST_TIMESTAMP) if isinstance(value, FarDatetime) else value.isoformat()

    return bind


def time(zoned: bool) -> Bind:
    """For `timetz`, if `zoned`, or for `time`."""

    def bind(value: Any) -> str | None:
        fits = isinstance(value, dt.time) and (value.tzinfo is not None) is zoned
        return time_text(value) if fits else None

    return bind


def interval(value: Any) -> str | None:
    if not isinstance(value, dt.timedelta):
        return None
    if getattr(value, "infinite", False):
        return str(value)
    months, days, micros = parts_of(value)
    if abs(months) >= 1 << 31 or abs(days) >= 1 << 31 or abs(micros) >= 1 << 63:
        return None
    return f"{months} mons {days} days {micros} microseconds"


def _far(value: FarDate | FarDatetime, last: int) -> str | None:
    if value.infinite:
        return value.text
    year = value.year
    if not _FIRST <= year <= last:
        return None
    rest = value.text[value.text.index("-", 1) :].replace("T", " ")
    return f"{year:04d}{rest}" if year > 0 else f"{1 - year:04d}{rest} BC"
