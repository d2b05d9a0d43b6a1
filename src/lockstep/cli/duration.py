"""Times as people type them: 90s, 5m, 12h, 7d; and moments: so long ago, 03:12, 2026-11-27 03:12."""

from __future__ import annotations

import datetime as dt
import math
import re
import time
from typing import Any

import click

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Duration(click.ParamType[float]):
    """Seconds, as a float."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", str(value).strip())
        if found is None:
            self.fail(f"{value!r} is no time: write 90s, 5m, 12h or 7d", param, ctx)
        return float(found[1]) * _SECONDS[found[2]]


class Moment(click.ParamType[float]):
    """Seconds since the epoch, as a float: so long ago, or a time, in the zone of who types it where it says
    none; of a time without a day the last one that has been."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        typed, now = str(value).strip(), time.time()
        try:
            if re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", typed):
                found = now - Duration().convert(typed, param, ctx)
            elif re.fullmatch(r"\d\d?:\d\d(:\d\d)?", typed):
                found = _last(dt.time.fromisoformat(typed if typed[1].isdecimal() else f"0{typed}"), now)
            else:
                found = dt.datetime.fromisoformat(typed).timestamp()
        except (ValueError, OverflowError):
            said = "write 2h (ago), 03:12, 2026-11-27 or 2026-11-27T03:12+01:00"
            self.fail(f"{value!r} is no time: {said}", param, ctx)
        return min(max(found, 0.0), _LATEST)


_LATEST = 250_000_000_000.0
"""Times that every zone has a date for end about there."""


def _last(clock: dt.time, now: float) -> float:
    """When it was so late, the last time."""
    today = dt.datetime.fromtimestamp(now, dt.UTC).astimezone().date()
    found = dt.datetime.combine(today, clock).timestamp()
    return found if found <= now else dt.datetime.combine(today - dt.timedelta(days=1), clock).timestamp()


class Seconds(click.FloatRange):
    """A plain number of seconds that ends: NaN is in no range, and click's lets it through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is not in the range of numbers", param, ctx)
        return found
