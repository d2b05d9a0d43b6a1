"""What the order actions share: the order they are part of, the plan and the dates they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from msgspec.structs import replace

from .catalogue import ProductPlan, subscribed
from .custom import assert_fits
from .months import plus
from .requests import Action, AddProduct, TermOf, Which
from .settings import Settings
from .tree import PENDING, Minter, RatePlan, Refused, Term, Version

Known = Mapping[str, str]
"""The rate plan ids of all versions of a subscription, and the rate plan numbers they belong to."""


@dataclass(frozen=True)
class Order:
    """What an action needs to know of its order and its tenant."""

    number: str
    account: str
    booked: date
    today: date
    now: datetime
    currency: str
    """The account's."""
    settings: Settings
    minter: Minter
    plan: Callable[[AddProduct], ProductPlan]
    """A plan of the catalogue; raises Refused where there is none, or it is not on sale that day."""
    account_exists: Callable[[str], bool]


def effective(action: Action) -> date:
    """The day from which a change holds: the ContractEffective date."""
    at = action.date_of("ContractEffective")
    if at is None:
        raise Refused(22, f"the ContractEffective date of {action.type} is missing")
    return at


def trigger(event: str, action: Action, version: Version) -> date | None:
    """The date of a trigger event. Where the tenant requires none, an unsaid one is the contract's."""
    said = action.date_of(event)
    if said is not None or version.status in PENDING:
        return said
    return action.date_of("ContractEffective")


def after_resumption(version: Version, at: date) -> None:
    if version.resumed is not None and at < version.resumed:
        raise Refused(
            30, f"subscription {version.number} was resumed on {version.resumed}: no change before that date"
        )


def which(version: Version, body: Which, known: Known) -> RatePlan:
    """The rate plan an action means."""
    number = body.subscription_rate_plan_number
    if body.rate_plan_id is not None:
        number = known.get(body.rate_plan_id) or next(
            (one.number for one in version.plans if one.id == body.rate_plan_id), None
        )
        if number is None:
            raise Refused(20, f"ratePlanId {body.rate_plan_id} is of no version of {version.number}")
    if number is not None:
        found = [one for one in version.plans if one.number == number]
    else:
        found = [
            one
            for one in version.plans
            if one.product_rate_plan_id == body.product_rate_plan_id and one.change != "Remove"
        ]
    if len(found) != 1:
        raise Refused(
            20, f"the action names {'no' if not found else 'more than one'} rate plan of {version.number}"
        )
    return found[0]


def put(version: Version, old: RatePlan, new: RatePlan) -> Version:
    return replace(version, plans=tuple(new if one is old else one for one in version.plans))


def plan_of(one: AddProduct, version: Version, action: Action, order: Order) -> RatePlan:
    number = one.subscription_rate_plan_number
    if number is not None and any(plan.number == number for plan in version.plans):
        raise Refused(43, f"subscription {version.number} has a rate plan {number} already")
    product = order.plan(one)
    for override in one.charge_overrides or ():
        own = override.custom_fields or {}
        assert_fits(order.settings.custom_fields, "RatePlanCharge", own, new=True)
    return subscribed(
        product,
        tuple(override.override() for override in one.charge_overrides or ()),
        currency=version.currency,
        dates=lambda event: trigger(event, action, version),
        term_end=version.term.end,
        order=order.number,
        number=one.subscription_rate_plan_number,
        only_these=one.is_adding_subset_charges,
        minter=order.minter,
    )


def term_of(said: TermOf, start: date | None) -> Term:
    """The term an order asks for, with its end worked out."""
    if said.term_type == "EVERGREEN":
        return Term(type="EVERGREEN", start=start, period=None, period_type=None, end=None)
    if said.term_type != "TERMED":
        raise Refused(20, f"termType {said.term_type!r} is neither TERMED nor EVERGREEN")
    if said.end_date is not None:
        end: date | None = said.end_date
    elif said.period is None:
        raise Refused(22, "a TERMED term needs a period or an endDate")
    else:
        end = None if start is None else plus(start, said.period, said.period_type or "Month")
    if start is not None and end is not None and end <= start:
        raise Refused(30, f"the term would end on {end}, which is not after its start on {start}")
    return Term(
        type="TERMED", start=start, period=said.period, period_type=said.period_type or "Month", end=end
    )
