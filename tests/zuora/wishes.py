"""Wishes for Hypothesis: what a subscription should be."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from hypothesis import strategies as st

from lockstep.effective import Timeline
from lockstep.systems.zuora.models import Rate, Rates, Subscription, Term

START = dt.date(2026, 1, 31)
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


def pauses() -> st.SearchStrategy[Timeline[bool]]:
    told = st.tuples(st.sampled_from(DAYS), st.none() | st.just(True))
    return st.lists(told, max_size=3).map(Timeline.from_events)


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
WISHES = st.builds(
    Subscription,
    key=st.just("S-1"),
    term=TERMS,
    charges=plans(),
    paused=st.just(Timeline()) | pauses(),
    cancelled=st.none() | st.none() | st.sampled_from(DAYS),
)
