"""Calls of Zuora's API that accounts cost to load, change and check, and how near a load comes to the limit.

Counts, on the stand-in, and no times: what a call takes is the tenant's affair. The goals: two calls a
changed account, 1.2 to check one, 95 % of the limit and never over it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console
from rich.table import Table

import lockstep as ls
from bench.measure import machine, save, size
from lockstep.twins.zuora.engine.settings import Settings
from lockstep.twins.zuora.limits import Budget
from lockstep.twins.zuora.server import ZuoraTwin

EXAMPLE = Path(__file__).parents[1] / "examples" / "billing"
LIMIT = 100
"""Requests a minute, for the last part: so few that also a small tenant reaches it."""


def main() -> None:
    """Runs it with SIZE=small or full, and prints what came out beside the goals."""
    named, accounts = size(100, 1_000)
    sys.path.insert(0, str(EXAMPLE))
    import app  # type: ignore[import-not-found]
    from world import world  # type: ignore[import-not-found]

    with world(accounts) as made:
        first = made.calls(lambda: ls.run(made.pipeline, once=True))
        _changed(app, accounts, 1)
        changed = made.calls(lambda: ls.run(made.pipeline, once=True))
        checked = made.calls(lambda: list(made.pipeline.verify("account", method="deep")))
        _changed(app, accounts, 2)
        limited = _limited(made.twin, made.pipeline)
    result: dict[str, Any] = {
        "size": named,
        "accounts": accounts,
        "calls_to_load": first.total() / accounts,
        "calls_to_change": changed.total() / accounts,
        "calls_to_check": checked.total() / accounts,
        **limited,
    }
    parts = {"load": first, "change": changed, "check": checked}
    save(
        "billing", {**result, "calls": {name: dict(one) for name, one in parts.items()}, "machine": machine()}
    )
    _show(result)


def _limited(twin: ZuoraTwin, pipeline: ls.Pipeline) -> dict[str, Any]:
    """Keeps up where the tenant takes so few calls that it is many minutes' work."""
    twin.tenant.set(Settings(requests_per_minute=LIMIT))
    spend, windows, refused = twin.tenant.limits.spend, Counter[int](), 0

    def counted(settings: Settings, *, token: bool) -> Budget:
        nonlocal refused
        said = spend(settings, token=token)
        if not token:
            windows[int(time.time()) // 60] += 1
            refused += said.over
        return said

    twin.tenant.limits.spend = counted  # type: ignore[method-assign]
    time.sleep(60 - time.time() % 60 + 0.1)  # its windows are the minutes
    ls.run(pipeline, once=True)
    whole = [windows[minute] for minute in range(min(windows), max(windows))]
    return {
        "limit": LIMIT,
        "whole_minutes": len(whole),
        "share_of_limit": min(whole, default=0) / LIMIT,
        "refused": refused,
    }


def _changed(app: ModuleType, accounts: int, seats: int) -> None:
    """All customers take so many seats more, in as many days."""
    day = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=seats)
    with contextlib.closing(app.connect(Path("app.db"))) as connection:
        connection.execute("BEGIN")
        for number in range(1, accounts + 1):
            plan, before = app.latest(connection, number)
            app.change(connection, number, day, plan, before + seats)
        connection.execute("COMMIT")


def _show(result: dict[str, Any]) -> None:
    table = Table(title=f"Calls of {result['accounts']:,} accounts")
    for heading in ("", "calls an account", "goal"):
        table.add_column(heading, justify="left" if not heading else "right")
    table.add_row("first load", f"{result['calls_to_load']:.2f}", "")
    table.add_row("a change: read and write", f"{result['calls_to_change']:.2f}", "≤ 2")
    table.add_row("a deep check", f"{result['calls_to_check']:.2f}", "≤ 1.2")
    minutes = f"share of the limit, the least of {result['whole_minutes']} whole minutes"
    table.add_row(minutes, f"{result['share_of_limit']:.2f}", "≥ 0.95")
    table.add_row("calls over the limit", str(result["refused"]), "0")
    Console().print(table)


if __name__ == "__main__":
    main()
