"""Arithmetic of dates as billing does it: months count from an anchor, so that the 31st stays the 31st."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from enum import Enum

MONTHS_OF = {
    "Month": 1,
    "Quarter": 3,
    "Semi_Annual": 6,
    "Annual": 12,
    "Eighteen_Months": 18,
    "Two_Years": 24,
    "Three_Years": 36,
    "Five_Years": 60,
}
"""Billing periods that are so many months. The others (weeks, days, a whole term) the stand-in refuses."""


class Partial(Enum):
    """How much of a period's price a part of it costs: a rule of the tenant."""

    ACTUAL = "actual days"
    THIRTY_ACTUAL = "30 days, actual"
    THIRTY_STRICT = "30 days, strict"


def plus_months(anchor: date, months: int) -> date:
    """The same day so many months on, or the last of that month where it has no such day."""
    year, month = divmod(anchor.month - 1 + months, 12)
    year, month = anchor.year + year, month + 1
    return date(year, month, min(anchor.day, monthrange(year, month)[1]))


def plus(anchor: date, count: int, unit: str) -> date:
    """`anchor` and so many of a period type of the API: Day, Week, Month or Year, in singular or plural."""
    one = unit.rstrip("s").lower()
    if one == "day":
        return anchor + timedelta(days=count)
    if one == "week":
        return anchor + timedelta(weeks=count)
    if one == "month":
        return plus_months(anchor, count)
    if one == "year":
        return plus_months(anchor, 12 * count)
    raise ValueError(f"{unit!r} is no period type")


def thirty_days(start: date, end: date) -> int:
    """Days between two dates where each month has thirty (30E/360)."""
    return (
        360 * (end.year - start.year) + 30 * (end.month - start.month) + min(end.day, 30) - min(start.day, 30)
    )
