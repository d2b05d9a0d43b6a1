"""Intervals as databases hold them: months, days and microseconds, none of which is a number of another.

A month has no fixed length, a day is not always 24 hours, and each part has a sign of its own. What Python's
`timedelta` says as well is one: `3 days 04:05:06`. Everything else is an `Interval`, which is a `timedelta`
too, so that annotations stay `dt.timedelta`. One with a fixed length (`36:00:00`) computes as that length;
one without refuses to (ValueError), and has its `months`, `parts` and `text`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from lockstep.datatypes.far import DAY

_MOST_DAYS = 999_999_999  # of Python
_LONGEST = _MOST_DAYS, 86_399, 999_999
_ENDLESS = (1 << 31) - 1, (1 << 31) - 1, (1 << 63) - 1
_MINUS_ENDLESS = -(1 << 31), -(1 << 31), -(1 << 63)


class Interval(dt.timedelta):
    """`Interval(months, days, microseconds)`; `Interval.endless()` is infinity."""

    parts: tuple[int, int, int]

    def __new__(cls, months: int = 0, days: int = 0, microseconds: int = 0) -> Interval:
        length = days * DAY + microseconds
        fixed = months == 0 and abs(length) < _MOST_DAYS * DAY
        # Without a fixed length it is the longest there is: a moment plus it overflows.
        self = dt.timedelta.__new__(cls, 0, 0, length) if fixed else dt.timedelta.__new__(cls, *_LONGEST)
        self.parts = months, days, microseconds
        self._fixed = fixed
        return self

    _fixed: bool

    @classmethod
    def endless(cls, sign: int = 1) -> Interval:
        """infinity, or -infinity."""
        return cls(*(_ENDLESS if sign > 0 else _MINUS_ENDLESS))

    @property
    def infinite(self) -> bool:
        return self.parts in (_ENDLESS, _MINUS_ENDLESS)

    @property
    def months(self) -> int:
        return self.parts[0]

    @property
    def text(self) -> str:
        """ISO 8601 in months, days and seconds, each with its sign: `P14M3DT14706.78S`, `P1DT-3600S`."""
        if self.infinite:
            return "infinity" if self.parts == _ENDLESS else "-infinity"
        months, days, micros = self.parts
        seconds = f"{abs(micros) // 1_000_000}.{abs(micros) % 1_000_000:06d}".rstrip("0").rstrip(".")
        return f"P{f'{months}M' if months else ''}{days}DT{'-' if micros < 0 else ''}{seconds}S"

    def __reduce__(self) -> Any:
        return Interval, self.parts

    def __str__(self) -> str:
        return self.text

    def __format__(self, form: str) -> str:
        return format(self.text, form)

    def __repr__(self) -> str:
        return f"<Interval {self.text}>"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Interval) and not (self._fixed and other._fixed):
            return self.parts == other.parts
        return self._fixed and isinstance(other, dt.timedelta) and dt.timedelta.__eq__(self, other)

    def __hash__(self) -> int:
        return dt.timedelta.__hash__(self) if self._fixed else hash(self.parts)

    def __getattribute__(self, name: str) -> Any:
        if name in _COMPUTED and not self._fixed:
            raise ValueError(f"{self.text} has no fixed length; see its `months`, `parts` and `text`")
        return super().__getattribute__(name)


_COMPUTED = frozenset({"days", "seconds", "microseconds", "total_seconds"})


def _guarded(name: str) -> Any:
    computed = getattr(dt.timedelta, name)

    def compute(self: Interval, *other: Any) -> Any:
        for one in (self, *other):
            if isinstance(one, Interval) and not one._fixed:
                raise ValueError(f"{one.text} has no fixed length; see its `months`, `parts` and `text`")
        return computed(self, *other)

    return compute


for _name in (
    *("lt", "le", "gt", "ge", "add", "radd", "sub", "rsub", "mul", "rmul", "neg", "abs"),
    *("truediv", "floordiv", "mod", "divmod", "bool"),
):
    setattr(Interval, f"__{_name}__", _guarded(f"__{_name}__"))


def duration(value: dt.timedelta) -> str:
    """ISO 8601 in whole days and seconds, `P3DT7.5S`; see `Interval.text` for what is no timedelta alone."""
    if isinstance(value, Interval):
        return value.text
    if value < dt.timedelta():
        return "-" + duration(-value)
    seconds = f"{value.seconds}.{value.microseconds:06d}".rstrip("0").rstrip(".")
    return f"P{value.days}DT{seconds}S"


def parts_of(value: dt.timedelta) -> tuple[int, int, int]:
    """(months, days, microseconds); days and microseconds of a timedelta have one sign."""
    if isinstance(value, Interval):
        return value.parts
    micros = value // dt.timedelta(microseconds=1)
    days, rest = divmod(abs(micros), DAY)
    return (0, days, rest) if micros >= 0 else (0, -days, -rest)


def interval(months: int, days: int, microseconds: int) -> dt.timedelta:
    """The plainest value of these parts: a timedelta where one says all of it."""
    same_sign = days * microseconds >= 0 and abs(microseconds) < DAY
    if months == 0 and same_sign and abs(days) < _MOST_DAYS:
        return dt.timedelta(days=days, microseconds=microseconds)
    return Interval(months, days, microseconds)
