"""Order actions in the form in which they are sent."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Sequence
from typing import Any

from lockstep.systems.zuora.accounts.catalogue import Plans
from lockstep.systems.zuora.accounts.expressed import PRICINGS
from lockstep.systems.zuora.models import Rate, Tier
from lockstep.systems.zuora.plans import own_fields
from lockstep.systems.zuora.plans.actions import (
    Action,
    AddProduct,
    CancelSubscription,
    ChangePlan,
    CreateSubscription,
    DateRules,
    OwnerTransfer,
    RemoveProduct,
    Resume,
    Subscribed,
    Suspend,
    TermsAndConditions,
    UpdateProduct,
)

PRICING = "recurring"


class Spelling:
    """How one order says its actions. New rate plans get numbers of their own, by which later actions of the
    same order name them."""

    def __init__(self, rules: DateRules, catalogue: Plans) -> None:
        self._rules = rules
        self._catalogue = catalogue
        self._names: dict[str, str] = {}
        self._plan_of: dict[str, str] = {}

    def actions(self, actions: Sequence[Action], plan_of: dict[str, str]) -> list[dict[str, Any]]:
        """`plan_of`: the product rate plan of each rate plan that is there already."""
        self._names, self._plan_of = {}, dict(plan_of)
        return [self._action(one) for one in actions]

    def _action(self, action: Action) -> dict[str, Any]:
        kind = type(action).__name__
        dates = self._rules.trigger_dates(action)
        said: dict[str, Any] = {
            "type": kind,
            "triggerDates": [{"name": name, "triggerDate": day} for name, day in dates.items()],
        }
        body = self._body(action)
        if body is not None:
            said[kind[0].lower() + kind[1:]] = body
        return said

    def _body(self, action: Action) -> dict[str, Any] | None:
        match action:
            case CreateSubscription():
                return {
                    "subscriptionNumber": action.number,
                    "terms": {
                        "initialTerm": _term(action.months, action.date),
                        "autoRenew": action.renews,
                        **_renewals(action.renewal_months),
                    },
                    "subscribeToRatePlans": [self._subscribed(one) for one in action.plans],
                }
            case AddProduct():
                return self._subscribed(action.added)
            case UpdateProduct():
                plan = self._plan_of[action.line]
                return {
                    **self._line(action.line),
                    "chargeUpdates": [
                        {
                            "productRatePlanChargeNumber": name,
                            "pricing": self._pricing(plan, name, rate),
                            **own_fields.sent(rate),
                            **own_fields.cleared(rate),
                        }
                        for name, rate in action.rates.items()
                    ],
                    **({"specificUpdateDate": action.date} if action.before_later else {}),
                }
            case RemoveProduct():
                return self._line(action.line)
            case ChangePlan():
                return {**self._line(action.line), "newProductRatePlan": self._subscribed(action.added)}
            case TermsAndConditions():
                return {
                    "lastTerm": _until(action.end, action.date),
                    "autoRenew": action.renews,
                    **_renewals(action.renewal_months),
                }
            case CancelSubscription():
                return {"cancellationPolicy": "SpecificDate", "cancellationEffectiveDate": action.date}
            case Suspend():
                return {"suspendPolicy": "SpecificDate", "suspendSpecificDate": action.date}
            case Resume():
                return {"resumePolicy": "SpecificDate", "resumeSpecificDate": action.date}
            case OwnerTransfer():
                return {  # who owns it pays: else the account that it leaves would go on being billed
                    "destinationAccountNumber": action.account,
                    "destinationInvoiceAccountNumber": action.account,
                }
        return None

    def _line(self, line: str) -> dict[str, str]:
        return {"subscriptionRatePlanNumber": self._names.get(line, line)}

    def _subscribed(self, one: Subscribed) -> dict[str, Any]:
        self._names[one.line] = f"SRP-{secrets.token_hex(8)}"
        self._plan_of[one.line] = one.plan
        start = {"triggerEvent": "SpecificDate", "specificTriggerDate": one.start}
        end = {"endDateCondition": "Specific_End_Date", "specificEndDate": one.end}
        return {
            "productRatePlanNumber": one.plan,
            **self._line(one.line),
            "chargeOverrides": [
                {
                    "productRatePlanChargeNumber": name,
                    "pricing": self._pricing(one.plan, name, rate),
                    "startDate": start,
                    **own_fields.sent(rate),
                    **({"endDate": end} if one.end else {}),
                }
                for name, rate in one.rates.items()
            ],
        }

    def _pricing(self, plan: str, name: str, rate: Rate) -> dict[str, Any]:
        charge = self._catalogue[plan][name]
        said: dict[str, Any] = {}
        if isinstance(rate.price, tuple):
            said["tiers"] = _tiers(rate.price)
        else:
            said["listPrice"] = rate.price
        if rate.quantity is not None:
            said["quantity"] = rate.quantity
        return {f"{PRICING}{PRICINGS[charge.model]}": said}


def _tiers(tiers: Sequence[Tier]) -> list[dict[str, Any]]:
    """Each band begins where the one before ends."""
    below = [0, *(tier.up_to for tier in tiers[:-1])]
    return [
        {
            "tier": place,
            "startingUnit": start,
            **({} if tier.up_to is None else {"endingUnit": tier.up_to}),
            "price": tier.price,
            "priceFormat": "FlatFee" if tier.flat else "PerUnit",
        }
        for place, (tier, start) in enumerate(zip(tiers, below, strict=True), 1)
    ]


def _term(months: int | None, start: dt.date) -> dict[str, Any]:
    if months is None:
        return {"termType": "EVERGREEN", "startDate": start}
    return {"termType": "TERMED", "period": months, "periodType": "Month", "startDate": start}


def _until(end: dt.date | None, start: dt.date) -> dict[str, Any]:
    if end is None:
        return {"termType": "EVERGREEN"}
    return {"termType": "TERMED", "startDate": start, "period": (end - start).days, "periodType": "Day"}


def _renewals(months: int | None) -> dict[str, Any]:
    return {
        "renewalSetting": "RENEW_WITH_SPECIFIC_TERM",
        "renewalTerms": [{"period": months or 1, "periodType": "Month"}],
    }
