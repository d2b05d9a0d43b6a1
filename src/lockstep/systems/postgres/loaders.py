"""How psycopg makes Python values of what the server sends, where its own way is not exact.

What has no exact Python value raises psycopg's DataError, as its own loaders do for what they cannot hold;
the reader then says which column of which table it was.
"""

from __future__ import annotations

import datetime as dt
import math
import struct
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import psycopg
from psycopg.adapt import AdaptersMap, Buffer, Loader
from psycopg.pq import Format

from lockstep.datatypes.far import DAY, FarTime, clock_at, date_at, datetime_at
from lockstep.datatypes.interval import interval

_json: Callable[[Buffer], Any] = msgspec.json.Decoder(float_hook=Decimal).decode
_interval = struct.Struct("!qii")
_day, _micro, _zoned = struct.Struct("!i"), struct.Struct("!q"), struct.Struct("!qi")


class _Json(Loader):
    """Whole numbers as int, others as Decimal. Of a name that is there twice the last counts."""

    format = Format.BINARY

    def load(self, data: Buffer) -> Any:
        try:
            return _json(data)
        except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError) as error:
            raise psycopg.DataError(f"JSON that cannot be kept exactly: {error}") from error


class _Jsonb(_Json):
    def load(self, data: Buffer) -> Any:
        return super().load(bytes(data)[1:])  # the first byte is the version of the format


class _Interval(Loader):
    """A timedelta, or an Interval where that says more."""

    format = Format.BINARY

    def load(self, data: Buffer) -> dt.timedelta:
        micros, days, months = _interval.unpack(data)
        return interval(months, days, micros)


# What the driver's own loaders raise for: loaded so only where they did.

_SINCE_YEAR_1 = 730_119  # days to 2000-01-01, where the server counts from
_LAST_DAY, _FIRST_DAY = (1 << 31) - 1, -(1 << 31)
_LAST_MICRO, _FIRST_MICRO = (1 << 63) - 1, -(1 << 63)


class _Date(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> dt.date:
        (days,) = _day.unpack(data)
        ends = {_LAST_DAY: math.inf, _FIRST_DAY: -math.inf}
        return date_at(ends.get(days, days + _SINCE_YEAR_1))


class _Timestamp(Loader):
    format = Format.BINARY
    aware = False

    def load(self, data: Buffer) -> dt.datetime:
        (micros,) = _micro.unpack(data)
        ends = {_LAST_MICRO: math.inf, _FIRST_MICRO: -math.inf}
        return datetime_at(ends.get(micros, micros + _SINCE_YEAR_1 * DAY), self.aware)


class _Timestamptz(_Timestamp):
    aware = True


class _Time(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> dt.time:
        (micros,) = _micro.unpack(data)
        return FarTime() if micros == DAY else clock_at(micros, None)


class _Timetz(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> dt.time:
        micros, west = _zoned.unpack(data)
        zone = dt.timezone(dt.timedelta(seconds=-west)) if west else dt.UTC
        return FarTime(zone) if micros == DAY else clock_at(micros, zone)


@cache
def adapters() -> psycopg.abc.AdaptContext:
    """psycopg's own adapters with ours in front."""
    context = _Context(psycopg.adapters)
    context.adapters.register_loader("json", _Json)
    context.adapters.register_loader("jsonb", _Jsonb)
    context.adapters.register_loader("interval", _Interval)
    context.adapters.register_loader("timetz", _Timetz)
    return context


@cache
def careful() -> psycopg.abc.AdaptContext:
    """The same, with dates and times that Python's calendar does not have."""
    context = _Context(adapters().adapters)
    with_far(context.adapters)
    return context


def with_far(known: AdaptersMap) -> None:
    """Lets a connection's or a cursor's adapters load those."""
    known.register_loader("date", _Date)
    known.register_loader("timestamp", _Timestamp)
    known.register_loader("timestamptz", _Timestamptz)
    known.register_loader("time", _Time)


class _Context:
    connection = None

    def __init__(self, of: AdaptersMap) -> None:
        self.adapters = AdaptersMap(of)
