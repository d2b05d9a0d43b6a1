"""The invariant: what comes in a month is the same in the product's tables and in Zuora, at every date.

It shares no code with the mapping: the one side is added up from the product's rows, the other from the
segments that the tenant holds. A year from the start of each subscription is looked at; then Zuora's
term ends, unless it renews.
"""

from __future__ import annotations

import datetime as dt
import sqlite3
from decimal import Decimal
from typing import NamedTuple

import lockstep as ls
from lockstep.systems.zuora.models import Rate, Rates, plus_months
from lockstep.systems.zuora.prices import Billing, monthly
from lockstep.systems.zuora.revenue_held import RevenueDiffers, revenue_differences

Costs = list[tuple[str, dict[str, ls.Timeline[Rates]]]]
_A_MONTH = {name: Billing(1) for name in ("SEAT", "TEAM-SEAT", "PRO-SEAT")}


class Revenue(NamedTuple):
    """What comes in a month by currency, as the product says, and where the tenant says otherwise."""

    monthly: dict[str, ls.Timeline[Decimal]]
    differences: list[RevenueDiffers]


def compared(app: sqlite3.Connection, tenant: ls.Zuora) -> Revenue:
    """Reads both sides."""
    wanted = _of_app(app)
    every = [cost for costs in wanted.values() for cost in costs]
    return Revenue(monthly(every, _A_MONTH), revenue_differences(tenant, wanted, _A_MONTH, months=12))


def _of_app(app: sqlite3.Connection) -> dict[str, Costs]:
    costs: dict[str, Costs] = {}
    asked = (
        "SELECT s.id, c.number, c.currency, s.starts_on "
        "FROM subscriptions s JOIN customers c ON c.id = s.customer_id"
    )
    for subscription, account, currency, start in app.execute(asked).fetchall():
        changes = app.execute(
            "SELECT day, price, seats FROM plan_changes WHERE subscription_id = ? ORDER BY day, id",
            (subscription,),
        )
        agreed = ls.Timeline.from_events(
            (dt.date.fromisoformat(day), {"SEAT": Rate(Decimal(str(price)), Decimal(seats))})
            for day, price, seats in changes
        )
        cost = currency, {"any": _a_year(agreed, dt.date.fromisoformat(start))}
        costs.setdefault(account, []).append(cost)
    return costs


def _a_year(rates: ls.Timeline[Rates], start: dt.date) -> ls.Timeline[Rates]:
    return rates.between(start, plus_months(start, 12))
