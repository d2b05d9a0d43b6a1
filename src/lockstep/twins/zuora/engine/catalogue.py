"""Products as a subscription copies them: a rate plan's charges with a price for each currency."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal

import msgspec

from .months import MONTHS_OF, plus
from .tree import Charge, Minter, RatePlan, Refused, Segment, Tier

MODELS = ("FlatFee", "PerUnit", "Tiered", "Volume")
"""The charge models that are priced here. Others are listed in the catalogue and refused in an order."""


class ProductCharge(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    number: str
    name: str
    model: str
    type: str
    uom: str | None = None
    billing_period: str | None = None
    billing_timing: str | None = "In_Advance"
    trigger_event: str = "ContractEffective"
    end_condition: str = "Subscription_End"
    up_to: int | None = None
    up_to_type: str | None = None
    default_quantity: Decimal | None = None
    tiers: dict[str, tuple[Tier, ...]] = {}
    """By currency."""


class ProductPlan(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    number: str
    name: str
    product_id: str
    product_name: str
    charges: tuple[ProductCharge, ...]


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What an order says otherwise than the catalogue, of one charge."""

    product_charge: str
    """Its id or its number in the catalogue."""
    charge_number: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    tiers: tuple[Tier, ...] | None = None
    billing_period: str | None = None
    trigger_event: str | None = None
    trigger_date: date | None = None
    end_condition: str | None = None
    end_date: date | None = None
    up_to: int | None = None
    up_to_type: str | None = None
    custom: dict[str, object] = {}


def subscribed(
    plan: ProductPlan,
    overrides: tuple[Override, ...],
    *,
    currency: str,
    dates: Callable[[str], date | None],
    term_end: date | None,
    order: str,
    number: str | None,
    only_these: bool,
    minter: Minter,
) -> RatePlan:
    """The plan as a new rate plan of a subscription, each charge with its first segment.

    `dates` gives the date of a trigger event, or None where it is not known: such a charge is pending.
    """
    known = {key: charge.id for charge in plan.charges for key in (charge.id, charge.number)}
    for one in overrides:
        if one.product_charge not in known:
            raise Refused(
                20, f"product rate plan {plan.number} has no product rate plan charge {one.product_charge!r}"
            )
    by_id = {known[one.product_charge]: one for one in overrides}
    charges = [
        _charge(each, by_id.get(each.id), currency, dates, term_end, order, minter)
        for each in plan.charges
        if not only_these or each.id in by_id
    ]
    id = minter.id()
    return RatePlan(
        id=id,
        number=number or minter.number("SRP-"),
        original_id=id,
        product_id=plan.product_id,
        product_name=plan.product_name,
        product_rate_plan_id=plan.id,
        product_rate_plan_number=plan.number,
        name=plan.name,
        change="Add",
        charges=tuple(charges),
    )


def _charge(
    product: ProductCharge,
    said: Override | None,
    currency: str,
    dates: Callable[[str], date | None],
    term_end: date | None,
    order: str,
    minter: Minter,
) -> Charge:
    said = said or Override(product_charge=product.id)
    if product.model not in MODELS:
        raise Refused(
            45, f"the stand-in has no charge model {product.model} ({product.name}); it has {MODELS}"
        )
    period = said.billing_period or product.billing_period
    if product.type == "Recurring" and period not in MONTHS_OF:
        raise Refused(45, f"the stand-in has no billing period {period!r}; it has {', '.join(MONTHS_OF)}")
    if said.tiers is None and said.price is None and currency not in product.tiers:
        raise Refused(
            30, f"the product rate plan charge {product.number} ({product.name}) has no price in {currency}"
        )
    quantity = said.quantity if said.quantity is not None else product.default_quantity
    if product.model == "FlatFee":
        quantity = None
    elif quantity is None:
        raise Refused(22, f"the quantity of charge {product.name} is missing")
    event = said.trigger_event or product.trigger_event
    start = said.trigger_date if event == "SpecificDate" else dates(event)
    id = minter.id()
    charge = Charge(
        number=said.charge_number or minter.number("C-"),
        original_id=id,
        product_charge_id=product.id,
        product_charge_number=product.number,
        name=product.name,
        model=product.model,
        type=product.type,
        currency=currency,
        uom=product.uom,
        billing_period=period,
        billing_timing=product.billing_timing,
        trigger_event=event,
        trigger_date=said.trigger_date,
        end_condition="One_Time"
        if product.type == "OneTime"
        else said.end_condition or product.end_condition,
        end_date=said.end_date,
        up_to=said.up_to or product.up_to,
        up_to_type=said.up_to_type or product.up_to_type,
        segments=(),
    )
    first = Segment(
        id=id,
        number=1,
        version=1,
        start=start,
        end=None if start is None else first_end(charge, start, term_end),
        quantity=quantity,
        tiers=priced(said, product.tiers.get(currency, ()), product.model),
        change="Add",
        order=order,
        custom=said.custom,
    )
    return msgspec.structs.replace(charge, segments=(first,))


def first_end(charge: Charge, start: date, term_end: date | None) -> date | None:
    """Where a charge that begins at `start` ends. One that would begin after the term's end has no day."""
    if charge.end_condition == "One_Time":
        return plus(start, 1, "Day")
    end = term_end
    if charge.end_condition == "Specific_End_Date":
        if charge.end_date is None:
            raise Refused(22, f"specificEndDate of charge {charge.name} is missing")
        end = charge.end_date if end is None else min(end, charge.end_date)
    elif charge.end_condition == "Fixed_Period":
        if charge.up_to is None or charge.up_to_type not in {"Days", "Weeks", "Months", "Years"}:
            raise Refused(22, f"charge {charge.name} ends after upToPeriods of upToPeriodsType: say both")
        fixed = plus(start, charge.up_to, charge.up_to_type)
        end = fixed if end is None else min(end, fixed)
    if end is not None and end < start:
        raise Refused(30, f"charge {charge.name} would begin on {start}, after its end on {end}")
    return end


def priced(said: Override, tiers: tuple[Tier, ...], model: str) -> tuple[Tier, ...]:
    """Whose prices hold: the order's, where it says some."""
    if said.tiers is not None:
        return said.tiers
    if said.price is None:
        return tiers
    if model not in {"FlatFee", "PerUnit"}:
        raise Refused(20, f"a {model} charge has tiers and no one listPrice")
    return (flat(said.price, model),)


def flat(price: Decimal, model: str) -> Tier:
    """The one tier of a FlatFee or PerUnit charge."""
    return Tier(tier=1, starting_unit=None, ending_unit=None, price=price, price_format=model)
