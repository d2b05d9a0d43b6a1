"""The order actions that change what a subscription consists of."""

from __future__ import annotations

from datetime import date

from msgspec.structs import replace

from . import segments
from .catalogue import flat
from .custom import assert_fits, custom_of
from .order import Known, Order, after_resumption, effective, plan_of, put, which
from .requests import Action, ChargeUpdate, one_price
from .tree import Charge, RatePlan, Refused, Version


def add(base: Version, action: Action, order: Order, known: Known) -> Version:
    assert action.add_product is not None
    after_resumption(base, effective(action))
    return replace(base, plans=(*base.plans, plan_of(action.add_product, base, action, order)))


def update(base: Version, action: Action, order: Order, known: Known) -> Version:
    """Each charge named gets a new segment from the day on; the others stay."""
    body = action.update_product
    assert body is not None
    plan = which(base, body, known)
    if body.charge_updates is None or not body.charge_updates:
        raise Refused(22, "UpdateProduct without chargeUpdates changes nothing")
    charges = list(plan.charges)
    for one in body.charge_updates:
        place = _place(plan, one)
        at = body.specific_update_date or _date_of(one, charges[place], action)
        after_resumption(base, at)
        charges[place] = _updated(charges[place], one, at, body.specific_update_date is not None, order)
    changed = "Remove" if plan.change == "Remove" else "Update"
    return put(base, plan, replace(plan, change=changed, charges=tuple(charges)))


def remove(base: Version, action: Action, order: Order, known: Known) -> Version:
    assert action.remove_product is not None
    at = effective(action)
    plan = which(base, action.remove_product, known)
    return put(base, plan, _removed(plan, at, order))


def change(base: Version, action: Action, order: Order, known: Known) -> Version:
    body = action.change_plan
    assert body is not None
    if body.effective_policy not in {None, "SpecificDate", "EffectiveImmediately"}:
        raise Refused(45, f"the stand-in has no effectivePolicy {body.effective_policy}; say SpecificDate")
    at = effective(action)
    after_resumption(base, at)
    plan = which(base, body, known)
    base = put(base, plan, _removed(plan, at, order))
    return replace(base, plans=(*base.plans, plan_of(body.new_product_rate_plan, base, action, order)))


def _removed(plan: RatePlan, at: date, order: Order) -> RatePlan:
    charges = tuple(segments.removed(one, at, order=order.number) for one in plan.charges)
    return replace(plan, change="Remove", charges=charges)


def _place(plan: RatePlan, one: ChargeUpdate) -> int:
    for place, charge in enumerate(plan.charges):
        if one.charge_number is not None:
            if charge.number == one.charge_number:
                return place
        elif one.product_rate_plan_charge_id is not None:
            if charge.product_charge_id == one.product_rate_plan_charge_id:
                return place
        elif charge.product_charge_number == one.product_rate_plan_charge_number:
            return place
    said = one.charge_number or one.product_rate_plan_charge_id or one.product_rate_plan_charge_number
    raise Refused(20, f"rate plan {plan.number} has no charge {said}")


def _date_of(one: ChargeUpdate, charge: Charge, action: Action) -> date:
    """The day an update of a charge takes effect: its own, or that of the event which triggers the charge."""
    said = one.effective_date
    if said is not None and said.specific_trigger_date is not None:
        return said.specific_trigger_date
    event = (said.trigger_event if said is not None else None) or charge.trigger_event
    return action.date_of(event) or effective(action)


def _updated(charge: Charge, one: ChargeUpdate, at: date, before_later: bool, order: Order) -> Charge:
    if charge.type == "OneTime":
        raise Refused(30, f"charge {charge.number} is a one-time charge: it cannot be updated")
    own = {**dict.fromkeys(one.clearing_custom_fields or ()), **(one.custom_fields or {})}
    assert_fits(order.settings.custom_fields, "RatePlanCharge", own, new=False)
    price = one_price(one.pricing)
    tiers = price.tiers
    if price.list_price is not None:
        if charge.model not in {"FlatFee", "PerUnit"}:
            raise Refused(20, f"charge {charge.number} is {charge.model}: it has tiers and no one listPrice")
        tiers = (flat(price.list_price, charge.model),)
    if price.quantity is not None and charge.model == "FlatFee":
        raise Refused(20, f"charge {charge.number} is FlatFee: it has no quantity")
    return segments.cut(
        charge,
        at,
        id=order.minter.id(),
        order=order.number,
        quantity=price.quantity,
        tiers=tiers,
        before_later=before_later,
        custom=custom_of(own),
    )
