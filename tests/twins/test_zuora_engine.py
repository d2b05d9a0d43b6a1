"""Any history of order actions, beside a brute-force model that knows days and nothing of segments."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lockstep.twins.zuora.engine.history import History
from lockstep.twins.zuora.engine.tree import Refused
from tests.twins.tenant import Tenant, act, cancel, remove, renew, resume, seats, subscribe, suspend

DAY = timedelta(days=1)
BEGIN = date(2025, 1, 1)
Value = tuple[str, str]
"""Quantity and price of a day."""


class Days:
    """What the customer pays each day. Terms are twenty days long."""

    def __init__(self) -> None:
        self.end = BEGIN + 20 * DAY
        self.days: dict[date, Value] = {BEGIN + n * DAY: ("10", "10") for n in range(20)}
        self.marks = {BEGIN}
        """Days on which something new was booked to begin: an update lasts until the next one."""
        self.held: dict[date, Value] = {}
        self.suspended = BEGIN
        self.removed = False

    def update(self, at: date, price: str | None, quantity: int | None) -> None:
        old = self.days[at]
        new = (str(quantity) if quantity is not None else old[0], price if price is not None else old[1])
        day = at
        while day in self.days and (day == at or day not in self.marks):
            self.days[day] = new
            day += DAY
        self.marks.add(at)

    def stop(self, at: date) -> None:
        self.days = {day: value for day, value in self.days.items() if day < at}

    def renew(self) -> None:
        last = self.days.get(self.end - DAY)
        for n in range(20):
            if last is not None and not self.removed:
                self.days[self.end + n * DAY] = last
        self.end += 20 * DAY

    def suspend(self, at: date) -> None:
        self.held = {day: value for day, value in self.days.items() if day >= at}
        self.suspended = at
        self.stop(at)

    def resume(self, at: date, extends: bool) -> None:
        away = (at - self.suspended) if extends else timedelta(0)
        last = self.held.get(self.end - DAY)
        if last is not None:
            self.held |= {self.end + n * DAY: last for n in range(away.days)}
        self.days |= {day: value for day, value in self.held.items() if day >= at}
        self.held = {}
        self.marks.add(at)
        self.end += away


def _paid(made: Tenant) -> dict[date, Value]:
    """The same, read from the segments."""
    found: dict[date, Value] = {}
    for one in made.rows():
        assert one.start is not None
        assert one.end is not None
        assert one.start <= one.end
        for n in range((one.end - one.start).days):
            day = one.start + n * DAY
            assert day not in found, "segments of a charge do not overlap"
            found[day] = (str(one.quantity), str(one.tiers[0].price))
    return found


days = st.integers(0, 45).map(lambda n: BEGIN + n * DAY)
steps = st.one_of(
    st.tuples(
        st.just("update"),
        days,
        st.none() | st.sampled_from("789"),
        st.none() | st.integers(1, 4),
        st.booleans(),
    ),
    st.tuples(st.just("remove"), days),
    st.tuples(st.just("cancel"), days),
    st.tuples(st.just("renew")),
    st.tuples(st.just("suspend"), days),
    st.tuples(st.just("resume"), days, st.booleans()),
    st.tuples(st.just("delete")),
    st.tuples(st.just("transfer")),
)


@settings(max_examples=400, deadline=None)
@given(st.lists(steps, max_size=12), st.booleans())
def test_segments_say_what_each_day_costs(history: list[Any], split: bool) -> None:
    made = Tenant(split_by_term=split)
    made.do(subscribe(term={"termType": "TERMED", "period": 20, "periodType": "Day"}))
    made.do(act("TermsAndConditions", "2025-01-01", renewalTerms=[{"period": 20, "periodType": "Day"}]))
    model = Days()
    past: list[tuple[str, Days, History]] = []
    for step in history:
        before, kept = made.history, _copy(model)
        try:
            order = _do(made, model, split, step, past)
        except Refused:
            assert made.history is before, "what is refused changes nothing"
            model = kept
            continue
        if order is None:
            model = past.pop()[1]
        else:
            past.append((order, kept, before))
            assert made.history[: len(before)] == before, "what was known then is not rewritten"
        assert _paid(made) == model.days
        _always(made)


def _do(made: Tenant, model: Days, split: bool, step: Any, past: list[Any]) -> str | None:
    """One step on both. The order's number; None where the last one was deleted."""
    kind, *rest = step
    if kind == "delete":
        if not past:
            raise Refused(40, "nothing to delete")
        order, _, before = past[-1]
        made.delete(order)
        assert made.history == before
        return None
    day = str(rest[0]) if rest else str(model.end)
    if kind == "update":
        _, at, price, quantity, first = step
        order = made.do(seats(day, price=price, quantity=quantity, before=first))
        model.update(at, price, quantity)
    elif kind == "remove":
        order = made.do(remove(day))
        model.stop(rest[0])
        model.removed = True
    elif kind == "cancel":
        order = made.do(cancel(day))
        model.stop(rest[0])
    elif kind == "renew":
        order = made.do(renew(day))
        if split:
            model.marks.add(model.end)
        model.renew()
    elif kind == "suspend":
        order = made.do(suspend(day))
        model.suspend(rest[0])
    elif kind == "resume":
        order = made.do(resume(day, rest[1]))
        model.resume(*rest)
    else:
        order = made.do(act("OwnerTransfer", day, destinationAccountNumber="A2"))
    return order


def _copy(model: Days) -> Days:
    same = Days()
    same.__dict__ |= {
        name: value.copy() if isinstance(value, dict | set) else value for name, value in vars(model).items()
    }
    return same


def _always(made: Tenant) -> None:
    """What holds of every history (the research's section on how change over time is stored)."""
    versions = made.history
    assert [one.version for one in versions] == list(range(1, len(versions) + 1))
    assert [one.previous_id for one in versions] == [None, *(one.id for one in versions[:-1])]
    ids = [one.id for one in versions]
    ids += [plan.id for one in versions for plan in one.plans]
    ids += [
        s.id for one in versions for plan in one.plans for charge in plan.charges for s in charge.segments
    ]
    # A charge's first row has the id that stays its original id; a row's id is of one version only.
    assert len(ids) == len(set(ids)), "every version has ids of its own"
    assert len({(c.number, c.original_id) for v in versions for p in v.plans for c in p.charges}) == 1
    for one in versions:
        for plan in one.plans:
            for charge in plan.charges:
                numbers = [s.number for s in charge.segments]
                assert sorted(numbers) == list(range(1, len(numbers) + 1))
    for old, new in pairwise(versions):
        gone = {s.number for s in old.plans[0].charges[0].segments}
        assert gone <= {s.number for s in new.plans[0].charges[0].segments}, "a row is never taken away"
