"""Times as people type them: 90s, 5m, 12h, 7d."""

from __future__ import annotations

import math
import re
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


class Seconds(click.FloatRange):
    """A plain number of seconds that ends: NaN is in no range, and click's lets it through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found: float = super().convert(value, param, ctx)
        if not math.isfinite(found):
            self.fail(f"{value!r} is not in the range of numbers", param, ctx)
        return found
