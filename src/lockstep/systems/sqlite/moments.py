"""Dates, times and uuids, which SQLite keeps as text.

Only texts that say one thing are read, and a value can name every text that reads as it: that is how rows
are found by such a column. Beyond Python's calendar they are the texts of `far`, where `infinity`
has a zone. An instant is found by it where its text says UTC ("Z" or "+00:00").
"""

from __future__ import annotations

import datetime as dt
import re
from typing import Any
from uuid import UUID

from lockstep.datatypes import far

_END_OF_DAY = "24:00:00"
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CLOCK = r"\d\d:\d\d(?::\d\d(?:\.(?:\d{3}|\d{6}))?)?"
_TIME = re.compile(_CLOCK, re.ASCII)
_DATETIME = re.compile(rf"\d{{4}}-\d\d-\d\d[ T]{_CLOCK}(?:Z|[+-]\d\d:\d\d)?", re.ASCII)


def _text(stored: Any, form: re.Pattern[str]) -> str:
    if type(stored) is not str or form.fullmatch(stored) is None:
        raise ValueError
    return stored


def read_uuid(stored: Any) -> UUID:
    """Only as `str(uuid)` writes it: another spelling would not be found by its value."""
    if type(stored) is not str or len(stored) != 36:
        raise ValueError
    value = UUID(stored)
    if str(value) != stored:
        raise ValueError
    return value


def uuid_forms(value: Any) -> tuple[str, ...]:
    return (str(value),) if type(value) is UUID else ()


def read_date(stored: Any) -> dt.date:
    if type(stored) is str and not _DATE.fullmatch(stored):
        return far.read_date(stored)
    return dt.date.fromisoformat(_text(stored, _DATE))


def date_forms(value: Any) -> tuple[str, ...]:
    if isinstance(value, far.FarDate):
        return (value.text,)
    return (value.isoformat(),) if type(value) is dt.date else ()


def read_time(stored: Any) -> dt.time:
    if stored == _END_OF_DAY:
        return far.FarTime()
    return dt.time.fromisoformat(_text(stored, _TIME))


def time_forms(value: Any) -> tuple[str, ...]:
    if isinstance(value, far.FarTime):
        return (_END_OF_DAY,)
    return _clock_forms(value) if type(value) is dt.time else ()


def read_datetime(stored: Any) -> dt.datetime:
    if type(stored) is str and not _DATETIME.fullmatch(stored):
        return far.read_datetime(stored)
    return dt.datetime.fromisoformat(_text(stored, _DATETIME))


def datetime_forms(value: Any) -> tuple[str, ...]:
    if isinstance(value, far.FarDatetime):
        return (value.text,)
    if type(value) is not dt.datetime:
        return ()
    zones: tuple[str, ...] = ("",)
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC)
        zones = ("Z", "+00:00")
    day = value.date().isoformat()
    return tuple(
        f"{day}{between}{clock}{zone}"
        for clock in _clock_forms(value.time())
        for between in " T"
        for zone in zones
    )


def _clock_forms(value: dt.time) -> tuple[str, ...]:
    value = value.replace(tzinfo=None)
    forms = [value.isoformat("microseconds")]
    if value.microsecond % 1000 == 0:
        forms.append(value.isoformat("milliseconds"))
    if value.microsecond == 0:
        forms.append(value.isoformat("seconds"))
        if value.second == 0:
            forms.append(value.isoformat("minutes"))
    return tuple(forms)
