"""Orders make a subscription what it should be: at once, but for what was billed, and only once."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lockstep.effective import Timeline
from lockstep.errors import DataError
from lockstep.systems.zuora.models import Rate, Rates, Subscription, Term, plus_months
from lockstep.systems.zuora.plans.orders import Planned, planned
from tests.zuora.tenant import FOREVER, Tenant
from tests.zuora.wishes import DAYS, LOOKS, NAMES, START, WISHES

TODAY = dt.date(2026, 3, 5)
RATES: Rates = {"A1": Rate(Decimal(9)), "A2": Rate(Decimal(9))}


def ordered(tenant: Tenant, should: Subscription, **how: Any) -> Planned:
    plan = planned(tenant.found(), should, "A-1", today=TODAY, **how)
    tenant.order(plan.actions)
    return plan


def costs(plans: dict[str, Timeline[Rates]], day: dt.date) -> dict[str, Rates]:
    return {plan: now for plan, timeline in plans.items() if (now := timeline.at(day)) is not None}


@settings(max_examples=150, deadline=None)
@given(st.data(), st.booleans())
def test_any_history_of_wishes_is_met_and_what_was_billed_stays(data: st.DataObject, split: bool) -> None:
    tenant = Tenant(split)
    for _ in range(data.draw(st.integers(1, 4))):
        should, rewrite = data.draw(WISHES), data.draw(st.booleans())
        unpaused = replace(should, paused=Timeline())
        before = {day: tenant.costs(day) for day in LOOKS}
        billed = tenant.history()
        try:
            plan = ordered(tenant, should, rewrite_billed=rewrite)
        except DataError:
            assert tenant.number
            assert tenant.cancelled or tenant.suspended or tenant.resumed > START
            event("refused")
            return
        for action in plan.actions:
            event(type(action).__name__)
        again = ordered(tenant, should, rewrite_billed=rewrite)
        assert again.actions == ()
        assert again.expected == plan.expected
        for day in LOOKS:
            assert tenant.costs(day) == costs(plan.expected, day)
            wished = _wished(tenant, should, day)
            for name in NAMES:
                now = tenant.costs(day).get(name)
                if not rewrite and name in billed and day < billed[name]:
                    assert now == before[day].get(name), "billed"
                elif not rewrite and should.paused.at(day) and day < max(billed.values(), default=START):
                    # a suspension is of all plans: none begins before what was billed of any
                    assert now in (None, _wished(tenant, unpaused, day).get(name))
                else:
                    assert now == wished.get(name), f"{name} on {day}"
        shifted = {day for day in LOOKS if tenant.costs(day) != _wished(tenant, should, day)}
        assert shifted == {
            day
            for day in LOOKS
            if any(
                one.start <= day and (one.end is None or day < one.end)
                for changes in plan.shifted.values()
                for one in changes
                if one.start
            )
        }
        tenant.bill(data.draw(st.sampled_from(DAYS)))


@pytest.mark.parametrize("months", [3, 4])
@pytest.mark.parametrize("paused", [None, START + dt.timedelta(days=150)])
def test_what_begins_when_a_shorter_term_is_over_does_not_come_back(
    months: int, paused: dt.date | None
) -> None:
    """Terms that end on the day on which the plan begins, and a month before. A resumption forbids earlier
    changes."""
    tenant = Tenant()
    late = {"A": Timeline.from_events([(plus_months(START, 4), RATES)])}
    pause = (
        Timeline()
        if paused is None
        else Timeline.from_events([(paused, True), (plus_months(paused, 1), None)])
    )
    ordered(tenant, Subscription(key="S-1", term=Term(START), charges=late, paused=pause))
    ordered(tenant, Subscription(key="S-1", term=Term(START, months), charges={}))
    for term in (Term(START, 5), Term(START)):
        plan = ordered(tenant, Subscription(key="S-1", term=term, charges={}))
        assert plan.expected == {}
        assert all(tenant.costs(day) == {} for day in LOOKS)


def test_a_term_is_not_cut_over_a_plan_that_can_be_removed_no_more() -> None:
    """All days of the plan lie before the last resumption. The term ended there, as they were billed."""
    tenant = Tenant()
    begins, paused = plus_months(START, 1), START + dt.timedelta(days=29)
    late = Subscription(key="S-1", term=Term(START), charges={"A": Timeline.from_events([(begins, RATES)])})
    ordered(tenant, late)
    ordered(tenant, replace(late, paused=Timeline.from_events([(paused, True)])))
    tenant.bill(paused)
    short = Subscription(key="S-1", term=Term(START, 1), charges={})
    ordered(tenant, short)
    assert (tenant.end, tenant.resumed) == (paused, paused)
    with pytest.raises(DataError, match="resumed on 2026-03-01: it cannot be changed before, on 2026-02-28"):
        ordered(tenant, short, rewrite_billed=True)


def test_what_was_cancelled_where_its_term_ends_does_not_renew_itself() -> None:
    tenant = Tenant()
    end = plus_months(START, 2)
    going = Subscription(
        key="S-1", term=Term(START, 2, renews=True), charges={"A": Timeline.always(RATES, START)}
    )
    ordered(tenant, going)
    ordered(tenant, replace(going, cancelled=end))
    assert tenant.cancelled == end
    with pytest.raises(DataError, match="cancelled on 2026-03-31 in Zuora, and rate plan A should be other"):
        ordered(tenant, going)
    over = {"A": Timeline.always(RATES, START, end)}
    assert ordered(tenant, replace(going, charges=over)).actions == (), "it would renew itself for nothing"
    assert ordered(tenant, replace(going, term=Term(START, 2))).actions == ()


def _wished(tenant: Tenant, should: Subscription, day: dt.date) -> dict[str, Rates]:
    """What the wish says of a day: within the term, which may have renewed itself, and not cancelled."""
    end = should.term.end
    if should.term.renews and end is not None and tenant.number:
        end = end if tenant.end == FOREVER else max(end, tenant.end)
        until = should.cancelled or tenant.cancelled
        if until is not None:
            end = max(end, until)  # it renews itself until then
    over = (end is not None and day >= end) or (should.cancelled is not None and day >= should.cancelled)
    return {} if over or should.paused.at(day) else costs(should.charges, day)
