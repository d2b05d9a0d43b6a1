"""The revenue invariant against a tenant: what accounts bring in, read from the segments they hold."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from lockstep.systems.zuora.found import rates_of
from lockstep.systems.zuora.models import plus_months
from lockstep.systems.zuora.prices import Billing
from lockstep.systems.zuora.revenue import Costs, differences
from lockstep.systems.zuora.system import Zuora
from lockstep.systems.zuora.tree import accounts, whole


class RevenueDiffers(NamedTuple):
    """From `start` until before `end` (None: for ever) an account's month brings another amount in Zuora
    (`held`) than by the app (`wanted`). `start` None: since ever."""

    account: str
    currency: str
    start: dt.date | dt.datetime | None
    end: dt.date | dt.datetime | None
    wanted: Decimal
    held: Decimal

    def __str__(self) -> str:
        since, until = self.start or "ever", self.end or "ever"
        return (
            f"account {self.account}, {self.currency}, from {since} until {until}: "
            f"{self.wanted} a month by the app, {self.held} in Zuora"
        )


def revenue_differences(
    tenant: Zuora, wanted: Mapping[str, Costs], billing: Mapping[str, Billing], *, months: int | None = None
) -> list[RevenueDiffers]:
    """Where monthly recurring revenue is not the same on both sides; empty: it is, at every date.

    wanted   by account number, what the app says that its subscriptions cost; an account that the tenant
             lacks brings nothing there. Accounts that are not named are not looked at
    billing  of each charge, in how many months its price comes
    months   look at so many months from each subscription's start, in Zuora; `wanted` must end there too. A
             term that renews itself ends in Zuora until it has. None: at all

    Raises DataError where the tenant's segments say no one price, LockstepError where it does not answer.
    """
    with contextlib.closing(tenant.connect()) as client:
        there = accounts(client, list(wanted))
        trees = {number: whole(client, account) for number, account in there.items()}
    made = []
    for number, costs in wanted.items():
        tree = trees.get(number)
        held = [
            (
                tree.currency,
                {
                    plan: rates
                    if months is None
                    else rates.between(one.start, plus_months(one.start, months))
                    for plan, rates in rates_of(one.plans, one.number).items()
                },
            )
            for one in (() if tree is None else tree.subscriptions)
            if tree is not None
        ]
        for currency, changes in differences(costs, held, billing).items():
            made += [
                RevenueDiffers(
                    number, currency, one.start, one.end, one.after or Decimal(0), one.before or Decimal(0)
                )
                for one in changes
            ]
    return made
