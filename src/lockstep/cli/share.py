"""A share of a whole, as an option takes it."""

from __future__ import annotations

import click


class Share(click.ParamType[float]):
    """More than nothing and at most all: 1%, or 0.01."""

    name = "SHARE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value).strip()
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            self.fail(f"{value!r} is no share: write 1%, or 0.01", param, ctx)
        return share
