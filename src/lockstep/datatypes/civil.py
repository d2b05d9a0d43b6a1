"""The calendar as arithmetic, for years that Python has none of: it repeats itself after 400 years."""

from __future__ import annotations

import datetime as dt

_CYCLE = 146_097  # days of 400 years


def days_of(year: int, month: int, day: int) -> int:
    """Days since 0001-01-01 of a date of any year; 0 is 1 BC."""
    cycles, rest = divmod(year - 1, 400)
    return dt.date(rest + 1, month, day).toordinal() - 1 + cycles * _CYCLE


def civil(days: int | float) -> tuple[int, int, int]:
    """Year (0 is 1 BC), month and day, so many days after 0001-01-01."""
    cycles, rest = divmod(int(days), _CYCLE)
    within = dt.date.fromordinal(rest + 1)
    return within.year + 400 * cycles, within.month, within.day


def date_text(days: int | float) -> str:
    """The date so many days after 0001-01-01, in ISO 8601, with a sign where the year needs one."""
    year, month, day = civil(days)
    sign = "-" if year < 0 else "+" if year > 9999 else ""
    return f"{sign}{abs(year):04d}-{month:02d}-{day:02d}"
