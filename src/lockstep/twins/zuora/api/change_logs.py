"""/subscription-change-logs: what each version changed of the one before, field by field, as texts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from ..engine.history import History
from ..engine.tree import Charge, RatePlan, Refused, Segment, Version
from ..forms import instant
from .call import Answer, Call, ok

Fields = dict[str, Any]


def of_subscription(call: Call) -> Answer:
    """All versions, the oldest first."""
    versions = _history(call)
    return ok(subscriptions=[_log(versions, place) for place in range(len(versions))])


def of_version(call: Call) -> Answer:
    versions = _history(call)
    for place, one in enumerate(versions):
        if str(one.version) == call.params["version"]:
            return ok(subscription=_log(versions, place))
    raise Refused(40, f"subscription {call.params['key']} has no version {call.params['version']}")


def of_order(call: Call) -> Answer:
    """Of each of its subscriptions, the versions that the order made."""
    order = call.tenant.found("orders", call.params["key"], "order")
    found = []
    for one in order["subscriptions"]:
        versions = call.tenant.store.history(one["subscriptionNumber"])
        for place, version in enumerate(versions):
            if version.order == order["orderNumber"]:
                found.append(_log(versions, place))
    return ok(subscriptions=found)


def _history(call: Call) -> History:
    number = call.tenant.store.number_of(call.params["key"])
    if number is None:
        raise Refused(40, f"Cannot find entity by key: '{call.params['key']}' (subscription).")
    return call.tenant.store.history(number)


def _log(versions: History, place: int) -> dict[str, Any]:
    new, old = versions[place], versions[place - 1] if place else None
    plans = {one.number: one for one in old.plans} if old is not None else {}
    return {
        "subscriptionNumber": new.number,
        "accountNumber": new.account,
        "invoiceOwnerAccountNumber": new.invoice_owner,
        "currency": new.currency,
        "orderNumber": new.order,
        "version": str(new.version),
        "changedTime": instant(new.made),
        "type": new.action,
        "subscriptionStartDate": _text(new.start),
        "subscriptionEndDate": _text(new.end),
        "termStartDate": _text(new.term.start),
        "termEndDate": _text(new.term.end),
        "fields": _changed({} if old is None else _of_version(old), _of_version(new)),
        "ratePlans": [log for one in new.plans if (log := _plan(plans.get(one.number), one)) is not None],
    }


def _plan(old: RatePlan | None, new: RatePlan) -> dict[str, Any] | None:
    """None where nothing of the rate plan changed."""
    before = {} if old is None else {(c.number, s.number): s for c, s in _segments(old)}
    charges = []
    for charge, segment in _segments(new):
        known = before.get((charge.number, segment.number))
        fields = _changed({} if known is None else _of_segment(known), _of_segment(segment))
        if fields:
            charges.append(
                {
                    "chargeNumber": charge.number,
                    "ratePlanChargeId": segment.id,
                    "effectiveStartDate": _text(segment.start),
                    "effectiveEndDate": _text(segment.end),
                    "fields": fields,
                }
            )
    fields = _changed({} if old is None else _of_plan(old), _of_plan(new))
    if not charges and not fields:
        return None
    return {"ratePlanNumber": new.number, "fields": fields, "ratePlanCharges": charges}


def _segments(plan: RatePlan) -> Iterator[tuple[Charge, Segment]]:
    for charge in plan.charges:
        for one in charge.segments:
            yield charge, one


def _of_version(one: Version) -> Fields:
    return {
        "status": one.status,
        "accountNumber": one.account,
        "invoiceOwnerAccountNumber": one.invoice_owner,
        "termType": one.term.type,
        "termStartDate": one.term.start,
        "termEndDate": one.term.end,
        "subscriptionEndDate": one.end,
        "autoRenew": one.auto_renew,
        "renewalSetting": one.renewal_setting,
        "renewalTerm": one.renewal_period,
        "renewalTermPeriodType": one.renewal_period_type,
        "cancelledDate": one.cancelled,
        **one.custom,
    }


def _of_plan(one: RatePlan) -> Fields:
    return {"name": one.name, "lastChangeType": one.change}


def _of_segment(one: Segment) -> Fields:
    prices = {
        "price" if len(one.tiers) == 1 else f"tiers[{tier.tier}].price": tier.price for tier in one.tiers
    }
    dates = {"effectiveStartDate": one.start, "effectiveEndDate": one.end}
    return {"segment": one.number, "quantity": one.quantity, **dates, **prices}


def _changed(old: Fields, new: Fields) -> list[dict[str, Any]]:
    return [
        {"fieldName": name, "oldValue": before, "newValue": after}
        for name in sorted(old.keys() | new.keys())
        if (before := _text(old.get(name))) != (after := _text(new.get(name)))
    ]


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)
