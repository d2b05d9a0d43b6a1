"""The invariant: what comes in a month is the same in the product's tables and in Zuora, at every date.

It shares no code with the mapping: the one side is added up from the product's rows, the other from the
segments that the tenant holds. A year from the start of each subscription is looked at; then Zuora's
term ends, unless it renews.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from decimal import Decimal
from typing import NamedTuple

import lockstep as ls
from lockstep.effective import Change
from lockstep.systems.zuora.found import rates_of
from lockstep.systems.zuora.models import Rate, Rates, plus_months
from lockstep.systems.zuora.prices import Billing, monthly
from lockstep.systems.zuora.revenue import differences
from lockstep.systems.zuora.tree import accounts, whole

Costs = list[tuple[str, dict[str, ls.Timeline[Rates]]]]
_A_MONTH = {name: Billing(1) for name in ("SEAT", "TEAM-SEAT", "PRO-SEAT")}


class Revenue(NamedTuple):
    """What comes in a month by currency, as the product says, and where the tenant says otherwise."""

    monthly: dict[str, ls.Timeline[Decimal]]
    differences: dict[str, list[Change[Decimal]]]


def compared(app: sqlite3.Connection, tenant: ls.Zuora) -> Revenue:
    """Reads both sides."""
    wanted = _of_app(app)
    numbers = [row[0] for row in app.execute("SELECT number FROM customers")]
    return Revenue(monthly(wanted, _A_MONTH), differences(wanted, _of_tenant(tenant, numbers), _A_MONTH))


def _of_app(app: sqlite3.Connection) -> Costs:
    costs: Costs = []
    asked = (
        "SELECT s.id, c.currency, s.starts_on FROM subscriptions s JOIN customers c ON c.id = s.customer_id"
    )
    for subscription, currency, start in app.execute(asked).fetchall():
        changes = app.execute(
            "SELECT day, price, seats FROM plan_changes WHERE subscription_id = ? ORDER BY day, id",
            (subscription,),
        )
        agreed = ls.Timeline.from_events(
            (dt.date.fromisoformat(day), {"SEAT": Rate(Decimal(str(price)), Decimal(seats))})
            for day, price, seats in changes
        )
        costs.append((currency, {"any": _a_year(agreed, dt.date.fromisoformat(start))}))
    return costs


def _of_tenant(tenant: ls.Zuora, numbers: list[str]) -> Costs:
    with contextlib.closing(tenant.connect()) as client:
        return [
            (account.currency, {plan: _a_year(rates, one.start) for plan, rates in held.items()})
            for account in accounts(client, numbers).values()
            for one in whole(client, account).subscriptions
            for held in [rates_of(one.plans, one.number)]
        ]


def _a_year(rates: ls.Timeline[Rates], start: dt.date) -> ls.Timeline[Rates]:
    return rates.between(start, plus_months(start, 12))
