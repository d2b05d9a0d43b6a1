"""Another value of the same type, as little different as can be."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

from lockstep.datatypes.far import FarDate, FarDatetime, FarTime
from lockstep.datatypes.interval import Interval, interval, parts_of


def changed(value: Any) -> Any:
    match value:
        case None:
            return 1
        case bool():
            return not value
        case int():
            return value - 1 if value > 0 else value + 1
        case float() | Decimal() if not math.isfinite(value):
            return type(value)(0)
        case float():
            return math.nextafter(value, 0) if value else 5e-324
        case Decimal():
            return Decimal("1e-1001") if not value else value.scaleb(-1)
        case str():
            return value[:-1] + chr(ord(value[-1]) ^ 1) if value else " "
        case bytes():
            return value + b"\0"
        case UUID():
            return UUID(int=value.int ^ 1)
        case FarTime():
            return dt.time(23, 59, 59, 999_999, value.tzinfo)
        case FarDate():
            return FarDate(-value.place if value.infinite else value.place + (1 if value.place < 0 else -1))
        case FarDatetime():
            place = -value.place if value.infinite else value.place + (1 if value.place < 0 else -1)
            return FarDatetime(place, value.tzinfo is not None)
        case dt.datetime():
            return value + dt.timedelta(microseconds=1 if value.year < 9999 else -1)
        case dt.date():
            return value + dt.timedelta(1)
        case dt.time():
            return value.replace(microsecond=value.microsecond ^ 1)
        case Interval() | dt.timedelta():
            months, days, micros = parts_of(value)
            return interval(months, days, micros ^ 1)
        case dict():
            return {**value, "": "more"}
        case list():
            return [*value, None]
    raise AssertionError(value)
