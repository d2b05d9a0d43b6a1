"""Texts and numbers as a `date` field reads them, by those formats whose reading is known for sure."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Sequence
from decimal import Decimal

STRICT = "strict_date_optional_time"
SLASHED = "yyyy/MM/dd HH:mm:ss||yyyy/MM/dd"
"""Beside `STRICT`, what dynamic mapping takes for a date."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)

_DAY = r"(?P<year>-?\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
_TIME = r"(?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?)?"
_ZONE = r"(?:Z|(?P<sign>[+-])(?P<zone>\d\d)(?::?(?P<past>\d\d))?)?"
_OPTIONAL = re.compile(rf"{_DAY}(?:T(?:{_TIME}{_ZONE})?)?)?)?", re.A)
_WHOLE_DAY = re.compile(r"(?P<year>-?\d{4})-(?P<month>\d\d)-(?P<day>\d\d)", re.A)
_FORMATS = {
    STRICT: _OPTIONAL,
    f"{STRICT}_nanos": _OPTIONAL,
    "strict_date": _WHOLE_DAY,
    "yyyy-MM-dd": _WHOLE_DAY,
    "yyyy/MM/dd": re.compile(r"(?P<year>\d{4})/(?P<month>\d\d)/(?P<day>\d\d)", re.A),
    "yyyy/MM/dd HH:mm:ss": re.compile(
        r"(?P<year>\d{4})/(?P<month>\d\d)/(?P<day>\d\d) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)",
        re.A,
    ),
}
_NUMBERS = {"epoch_millis": 6, "epoch_second": 9}
_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,9})?", re.A)
_DOUBTFUL = re.compile(r"[+-]\d{5,}-.*|-?\d{4}-\d\d-\d\dT\d.*(:60Z?|[A-Ya-z\]]|[A-Za-z]Z)", re.A | re.S)
"""Years of a sign and more digits, named zones and leap seconds: versions differ."""


class Unsure(Exception):
    """How this would be read is not known here."""


def read(text: str, formats: str) -> int | None:
    """Nanoseconds since 1970 in UTC, by the first of the formats (`a||b`) that takes it, or None.

    Raises Unsure. A time without a zone is in UTC, as the cluster takes it.
    """
    unsure = False
    for name in formats.split("||"):
        if name in _NUMBERS:
            if _NUMBER.fullmatch(text):
                return int(Decimal(text).scaleb(_NUMBERS[name]))
        elif pattern := _FORMATS.get(name):
            if match := pattern.fullmatch(text):
                if (found := _nanos(match)) is not None:
                    return found
            elif _DOUBTFUL.fullmatch(text):
                unsure = True
        else:
            unsure = True
    if unsure:
        raise Unsure
    return None


def detected(text: str, formats: Sequence[str]) -> str | None:
    """The format of the field that dynamic mapping makes of the text: "" for the type's own. None: no date.
    Raises Unsure."""
    if re.fullmatch(r"\d+", text):
        return None  # never guessed of digits alone
    unsure = False
    for one in formats:
        try:
            if read(text, one) is not None:
                return "" if one == STRICT else f"{one}||epoch_millis"
        except Unsure:
            unsure = True
    if unsure:
        raise Unsure
    return None


def milliseconds(nanos: int) -> str:
    """What a field of milliseconds holds of the moment. Raises Unsure outside of Python's calendar."""
    try:
        at = _EPOCH + dt.timedelta(milliseconds=nanos // 1_000_000)
    except OverflowError:
        raise Unsure from None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _nanos(match: re.Match[str]) -> int | None:
    """None where there is no such day or time."""
    part = {name: value or "" for name, value in match.groupdict().items()}

    def number(name: str, default: int = 0) -> int:
        return int(part.get(name) or default)

    year, month, day = int(part["year"]), number("month", 1), number("day", 1)
    if not 1 <= month <= 12 or not 1 <= day <= calendar.monthrange(year % 400 or 400, month)[1]:
        return None
    hour, minute, second = number("hour"), number("minute"), number("second")
    if hour > 23 or minute > 59 or second > 59:
        return None
    cycles, within = divmod(year - 1, 400)  # Python's calendar begins in the year 1
    at = dt.datetime(within + 1, month, day, hour, minute, second, tzinfo=dt.UTC)
    zone = dt.timedelta(hours=number("zone"), minutes=number("past"))
    at_utc = (at - _EPOCH) + (zone if part.get("sign") == "-" else -zone)
    fraction = int((part.get("fraction") or "0").ljust(9, "0"))
    return (at_utc // _MICROSECOND + cycles * 146_097 * 86_400_000_000) * 1000 + fraction
