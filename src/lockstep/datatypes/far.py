"""Dates and times that databases hold and Python's `datetime` does not: infinity, years before 1 or after
9999, 24:00.

They are values of Python's own types, so annotations stay `dt.date` and `dt.datetime`, and they compare as
they should: infinity is later than every moment. A mapping may hand them on, compare them, and ask for their
`text`, `year`, `month`, `day` and `infinite`. Whatever else Python would compute of one (a weekday, a sum,
another zone) it cannot, and raises ValueError: never a wrong answer.

`text` is ISO 8601 with a sign where the year needs one: `+294276-12-31T23:59:59Z`; the year 0 is 1 BC, so
the ides of March are `-0043-03-15`; `infinity`, `-infinity`; `24:00:00`.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any, NoReturn, TypeVar

from lockstep.datatypes.civil import civil, date_text, days_of

Place = int | float
"""Days or microseconds since 0001-01-01; an infinity for infinity."""

DAY = 86_400_000_000
"""Microseconds of a day."""

_MICRO = dt.timedelta(microseconds=1)
_ORIGIN = dt.datetime(1, 1, 1)  # noqa: DTZ001 - the calendar's own zero, in no zone


class Far:
    """What `FarDate`, `FarDatetime` and `FarTime` have in common. `place` orders them among their kind."""

    __slots__ = ()
    place: Place

    @property
    def infinite(self) -> bool:
        """Whether this is no date at all: `infinity` or `-infinity`."""
        return self.place in (math.inf, -math.inf)

    @property
    def text(self) -> str:
        raise NotImplementedError

    def _other(self, other: Any) -> Place | None:
        """The place of another value of this kind, None where the two cannot be compared."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return self._other(other) == self.place

    def __ne__(self, other: object) -> bool:
        return self._other(other) != self.place

    def __lt__(self, other: Any) -> bool:
        place = self._other(other)
        return NotImplemented if place is None else self.place < place

    def __le__(self, other: Any) -> bool:
        place = self._other(other)
        return NotImplemented if place is None else self.place <= place

    def __gt__(self, other: Any) -> bool:
        place = self._other(other)
        return NotImplemented if place is None else self.place > place

    def __ge__(self, other: Any) -> bool:
        place = self._other(other)
        return NotImplemented if place is None else self.place >= place

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.place))

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.text}>"

    def isoformat(self, *_: Any, **__: Any) -> str:
        return self.text

    def __format__(self, form: str) -> str:
        return self._refuse() if "%" in form else format(self.text, form)

    def _civil(self) -> tuple[int, int, int]:
        raise NotImplementedError

    @property
    def year(self) -> int:
        """The year, 0 for 1 BC and negative before."""
        return self._civil()[0]

    @property
    def month(self) -> int:
        return self._civil()[1]

    @property
    def day(self) -> int:
        return self._civil()[2]

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise ValueError(f"{self.text} is beyond what Python can compute with; see its `text` and `infinite`")

    __add__ = __radd__ = __sub__ = __rsub__ = _refuse
    strftime = replace = weekday = isoweekday = isocalendar = toordinal = timetuple = utctimetuple = _refuse
    ctime = date = time = timetz = astimezone = timestamp = _refuse
    hour = minute = second = microsecond = property(_refuse)


_Far = TypeVar("_Far", bound=Far)


class FarDate(Far, dt.date):
    """A date beyond the years 1 to 9999. `FarDate(days)`: days since 0001-01-01, or ±math.inf."""

    place: Place

    def __new__(cls, place: Place) -> FarDate:
        self = dt.date.__new__(cls, *((9999, 12, 31) if place > 0 else (1, 1, 1)))
        self.place = place
        return self

    def __reduce_ex__(self, _: Any) -> Any:
        return FarDate, (self.place,)

    def _other(self, other: Any) -> Place | None:
        if isinstance(other, dt.datetime) or not isinstance(other, dt.date):
            return None
        return other.place if isinstance(other, FarDate) else other.toordinal() - 1

    def _civil(self) -> tuple[int, int, int]:
        return civil(self.place) if not self.infinite else self._refuse()

    @property
    def text(self) -> str:
        return _infinity(self.place) or date_text(self.place)


class FarDatetime(Far, dt.datetime):
    """A moment beyond the years 1 to 9999, with a zone (always UTC) or without one.

    `FarDatetime(micros, aware)`: microseconds since 0001-01-01 00:00, or ±math.inf.
    """

    place: Place

    def __new__(cls, place: Place, aware: bool) -> FarDatetime:
        edge = (9999, 12, 31, 23, 59, 59) if place > 0 else (1, 1, 1, 0, 0, 0)
        self = dt.datetime.__new__(cls, *edge, 0, dt.UTC if aware else None)
        self.place = place
        return self

    def __reduce_ex__(self, _: Any) -> Any:
        return FarDatetime, (self.place, self.tzinfo is not None)

    def _other(self, other: Any) -> Place | None:
        if not isinstance(other, dt.datetime) or (other.tzinfo is None) != (self.tzinfo is None):
            return None
        return other.place if isinstance(other, FarDatetime) else micros_of(other)

    def _civil(self) -> tuple[int, int, int]:
        return civil(self.place // DAY) if not self.infinite else self._refuse()

    @property
    def text(self) -> str:
        if self.infinite:
            return _infinity(self.place)
        days, micros = divmod(int(self.place), DAY)
        clock = (_ORIGIN + micros * _MICRO).time().isoformat()
        return f"{date_text(days)}T{clock}{'Z' if self.tzinfo is not None else ''}"


class FarTime(Far, dt.time):
    """24:00:00, the end of a day; with a zone or without one."""

    place: Place

    def __new__(cls, tzinfo: dt.tzinfo | None = None) -> FarTime:
        self = dt.time.__new__(cls, 23, 59, 59, 999_999, tzinfo)
        offset = self.utcoffset()
        self.place = DAY - (offset // _MICRO if offset is not None else 0)
        return self

    def __reduce_ex__(self, _: Any) -> Any:
        return FarTime, (self.tzinfo,)

    def _other(self, other: Any) -> Place | None:
        if not isinstance(other, dt.time) or (other.tzinfo is None) != (self.tzinfo is None):
            return None
        if isinstance(other, FarTime):
            return other.place
        offset = other.utcoffset()
        return clock_micros(other) - (offset // _MICRO if offset is not None else 0)

    def _civil(self) -> tuple[int, int, int]:
        raise AttributeError("a time of day has no date")

    @property
    def text(self) -> str:
        return "24:00:00" + zone_text(self.utcoffset())


def date_at(place: Place) -> dt.date:
    """The date so many days after 0001-01-01."""
    return dt.date.fromordinal(int(place) + 1) if 0 <= place < 3_652_059 else FarDate(place)


def datetime_at(place: Place, aware: bool) -> dt.datetime:
    """The moment so many microseconds after 0001-01-01."""
    if not 0 <= place < 3_652_059 * DAY:
        return FarDatetime(place, aware)
    moment = _ORIGIN + int(place) * _MICRO
    return moment.replace(tzinfo=dt.UTC) if aware else moment


def read_date(text: str) -> FarDate:
    """A far date of its `text`. Raises ValueError for anything else, other spellings included."""
    found = _TEXT(text)
    if found is None or found["clock"]:
        raise ValueError(f"{text!r} is no date")
    return _spelt(FarDate(_place(found, text)), text)


def read_datetime(text: str) -> FarDatetime:
    """A far moment of its `text`; infinity is one with a zone. Raises ValueError."""
    found = _TEXT(text)
    if found is None or not (found["clock"] or found["endless"]):
        raise ValueError(f"{text!r} is no moment")
    if found["endless"]:
        return FarDatetime(_place(found, text), True)
    clock = clock_micros(dt.time.fromisoformat(found["clock"]))
    return _spelt(FarDatetime(_place(found, text) * DAY + clock, bool(found["zone"])), text)


_TEXT = re.compile(
    r"(?P<endless>-?infinity)|"
    r"(?P<year>[+-]?\d{4,9})-(?P<month>\d\d)-(?P<day>\d\d)(?:T(?P<clock>[\d:.]{8,15})(?P<zone>Z)?)?",
    re.ASCII,
).fullmatch


def _place(found: re.Match[str], text: str) -> Place:
    if found["endless"]:
        return -math.inf if text[0] == "-" else math.inf
    return days_of(int(found["year"]), int(found["month"]), int(found["day"]))


def _spelt(value: _Far, text: str) -> _Far:
    if value.text != text:
        raise ValueError(f"{text!r} is not spelt {value.text}")
    return value


def micros_of(moment: dt.datetime) -> Place:
    """Microseconds since 0001-01-01 00:00, in UTC where the moment has a zone."""
    if isinstance(moment, FarDatetime):
        return moment.place
    offset = moment.utcoffset()
    local = (moment.replace(tzinfo=None) - _ORIGIN) // _MICRO
    return local if offset is None else local - offset // _MICRO


def clock_micros(value: dt.time) -> int:
    """Microseconds since midnight, whatever the zone; 24:00 is a whole day."""
    if isinstance(value, FarTime):
        return DAY
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def clock_at(micros: int, zone: dt.tzinfo | None) -> dt.time:
    """The time of day so many microseconds after midnight."""
    return (_ORIGIN + micros * _MICRO).time().replace(tzinfo=zone)


def zone_text(offset: dt.timedelta | None) -> str:
    """`Z`, `+02:00`, `-00:01:15`; nothing where there is no zone."""
    if offset is None:
        return ""
    if not offset:
        return "Z"
    seconds = int(abs(offset).total_seconds())
    text = f"{'-' if offset < dt.timedelta() else '+'}{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    return f"{text}:{seconds % 60:02d}" if seconds % 60 else text


def time_text(value: dt.time) -> str:
    """A time of day with its zone, if it has one."""
    if isinstance(value, Far):
        return value.text
    return value.replace(tzinfo=None).isoformat() + zone_text(value.utcoffset())


def _infinity(place: Place) -> str:
    return {math.inf: "infinity", -math.inf: "-infinity"}.get(place, "")
