"""What accounts bring in a month at every date, as Zuora itself says it: the `mRR` of its charge segments.

It shares nothing with what the mapping is compared by: no price, tier or segment is folded here. So it finds
what both the mapping and the folding have wrong alike.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal

from lockstep.effective import Timeline
from lockstep.errors import DataError
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.object_query import Json, among, rows

Revenue = dict[str, Timeline[Decimal]]
"""By currency."""

_PLACES = Decimal("0.000000001")
_BELOW = ("expand[]", "rateplans.rateplancharges")


def revenue(client: Client, numbers: Sequence[str]) -> dict[str, Revenue | DataError]:
    """Of the accounts that are there, by their numbers: two calls for each 99, and one more for each 99
    subscriptions beyond. An account whose charges do not say it is its error."""
    accounts = {
        str(row["id"]): row
        for condition in among("accountNumber", numbers)
        for row in rows(client, "accounts", [("filter[]", condition)])
    }
    steps: dict[str, list[_Step] | DataError] = {id: [] for id in accounts}
    for condition in among("accountId", list(accounts)):
        newest = [("filter[]", condition), ("filter[]", "isLatestVersion.EQ:true"), _BELOW]
        for row in rows(client, "subscriptions", newest):
            id = str(row["accountId"])
            known = steps[id]
            if isinstance(known, DataError):
                continue
            try:
                known += _steps(row, str(row.get("currency") or accounts[id].get("currency")))
            except DataError as error:
                steps[id] = error
    return {
        str(accounts[id]["accountNumber"]): some if isinstance(some, DataError) else _summed(some)
        for id, some in steps.items()
    }


_Step = tuple[str, dt.date, Decimal]
"""From a day on so much more in a currency, or less."""


def _steps(subscription: Json, currency: str) -> Iterator[_Step]:
    for plan in subscription.get("ratePlans") or ():
        for charge in plan.get("ratePlanCharges") or ():
            start = charge.get("effectiveStartDate")
            if charge.get("chargeType") != "Recurring" or not start:
                continue
            if charge.get("mRR") is None:
                name, number = charge.get("chargeNumber"), subscription.get("name")
                raise DataError(
                    f"charge {name} of subscription {number} does not say its mRR",
                    "See that the API user may read it, or leave the invariant out.",
                )
            amount = Decimal(str(charge["mRR"]))
            yield currency, _day(start), amount
            end = charge.get("effectiveEndDate")
            if end and not _goes_on(subscription, plan, charge):
                yield currency, _day(end), -amount


def _goes_on(subscription: Json, plan: Json, charge: Json) -> bool:
    """Whether it ends only until its term is renewed, which happens by itself."""
    condition = str(charge.get("endDateCondition") or "SubscriptionEnd").replace("_", "")
    return (
        bool(subscription.get("autoRenew"))
        and subscription.get("termType") == "TERMED"
        and not subscription.get("cancelledDate")
        and subscription.get("status") not in ("Suspended", "Cancelled")
        and plan.get("amendmentType") != "RemoveProduct"
        and condition == "SubscriptionEnd"
        and charge["effectiveEndDate"] == subscription.get("termEndDate")
    )


def _summed(steps: Sequence[_Step]) -> Revenue:
    found: Revenue = {}
    for currency in sorted({currency for currency, _, _ in steps}):
        total, events = Decimal(0), []
        for _, day, more in sorted(step for step in steps if step[0] == currency):
            total += more
            events.append((day, total.quantize(_PLACES, ROUND_HALF_UP) or None))
        found[currency] = Timeline.from_events(events)
    return found


def _day(value: object) -> dt.date:
    return dt.date.fromisoformat(str(value)[:10])
