"""Subscriptions as /v1/subscriptions shows them: in one version, with the charge detail that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec

from ..engine.money import monthly
from ..engine.segments import last_of
from ..engine.tree import Charge, RatePlan, Refused, Segment, Version
from ..rows import mrr, processed, status_of
from .call import Answer, Call, ok
from .paging import page

DETAILS = ("last-segment", "current-segment", "all-segments", "specific-segment")


def read(call: Call) -> Answer:
    number = call.tenant.store.number_of(call.params["key"])
    if number is None:
        raise Refused(40, f"Cannot find entity by key: '{call.params['key']}' (subscription).")
    version = call.tenant.store.history(number)[-1]
    return ok(**subscription_json(call, version, latest=True))


def read_version(call: Call) -> Answer:
    number = call.tenant.store.number_of(call.params["key"])
    versions = call.tenant.store.history(number) if number is not None else ()
    for one in versions:
        if str(one.version) == call.params["version"]:
            return ok(**subscription_json(call, one, latest=one is versions[-1]))
    raise Refused(40, f"subscription {call.params['key']} has no version {call.params['version']}")


def set_custom_fields(call: Call) -> Answer:
    """PUT /v1/subscriptions/{number}/customFields: of the latest version, which stays the latest."""
    tenant = call.tenant
    number = tenant.store.number_of(call.params["key"])
    history = tenant.store.history(number) if number is not None else ()
    if not history:
        raise Refused(40, f"Cannot find entity by key: '{call.params['key']}' (subscription).")
    if (call.body or {}).get("ratePlans"):
        raise Refused(45, "the stand-in sets own fields of rate plans and charges by orders only")
    own = tenant.customs("Subscription", (call.body or {}).get("customFields") or {})
    last = msgspec.structs.replace(history[-1], custom={**history[-1].custom, **own})
    tenant.save(history, (*history[:-1], last))
    return ok()


def by_account(call: Call) -> Answer:
    """The latest versions only."""
    account = call.tenant.found("accounts", call.params["key"], "account")
    found = call.tenant.store.where(
        "subscriptions", "parent = ? AND doc ->> 'isLatestVersion'", [account["id"]]
    )
    shown, more = page(call, found, default=20, most=40)
    return ok(
        subscriptions=[
            subscription_json(call, call.tenant.store.history(doc["name"])[-1], latest=True) for doc in shown
        ],
        **more,
    )


def subscription_json(call: Call, version: Version, *, latest: bool) -> dict[str, Any]:
    tenant, today = call.tenant, call.tenant.clock.today()
    detail = call.one("charge-detail") or "last-segment"
    if detail not in DETAILS:
        raise Refused(20, f"charge-detail {detail!r}: there are {', '.join(DETAILS)}")
    as_of = date.fromisoformat(call.one("as-of-date") or today.isoformat())
    owner = tenant.found("accounts", version.account, "account")
    payer = tenant.found("accounts", version.invoice_owner, "account")
    row = tenant.store.get("subscriptions", version.id) or {}
    return {
        "id": version.id,
        "subscriptionNumber": version.number,
        "accountId": owner["id"],
        "accountName": owner["name"],
        "accountNumber": owner["accountNumber"],
        "invoiceOwnerAccountId": payer["id"],
        "invoiceOwnerAccountName": payer["name"],
        "invoiceOwnerAccountNumber": payer["accountNumber"],
        "version": version.version,
        "revision": f"{version.version}.0",
        "isLatestVersion": latest,
        "status": status_of(version, latest, today),
        "termType": version.term.type,
        "termStartDate": version.term.start,
        "termEndDate": version.term.end,
        "subscriptionStartDate": version.start,
        "subscriptionEndDate": version.end,
        "contractEffectiveDate": version.contract_effective,
        "serviceActivationDate": version.service_activation,
        "customerAcceptanceDate": version.customer_acceptance,
        "initialTerm": version.initial.period,
        "initialTermPeriodType": version.initial.period_type,
        "currentTerm": version.term.period,
        "currentTermPeriodType": version.term.period_type,
        "renewalTerm": version.renewal_period,
        "renewalTermPeriodType": version.renewal_period_type,
        "renewalSetting": version.renewal_setting,
        "autoRenew": version.auto_renew,
        "currency": version.currency,
        "contractedMrr": mrr(version, today),
        "notes": version.notes,
        "orderNumber": version.order,
        "lastBookingDate": version.booked,
        "statusHistory": _statuses(tenant.store.history(version.number)[: version.version], version),
        "createTime": row.get("createdDate"),
        "updateTime": row.get("updatedDate"),
        # A real tenant promises no order of rate plans; here it is that of their random ids.
        "ratePlans": [_plan(one, detail, as_of) for one in sorted(version.plans, key=lambda one: one.id)],
        **version.custom,
    }


def _statuses(history: Sequence[Version], version: Version) -> list[dict[str, Any]]:
    """From when to when it was what. One that goes on has no end."""
    told: list[tuple[date | None, str]] = [(version.start, "Active")]
    for before, now in pairwise(history):
        if now.status == "Suspended" != before.status:
            told.append((now.suspended, "Suspended"))
        elif before.status == "Suspended" != now.status:
            told.append((now.resumed, "Active"))
        if now.status == "Cancelled" != before.status:
            told.append((now.cancelled, "Cancelled"))
    ends = [*(start for start, _ in told[1:]), None]
    return [
        {"startDate": start, "endDate": end, "status": status}
        for (start, status), end in zip(told, ends, strict=True)
    ]


def _plan(plan: RatePlan, detail: str, as_of: date) -> dict[str, Any]:
    return {
        "id": plan.id,
        "subscriptionRatePlanNumber": plan.number,
        "originalRatePlanId": plan.original_id,
        "lastChangeType": plan.change,
        "productId": plan.product_id,
        "productName": plan.product_name,
        "productRatePlanId": plan.product_rate_plan_id,
        "productRatePlanNumber": plan.product_rate_plan_number,
        "ratePlanName": plan.name,
        "ratePlanCharges": [
            shown for charge in plan.charges if (shown := _charge(charge, detail, as_of)) is not None
        ],
    }


def _charge(charge: Charge, detail: str, as_of: date) -> dict[str, Any] | None:
    """With all its segments as `chargeSegments`, or one of them told with the charge's own fields."""
    fields: dict[str, Any] = {
        "number": charge.number,
        "originalChargeId": charge.original_id,
        "productRatePlanChargeId": charge.product_charge_id,
        "productRatePlanChargeNumber": charge.product_charge_number,
        "name": charge.name,
        "type": charge.type,
        "model": charge.model,
        "uom": charge.uom,
        "billingPeriod": charge.billing_period,
        "billingTiming": None if charge.billing_timing is None else charge.billing_timing.upper(),
        "billingPeriodAlignment": "AlignToCharge",
        "version": max(one.version for one in charge.segments),
    }
    if detail == "all-segments":
        rows = sorted(charge.segments, key=lambda one: (one.start or date.max, one.number))
        return fields | {"chargeSegments": [_segment(charge, one) for one in rows]}
    if detail == "last-segment":
        one = last_of(charge.segments)
    else:
        one = next((each for each in charge.segments if each.covers(as_of)), None)
    return None if one is None else fields | _segment(charge, one)


def _segment(charge: Charge, one: Segment) -> dict[str, Any]:
    single = charge.model in {"FlatFee", "PerUnit"}
    revenue = monthly(charge, one) if charge.type == "Recurring" else None
    return {
        "id": one.id,
        "segment": one.number,
        "currency": charge.currency,
        "effectiveStartDate": one.start,
        "effectiveEndDate": one.end,
        "chargedThroughDate": one.charged_through,
        "processedThroughDate": one.charged_through,
        "done": processed(one),
        "quantity": one.quantity,
        "price": one.tiers[0].price if single else None,
        "tiers": None
        if single
        else [
            {
                "tier": tier.tier,
                "startingUnit": tier.starting_unit,
                "endingUnit": tier.ending_unit,
                "price": tier.price,
                "priceFormat": tier.price_format,
            }
            for tier in one.tiers
        ],
        "pricingSummary": _summary(charge, one),
        "mrr": revenue,
        "triggerEvent": charge.trigger_event,
        "triggerDate": charge.trigger_date,
        "endDateCondition": charge.end_condition,
        "specificEndDate": charge.end_date,
        "upToPeriods": charge.up_to,
        "upToPeriodsType": None if charge.up_to_type is None else charge.up_to_type.replace(" ", "_"),
        "isLastSegment": one is last_of(charge.segments),
        **one.custom,
    }


def _summary(charge: Charge, one: Segment) -> str:
    each = charge.uom or "Each"
    if charge.model == "FlatFee":
        return f"{charge.currency}{_plainly(one.tiers[0].price)}"
    if charge.model == "PerUnit":
        return f"{charge.currency}{_plainly(one.tiers[0].price)} per {each}"
    bands = [
        f"{_plainly(tier.starting_unit or Decimal(0))} "
        + (f"{each} or more" if tier.ending_unit is None else f"to {_plainly(tier.ending_unit)} {each}")
        + f": {charge.currency}{_plainly(tier.price)}"
        + (" flat fee" if tier.price_format == "FlatFee" else f" per {each}")
        for tier in one.tiers
    ]
    return "; ".join(bands)


def _plainly(value: Decimal) -> str:
    return f"{value.normalize():f}"
