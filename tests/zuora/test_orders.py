"""Orders make a subscription what it should be: at once, but for what was billed, and only once."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from lockstep.effective import Timeline
from lockstep.errors import DataError
from lockstep.systems.zuora.models import Rate, Rates, Subscription, Term
from lockstep.systems.zuora.orders import Planned, planned
from tests.zuora.tenant import Tenant

START = dt.date(2026, 1, 31)
TODAY = dt.date(2026, 3, 5)
DAYS = [START + dt.timedelta(days=n) for n in (0, 1, 28, 40, 59, 75, 90, 120)]
LOOKS = sorted(
    {day + dt.timedelta(days=n) for day in DAYS for n in (0, 1)} | {dt.date(2027, 1, 1), dt.date(2031, 1, 1)}
)
NAMES = {"A": ("A1", "A2"), "B": ("B1",), "C": ("C1",)}


def rates(plan: str) -> st.SearchStrategy[Rates]:
    one = st.builds(
        Rate, st.sampled_from([Decimal("9.00"), Decimal("12.50")]), st.sampled_from([None, Decimal(5)])
    )
    return st.fixed_dictionaries(dict.fromkeys(NAMES[plan], one))


def plans() -> st.SearchStrategy[dict[str, Timeline[Rates]]]:
    def timeline(plan: str) -> st.SearchStrategy[Timeline[Rates]]:
        told = st.tuples(st.sampled_from(DAYS), st.none() | rates(plan))
        return st.lists(told, max_size=5).map(Timeline.from_events)

    return st.fixed_dictionaries({plan: timeline(plan) for plan in NAMES})


TERMS = st.sampled_from(
    [
        Term(START),
        Term(START, 1),
        Term(START, 3),
        Term(START, 4),
        Term(START, 2, renews=True),
        Term(START, 4, renews=True),
    ]
)
SHOULDS = st.builds(
    Subscription,
    key=st.just("S-1"),
    term=TERMS,
    charges=plans(),
    cancelled=st.none() | st.none() | st.sampled_from(DAYS),
)


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
        should, rewrite = data.draw(SHOULDS), data.draw(st.booleans())
        before = {day: tenant.costs(day) for day in LOOKS}
        billed = tenant.history()
        try:
            plan = ordered(tenant, should, rewrite_billed=rewrite)
        except DataError:
            assert tenant.cancelled is not None
            return
        event(f"actions: {len(plan.actions)}")
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


def _wished(tenant: Tenant, should: Subscription, day: dt.date) -> dict[str, Rates]:
    """What the wish says of a day: within the term, which may have renewed itself, and not cancelled."""
    end = should.term.end
    if should.term.renews and end is not None and tenant.number:
        end = max(end, tenant.end)
        if should.cancelled is not None:
            end = max(end, should.cancelled)  # it renews itself until then
    over = (end is not None and day >= end) or (should.cancelled is not None and day >= should.cancelled)
    return {} if over else costs(should.charges, day)
