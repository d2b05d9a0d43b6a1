"""A subscription as /v1/subscriptions shows it, with all its segments, made what the planner reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.folding import Segment, folded
from lockstep.systems.zuora.accounts.found import FoundSubscription
from lockstep.systems.zuora.models import Rate, Tier

Json = Mapping[str, Any]

_UNITS = {"Month": 1, "Year": 12}

_NOW = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
"""All rows of one answer are of one version, written at one time."""


def subscription(said: Json) -> FoundSubscription:
    """Raises DataError, naming the charge or the subscription, where something cannot be said."""
    number = str(said["subscriptionNumber"])
    status = said.get("status")
    start = day(said.get("subscriptionStartDate")) or day(said.get("termStartDate"))
    if start is None:
        raise DataError(
            f"subscription {number} is {status}: it has no start yet",
            "Give its order the missing dates in Zuora, or delete it.",
        )
    if ramp := said.get("ramp") or said.get("rampId"):
        name = (ramp.get("number") or ramp.get("name")) if isinstance(ramp, Mapping) else ramp
        raise DataError(
            f"subscription {number} is a ramp deal ({name}): its prices are agreed by intervals, which an "
            "order must name",
            "Lockstep orders no ramps. Leave the subscription out of the mapping.",
        )
    suspended, resumed = _pauses(number, said)
    bare = FoundSubscription(
        number=number,
        account=str(said["accountNumber"]),
        start=start,
        end=None if said.get("termType") == "EVERGREEN" else day(said.get("termEndDate")),
        renews=bool(said.get("autoRenew")),
        renewal_months=_months(said),
        cancelled=day(said.get("subscriptionEndDate")) if status == "Cancelled" else None,
        suspended=suspended,
        resumed=resumed,
    )
    version = int(said.get("version") or 1)
    return folded(bare, version, _segments(said, version))


def _months(said: Json) -> int | None:
    """By how many months it renews; None where it is none, or some days."""
    unit = _UNITS.get(str(said.get("renewalTermPeriodType")))
    period = said.get("renewalTerm")
    return int(period) * unit if period and unit else None


def _pauses(number: str, said: Json) -> tuple[dt.date | None, dt.date | None]:
    """Since when it is suspended, and when it was resumed last."""
    history = [(one.get("status"), day(one.get("startDate"))) for one in said.get("statusHistory") or ()]
    resumed = [
        start for (before, _), (now, start) in pairwise(history) if before == "Suspended" and now == "Active"
    ]
    if said.get("status") != "Suspended":
        return None, resumed[-1] if resumed else None
    since = next((start for status, start in reversed(history) if status == "Suspended"), None)
    if since is None:
        raise DataError(
            f"subscription {number} is suspended, and its status history does not say since when",
            "Resume it in Zuora, or leave it out of the mapping.",
        )
    return since, resumed[-1] if resumed else None


def _segments(said: Json, version: int) -> Iterator[Segment]:
    for plan in said.get("ratePlans") or ():
        line = plan.get("subscriptionRatePlanNumber") or plan.get("originalRatePlanId")
        if not line:
            raise DataError(
                f"subscription {said['subscriptionNumber']}: its rate plan {plan.get('ratePlanName')!r} has "
                "no number, by which an order could name it",
                "It is older than rate plan numbers: end it in Zuora and begin it anew.",
            )
        for charge in plan.get("ratePlanCharges") or ():
            for one in charge.get("chargeSegments") or ():
                gone = plan.get("lastChangeType") == "Remove"
                own_end = one.get("endDateCondition") not in (None, "Subscription_End")
                yield Segment(
                    version=version,
                    updated=_NOW,
                    line=str(line),
                    plan=str(plan.get("productRatePlanNumber") or plan["productRatePlanId"]),
                    charge=str(
                        charge.get("productRatePlanChargeNumber") or charge["productRatePlanChargeId"]
                    ),
                    number=str(charge["number"]),
                    segment=int(one["segment"]),
                    start=day(one.get("effectiveStartDate")),
                    end=day(one.get("effectiveEndDate")),
                    type=str(charge["type"]),
                    model=str(charge["model"]),
                    rate=_rate(str(charge["model"]), one),
                    billed_to=day(one.get("chargedThroughDate")),
                    removed=gone or own_end,
                )


def _rate(model: str, one: Json) -> Rate:
    quantity = None if model == "FlatFee" or one.get("quantity") is None else decimal(one["quantity"])
    tiers = one.get("tiers")
    own = {name: value for name, value in one.items() if name.endswith("__c") and value is not None}
    if not tiers:
        return Rate(decimal(one.get("price") or 0), quantity, own)
    return Rate(
        tuple(
            Tier(
                None if tier.get("endingUnit") is None else decimal(tier["endingUnit"]),
                decimal(tier.get("price") or 0),
                tier.get("priceFormat") in ("FlatFee", "Flat Fee"),
            )
            for tier in tiers
        ),
        quantity,
        own,
    )


def decimal(value: Any) -> Decimal:
    """A number of an answer, exactly."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def day(value: Any) -> dt.date | None:
    return dt.date.fromisoformat(str(value)[:10]) if value else None
