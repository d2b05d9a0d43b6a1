"""What can be ordered, whatever was ordered before: any change from the last resumption on, while there is no
pause without an end. No history of such changes is ever stuck."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from lockstep.effective import Timeline
from lockstep.systems.zuora.models import Rates, Subscription, Term
from lockstep.systems.zuora.plans.orders import planned
from tests.zuora.tenant import Tenant
from tests.zuora.wishes import DAYS, LOOKS, START, rates

PLANS = ("B", "C")

Event = tuple[dt.date, Rates | None]


class Said:
    """What an app says of a subscription, event by event."""

    def __init__(self) -> None:
        self.plans: dict[str, list[Event]] = {plan: [] for plan in PLANS}
        self.pauses: list[tuple[dt.date, dt.date | None]] = []
        self.cancelled: dt.date | None = None

    @property
    def open(self) -> dt.date | None:
        """Since when a pause without an end is."""
        return self.pauses[-1][0] if self.pauses and self.pauses[-1][1] is None else None

    @property
    def first(self) -> dt.date:
        """The first day that can be changed."""
        return max([START, *(end for _, end in self.pauses if end is not None)])

    @property
    def subscription(self) -> Subscription:
        charges = {plan: Timeline.from_events(events) for plan, events in self.plans.items()}
        paused = Timeline((start, end, True) for start, end in self.pauses)
        return Subscription(
            key="S-1", term=Term(START), charges=charges, paused=paused, cancelled=self.cancelled
        )

    def goes_on(self, data: st.DataObject) -> None:
        """One event more."""
        first = max(self.first, self.open or self.first)
        day = data.draw(st.sampled_from([first, *(day for day in DAYS if day > first)]))
        kind = data.draw(st.sampled_from(["change", "change", "change", "pause", "pause", "cancel"]))
        if kind == "cancel":
            self.cancelled = day
        elif self.open is not None:
            self.pauses[-1] = (self.open, max(day, self.open + dt.timedelta(1)))
        elif kind == "pause":
            until = data.draw(st.none() | st.sampled_from([day + dt.timedelta(n) for n in (1, 20, 50)]))
            self.pauses.append((day, until))
        else:
            plan = data.draw(st.sampled_from(PLANS))
            self.plans[plan].append((day, data.draw(st.none() | rates(plan))))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_what_comes_after_the_last_resumption_can_always_be_ordered(data: st.DataObject) -> None:
    tenant, said = Tenant(), Said()
    for plan in PLANS:
        said.plans[plan].append((START, data.draw(st.none() | rates(plan))))
    for _ in range(data.draw(st.integers(1, 8))):
        if data.draw(st.sampled_from([True, True, False])):  # else what comes next is ordered with it
            tenant.order(planned(tenant.found(), said.subscription, "A-1", today=START).actions)
        if said.cancelled is None:
            said.goes_on(data)
    tenant.order(planned(tenant.found(), said.subscription, "A-1", today=START).actions)
    for day in LOOKS:
        assert tenant.costs(day) == _costs(said, day), day


def _costs(said: Said, day: dt.date) -> dict[str, Rates]:
    """By the events alone: of one day the last wins."""
    if said.cancelled is not None and day >= said.cancelled:
        return {}
    if any(start <= day and (end is None or day < end) for start, end in said.pauses):
        return {}
    last: dict[str, Rates | None] = {}
    for plan, events in said.plans.items():
        for _, rate in sorted((event for event in events if event[0] <= day), key=lambda event: event[0]):
            last[plan] = rate
    return {plan: rate for plan, rate in last.items() if rate is not None}
