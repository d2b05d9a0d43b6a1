"""Suspensions: two actions for all plans, and what is suspended already."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from lockstep.effective import Change, Timeline
from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.found import with_held
from lockstep.systems.zuora.models import Rate, Subscription, Term
from lockstep.systems.zuora.plans.actions import (
    Action,
    CancelSubscription,
    CreateSubscription,
    RemoveProduct,
    Resume,
    Suspend,
)
from lockstep.systems.zuora.plans.orders import planned
from tests.zuora.tenant import Tenant

START, MARCH, APRIL, MAY = (dt.date(2026, month, 1) for month in (1, 3, 4, 5))
PRO, TEAM = {"SEAT": Rate(Decimal(9), Decimal(10))}, {"T": Rate(Decimal(20))}


def wish(*paused: tuple[dt.date, bool | None], **more: Any) -> Subscription:
    charges = {"PRO": Timeline.always(PRO, START), "TEAM": Timeline.always(TEAM, START)}
    pauses = Timeline.from_events(paused)
    return Subscription(key="S-1", **{"term": Term(START, 12), "charges": charges, "paused": pauses, **more})


def order(tenant: Tenant, should: Subscription) -> list[Action]:
    actions = planned(tenant.found(), should, "A-1", today=START).actions
    tenant.order(actions)
    return list(actions)


@pytest.fixture
def tenant() -> Tenant:
    made = Tenant()
    order(made, wish())
    return made


def test_a_pause_of_all_plans_is_two_actions(tenant: Tenant) -> None:
    assert order(tenant, wish((MARCH, True), (APRIL, None))) == [Suspend(date=MARCH), Resume(date=APRIL)]
    assert tenant.costs(MARCH) == {}
    assert tenant.costs(APRIL) == {"PRO": PRO, "TEAM": TEAM}
    assert order(tenant, wish((MARCH, True), (APRIL, None))) == []


def test_one_without_an_end_ends_when_it_should(tenant: Tenant) -> None:
    assert order(tenant, wish((MARCH, True))) == [Suspend(date=MARCH)]
    assert order(tenant, wish((MARCH, True))) == []
    assert order(tenant, wish((MARCH, True), (MAY, None))) == [Resume(date=MAY)]
    assert tenant.costs(MAY) == {"PRO": PRO, "TEAM": TEAM}


def test_one_that_is_prolonged_goes_on_where_it_would_have_ended(tenant: Tenant) -> None:
    order(tenant, wish((MARCH, True), (APRIL, None)))
    longer = wish((MARCH, True), (MAY, None))
    assert order(tenant, longer) == [Suspend(date=APRIL), Resume(date=MAY)]
    assert tenant.costs(MARCH) == tenant.costs(APRIL) == {}
    assert tenant.costs(MAY) == {"PRO": PRO, "TEAM": TEAM}
    assert order(tenant, longer) == []


def test_one_that_is_prolonged_can_end_before_anything_is_charged_again() -> None:
    tenant, june = Tenant(), dt.date(2026, 6, 1)
    gap = {"PRO": Timeline([(START, APRIL, PRO), (june, None, PRO)])}
    order(tenant, wish(charges=gap))
    order(tenant, wish((MARCH, True), (APRIL, None), charges=gap))
    assert order(tenant, wish((MARCH, True), charges=gap)) == [Suspend(date=APRIL)]
    sooner = {"PRO": Timeline([(START, APRIL, PRO), (MAY, None, PRO)])}
    back, *_ = order(tenant, wish((MARCH, True), (MAY, None), charges=sooner))
    assert back == Resume(date=MAY), "what changes from then on is not before the last resumption"
    assert tenant.costs(MAY) == {"PRO": PRO}


def test_one_that_should_not_have_been(tenant: Tenant) -> None:
    order(tenant, wish((MARCH, True)))
    assert order(tenant, wish()) == [Resume(date=MARCH)]
    assert tenant.costs(MARCH) == {"PRO": PRO, "TEAM": TEAM}


def test_until_a_cancellation_the_plans_are_removed(tenant: Tenant) -> None:
    order(tenant, wish((MARCH, True)))
    gone = wish((MARCH, True), cancelled=MAY)
    assert order(tenant, gone) == [
        Resume(date=MARCH),
        RemoveProduct(date=MARCH, line="SRP-0"),
        RemoveProduct(date=MARCH, line="SRP-1"),
        CancelSubscription(date=MAY),
    ]
    assert order(tenant, gone) == []


def test_none_begins_before_the_last_resumption(tenant: Tenant) -> None:
    order(tenant, wish((APRIL, True), (MAY, None)))
    with pytest.raises(DataError, match=r"S-1 was resumed on 2026-05-01: .* before, on 2026-03-01") as error:
        order(tenant, wish((MARCH, True), (dt.date(2026, 3, 10), None), (APRIL, True), (MAY, None)))
    assert "delete the order that resumed it in Zuora" in error.value.remedy


def test_one_that_goes_on_cannot_begin_earlier(tenant: Tenant) -> None:
    order(tenant, wish((APRIL, True)))
    with pytest.raises(
        DataError, match=r"S-1 is suspended since 2026-04-01, .* before, on 2026-03-01"
    ) as error:
        order(tenant, wish((MARCH, True), (MAY, None)))
    assert "delete the order that suspended it in Zuora" in error.value.remedy


def test_none_begins_before_what_was_billed(tenant: Tenant) -> None:
    tenant.bill(APRIL)
    plan = planned(tenant.found(), wish((MARCH, True)), "A-1", today=START)
    assert plan.actions == (Suspend(date=APRIL),)
    assert plan.shifted == {
        "PRO": [Change(MARCH, APRIL, PRO, None)],
        "TEAM": [Change(MARCH, APRIL, TEAM, None)],
    }


def test_a_new_one_begins_with_its_pause() -> None:
    (made,) = order(Tenant(), wish((MARCH, True), (APRIL, None)))
    assert isinstance(made, CreateSubscription)
    assert [(one.start, one.end) for one in made.plans] == [*[(START, MARCH)] * 2, *[(APRIL, None)] * 2]


def test_what_a_suspension_took_away_is_read_from_the_version_before_it(tenant: Tenant) -> None:
    before = tenant.found()
    order(tenant, wish((MARCH, True)))
    now = tenant.found()
    assert before is not None
    assert now is not None
    bare = replace(now, plans=tuple(replace(one, held={}, with_term=False) for one in now.plans))
    assert with_held(bare, before) == now


def test_what_is_suspended_is_not_changed(tenant: Tenant) -> None:
    order(tenant, wish((MARCH, True)))
    with pytest.raises(DataError, match="S-1 is suspended since 2026-03-01") as error:
        order(tenant, wish((MARCH, True), term=Term(START, 24)))
    assert "can only be resumed" in error.value.remedy
