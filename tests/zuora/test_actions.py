"""The actions of single changes: no more than it takes, on the right day, or none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from lockstep.effective import Change, Moment, Timeline
from lockstep.errors import DataError
from lockstep.systems.zuora.models import Account, Contact, Rate, Rates, Subscription, Term, Tier
from lockstep.systems.zuora.plans.actions import (
    Action,
    CancelSubscription,
    ChangePlan,
    CreateSubscription,
    DateRules,
    OwnerTransfer,
    RemoveProduct,
    RenewSubscription,
    Subscribed,
    TermsAndConditions,
    UpdateProduct,
)
from lockstep.systems.zuora.plans.orders import Planned, planned
from tests.zuora.tenant import Tenant

START, MARCH, APRIL, MAY = dt.date(2026, 1, 1), dt.date(2026, 3, 3), dt.date(2026, 4, 1), dt.date(2026, 5, 1)
TODAY = dt.date(2026, 3, 20)
YEAR = Term(START, 12)


def seats(price: str, quantity: int = 10) -> Rates:
    return {"SEAT": Rate(Decimal(price), Decimal(quantity))}


def wish(*told: tuple[Moment, Rates | None], term: Term = YEAR, **more: Any) -> Subscription:
    return Subscription(key="S-1", term=term, charges={"PRO": Timeline.from_events(told)}, **more)


def order(tenant: Tenant, should: Subscription, account: str = "A-1", **how: Any) -> Planned:
    plan = planned(tenant.found(), should, account, today=TODAY, **how)
    tenant.order(plan.actions)
    return plan


@pytest.fixture
def tenant() -> Tenant:
    """Ten seats at 9.00 for a year."""
    made = Tenant()
    order(made, wish((START, seats("9"))))
    return made


def test_a_new_subscription_is_one_action_with_what_comes_later() -> None:
    plan = order(Tenant(), wish((START, seats("9")), (APRIL, None), (MAY, seats("9"))))
    assert plan.actions == (
        CreateSubscription(
            date=START,
            number="S-1",
            account="A-1",
            months=12,
            renews=False,
            renewal_months=None,
            plans=(
                Subscribed(line="PRO+1", plan="PRO", rates=seats("9"), start=START, end=APRIL),
                Subscribed(line="PRO+2", plan="PRO", rates=seats("9"), start=MAY),
            ),
        ),
    )


def test_a_price_rise_and_a_later_one_that_stays(tenant: Tenant) -> None:
    rise = order(tenant, wish((START, seats("9")), (MAY, seats("12"))))
    assert rise.actions == (UpdateProduct(date=MAY, line="SRP-0", rates=seats("12"), before_later=False),)
    more = order(tenant, wish((START, seats("9")), (APRIL, seats("9", 15)), (MAY, seats("12"))))
    assert more.actions == (UpdateProduct(date=APRIL, line="SRP-0", rates=seats("9", 15), before_later=True),)


def test_one_plan_for_another_is_one_change(tenant: Tenant) -> None:
    should = wish((START, seats("9")), (APRIL, None))
    team = {"TEAM-SEAT": Rate(Decimal(20), Decimal(10))}
    should.charges["TEAM"] = Timeline.always(team, APRIL)
    added = Subscribed(line="TEAM+1", plan="TEAM", rates=team, start=APRIL)
    assert order(tenant, should).actions == (ChangePlan(date=APRIL, line="SRP-0", added=added),)


@pytest.mark.parametrize(
    ("should", "actions"),
    [
        (wish((START, seats("9")), (MAY, None)), [RemoveProduct(date=MAY, line="SRP-0")]),
        (wish((START, seats("9")), cancelled=MAY), [CancelSubscription(date=MAY)]),
        (
            wish((START, seats("9")), term=Term(START)),
            [TermsAndConditions(date=TODAY, end=None, renews=False, renewal_months=None)],
        ),
    ],
)
def test_ends(tenant: Tenant, should: Subscription, actions: list[Action]) -> None:
    assert list(order(tenant, should).actions) == actions


def test_a_renewal_and_one_that_zuora_made_itself() -> None:
    tenant = Tenant(split=True)
    order(tenant, wish((START, seats("9")), term=Term(START, 12, renews=True)))
    longer = order(tenant, wish((START, seats("9")), term=Term(START, 24, renews=True, renewal_months=12)))
    assert longer.actions == (RenewSubscription(date=dt.date(2027, 1, 1)),)
    assert order(tenant, wish((START, seats("9")), term=Term(START, 12, renews=True))).actions == ()


def test_what_was_removed_does_not_come_back_with_a_later_end_of_the_term(tenant: Tenant) -> None:
    order(tenant, wish((START, seats("9")), (APRIL, None)))
    order(tenant, wish((START, seats("9")), (APRIL, None), term=Term(START, 3)))
    longer = order(tenant, wish((START, seats("9")), (APRIL, None)))
    assert [type(one) for one in longer.actions] == [TermsAndConditions]


def test_another_owner(tenant: Tenant) -> None:
    assert order(tenant, wish((START, seats("9"))), "A-2").actions == (
        OwnerTransfer(date=TODAY, account="A-2"),
    )


def test_what_was_billed_stays_unless_it_may_be_rewritten(tenant: Tenant) -> None:
    tenant.bill(APRIL)
    should = wish((START, seats("9")), (MARCH, seats("12")))
    unbilled = planned(tenant.found(), should, "A-1", today=TODAY)
    assert unbilled.actions == (
        UpdateProduct(date=APRIL, line="SRP-0", rates=seats("12"), before_later=False),
    )
    assert unbilled.shifted == {"PRO": [Change(MARCH, APRIL, seats("9"), seats("12"))]}
    rewritten = order(tenant, should, rewrite_billed=True)
    assert [one.date for one in rewritten.actions] == [MARCH]
    assert rewritten.shifted == {}


def test_of_several_changes_on_a_day_of_the_tenant_the_last_wins(tenant: Tenant) -> None:
    at = [dt.datetime(2026, 4, 30, hour, tzinfo=dt.UTC) for hour in (21, 22, 23)]  # 23:00, 0:00, 1:00
    should = wish(
        (dt.datetime(2026, 1, 1, tzinfo=dt.UTC), seats("9")),
        *zip(at, [seats("9", 11), seats("9", 12), seats("9", 13)], strict=True),
    )
    plan = order(tenant, should, rules=DateRules("Europe/Berlin"))
    assert [(one.date, one.rates) for one in plan.actions if isinstance(one, UpdateProduct)] == [
        (dt.date(2026, 4, 30), seats("9", 11)),
        (MAY, seats("9", 13)),
    ]


def test_trigger_dates_are_those_the_tenant_asks_for() -> None:
    action: Action = CancelSubscription(date=MAY)
    assert DateRules().trigger_dates(action) == {"ContractEffective": MAY}
    assert list(DateRules(requires_acceptance=True).trigger_dates(action)) == [
        "ContractEffective",
        "ServiceActivation",
        "CustomerAcceptance",
    ]


def test_a_charge_that_is_priced_otherwise_is_updated_alone(tenant: Tenant) -> None:
    both = {**seats("9"), "BASE": Rate((Tier(Decimal(5), Decimal(1)), Tier(None, Decimal(2), flat=True)))}
    tenant = Tenant()
    order(tenant, wish((START, both)))
    plan = order(tenant, wish((START, both), (MAY, {**both, **seats("8")})))
    assert [one.rates for one in plan.actions if isinstance(one, UpdateProduct)] == [seats("8")]


def _cancelled(tenant: Tenant) -> None:
    order(tenant, wish((START, seats("9")), cancelled=MAY))
    order(tenant, wish((START, seats("9"))))


def _twice(tenant: Tenant) -> None:
    found = tenant.found()
    assert found is not None
    (one,) = found.plans
    planned(
        replace(found, plans=(one, replace(one, line="SRP-9"))), wish((START, seats("9"))), "A-1", today=TODAY
    )


def _resumed(tenant: Tenant) -> None:
    found = tenant.found()
    assert found is not None
    should = wish((START, seats("9")), (MARCH, seats("8")))
    planned(replace(found, resumed=APRIL), should, "A-1", today=TODAY)


_CONTACT = Contact(first_name="Ada", last_name="Bee")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda made: order(made, wish((dt.date(2025, 12, 1), seats("9")))), "S-1 begins on 2026-01-01"),
        (_cancelled, "S-1 was cancelled on 2026-05-01 in Zuora, and rate plan PRO"),
        (_twice, "S-1 has rate plan PRO twice at once, from 2026-01-01 on: SRP-9"),
        (_resumed, "S-1 was resumed on 2026-04-01"),
        (lambda _: wish((START, seats("9")), (MAY, {"X": Rate(Decimal(1))})), "has the charges SEAT"),
        (lambda _: Rate(9.5), "a price is 9.5, which is no exact number"),  # type: ignore[arg-type]
        (lambda _: wish(cancelled=dt.date(2025, 1, 1)), "cancelled before"),
        (lambda _: Term(START, 0), "a term of 0 months"),
        (lambda _: Account(key="a/b", name="", currency="EUR", bill_to=_CONTACT), "number 'a/b'"),
        (
            lambda _: Account(
                key="A", name="", currency="EUR", bill_to=_CONTACT, subscriptions=(wish(), wish())
            ),
            "account A has two subscriptions S-1",
        ),
    ],
)
def test_what_no_order_can_say_is_refused(
    tenant: Tenant, make: Callable[[Tenant], object], message: str
) -> None:
    with pytest.raises(DataError) as error:
        make(tenant)
    assert message in str(error.value)
    assert error.value.remedy
