"""Folding: however the segments lie, what they say at every date."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lockstep.effective import Timeline
from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.catalogue import ProductCharge, assert_sold
from lockstep.systems.zuora.accounts.folding import Segment, folded
from lockstep.systems.zuora.accounts.found import FoundPlan, FoundSubscription, rates_of
from lockstep.systems.zuora.models import Rate, Subscription, Term
from lockstep.systems.zuora.plans.orders import planned
from tests.zuora.app import example
from tests.zuora.tenant import FOREVER, Tenant
from tests.zuora.wishes import START, WISHES

THEN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
LATER = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)


def row(segment: int, start: str, end: str | None, quantity: Any, price: Any, **more: Any) -> Segment:
    given = {
        "version": 2,
        "updated": THEN,
        "line": "SRP-1",
        "plan": "PRO",
        "charge": "SEAT",
        "number": "C-1",
        "type": "Recurring",
        "model": "PerUnit",
        **more,
    }
    return Segment(
        segment=segment,
        start=dt.date.fromisoformat(start) if start else None,
        end=dt.date.fromisoformat(end) if end else None,
        rate=Rate(Decimal(price), None if quantity is None else Decimal(quantity)),
        **given,
    )


def told(rows: Iterable[Segment], end: str = "2026-01-01") -> list[tuple[str, str, str]]:
    """The one plan's timeline: start, end, and quantity × price."""
    blank = FoundSubscription(
        number="S-1", account="A-1", start=dt.date(2025, 1, 1), end=dt.date.fromisoformat(end)
    )
    plans = rates_of(folded(blank, 2, rows).plans, "S-1")
    return [
        (str(start), str(stop), f"{value['SEAT'].quantity} × {value['SEAT'].price}")
        for start, stop, value in plans.get("PRO", Timeline())
    ]


def test_a_price_change() -> None:
    """Orders, "update a product": a new price from 1 July. It prints last days; an end is the day after."""
    rows = [row(2, "2025-07-01", "2026-01-01", 10, 12), row(1, "2025-01-01", "2025-07-01", 10, 10)]
    assert told(rows) == [
        ("2025-01-01", "2025-07-01", "10 × 10"),
        ("2025-07-01", "2026-01-01", "10 × 12"),
    ]


def test_an_update_before_a_later_one_has_the_higher_segment_number() -> None:
    """'Update a product on a subscription with future-dated updates'."""
    rows = [
        row(1, "2021-01-01", "2021-05-01", 10, 10),
        row(3, "2021-05-01", "2021-07-01", 15, 9),
        row(2, "2021-07-01", "2022-01-01", 20, 8),
    ]
    assert [value for _, _, value in told(rows, "2022-01-01")] == ["10 × 10", "15 × 9", "20 × 8"]


def test_what_was_billed_past_a_cut_was_not_billed_for_what_came_after_it() -> None:
    """A month was billed for 10; from the 8th on there are 99, which no invoice has yet."""
    cut = row(1, "2025-01-01", "2025-01-08", 10, 10, billed_to=dt.date(2025, 2, 1))
    after = row(2, "2025-01-08", "2026-01-01", 99, 10)
    assert billed_to(cut, after) == dt.date(2025, 1, 8)
    assert billed_to(cut, replace(after, billed_to=dt.date(2025, 2, 1))) == dt.date(2025, 2, 1)
    assert billed_to(after) is None


def billed_to(*rows: Segment) -> dt.date | None:
    blank = FoundSubscription(number="S-1", account="A-1", start=dt.date(2025, 1, 1), end=dt.date(2026, 1, 1))
    return folded(blank, 2, rows).plans[0].billed_to


def test_a_renewal_that_split_and_one_that_extended_are_equal() -> None:
    split = [row(1, "2025-01-01", "2026-01-01", 10, 10), row(2, "2026-01-01", "2027-01-01", 10, "10.00")]
    extended = [row(1, "2025-01-01", "2027-01-01", 10, 10)]
    assert told(split, "2027-01-01") == told(extended, "2027-01-01")


def test_rows_without_a_day_and_what_was_updated_on_its_first_day() -> None:
    rows = [
        row(1, "2025-01-01", "2025-01-01", 10, 10),
        row(2, "2025-01-01", "2025-09-01", 11, 10, removed=True),
        row(3, "2025-10-01", "2025-10-01", 12, 10, removed=True),
    ]
    assert told(rows) == [("2025-01-01", "2025-09-01", "11 × 10")]


def test_a_version_and_a_segment_that_are_used_again() -> None:
    """Order to Revenue, 'Delete or amend order', scenario 2: V2 and C1.2 are others after the deletion."""
    deleted = [row(1, "2025-01-01", "2025-07-01", 10, 10), row(2, "2025-07-01", "2026-01-01", 10, 12)]
    now = [
        row(1, "2025-01-01", "2025-09-01", 10, 10, updated=LATER),
        row(2, "2025-09-01", "2026-01-01", 10, 15, updated=LATER),
    ]
    old = [row(1, "2025-01-01", "2026-01-01", 10, 10, version=1)]
    for rows in (deleted + now + old, now + old + deleted):
        assert told(rows) == [
            ("2025-01-01", "2025-09-01", "10 × 10"),
            ("2025-09-01", "2026-01-01", "10 × 15"),
        ]


def test_what_cannot_be_said_as_a_timeline_names_the_charge() -> None:
    wrong = [
        ([row(1, "2025-01-01", None, None, 1, model="Overage")], "the charge model Overage"),
        ([row(1, "", None, None, 1)], "waits for a trigger date"),
        (
            [row(1, "2025-01-01", "2025-07-01", 1, 1), row(2, "2025-06-01", None, 1, 1)],
            "has two prices on 2025-06-01: segment 2 of C-1",
        ),
    ]
    for rows, message in wrong:
        with pytest.raises(DataError, match=r"SEAT.*S-1") as error:
            told(rows)
        assert message in str(error.value)
        assert error.value.remedy


@settings(max_examples=60, deadline=None)
@given(st.data(), st.booleans(), st.randoms(use_true_random=False))
def test_any_tree_with_older_versions_among_it_is_folded_to_what_it_costs(
    data: st.DataObject, split: bool, chance: random.Random
) -> None:
    tenant, rows = Tenant(split), []
    for version in (1, 2):
        plan = planned(tenant.found(), data.draw(WISHES), "A-1", today=START, rewrite_billed=True)
        tenant.order(plan.actions)
        found = tenant.found()
        if found is None or tenant.cancelled is not None:
            break
        rows += _rows(tenant, version)
    if found is None:
        return
    rows = _rows(tenant, 2) + [one for one in rows if one.version == 1]
    chance.shuffle(rows)
    read = folded(found, 2, rows)
    costs = rates_of(read.plans, "S-1")
    expected = rates_of(found.plans, "S-1")
    assert {plan: one for plan, one in costs.items() if one} == {p: one for p, one in expected.items() if one}
    removed = {one.line for one in found.plans if not one.with_term}
    lasting = {one.line for one in found.plans if one.with_term and _lasts(one, found.end)}
    with_term = {one.line for one in read.plans if one.with_term}
    assert with_term >= lasting
    assert not with_term & removed


def _lasts(plan: FoundPlan, end: dt.date | None) -> bool:
    return any(row.end == end for rows in plan.charges.values() for row in rows)


def _rows(tenant: Tenant, version: int) -> list[Segment]:
    return [
        row(
            number,
            str(start),
            None if end == FOREVER else str(end),
            rate.quantity,
            rate.price,
            version=version,
            line=name,
            plan=line.plan,
            charge=charge,
            number=f"C-{name}-{charge}",
            removed=not line.with_term,
        )
        for name, line in tenant.lines.items()
        for charge, segments in line.rows.items()
        for number, (start, end, rate) in enumerate(segments, 1)
    ]


@pytest.mark.parametrize("spelt", ["OneTime", "One-Time"])
def test_a_charge_for_once_is_no_part_of_a_timeline_nor_asked_of_the_mapping(spelt: str) -> None:
    """One answer for both, or a plan that was ordered could never be read."""
    setup = {"charge": "SETUP", "number": "C-2", "model": "FlatFee"}
    rows = [
        row(1, "2025-01-01", "2026-01-01", 5, 9),
        row(1, "2025-01-01", "2025-01-02", None, 99, type=spelt, **setup),
    ]
    assert told(rows) == [("2025-01-01", "2026-01-01", "5 × 9")]
    euro = frozenset({"EUR"})
    sold = {
        "SEAT": ProductCharge("SEAT", "Recurring", "PerUnit", euro),
        "SETUP": ProductCharge("SETUP", spelt, "FlatFee", euro),
    }
    seats = Timeline.always({"SEAT": Rate(Decimal(9), Decimal(5))}, START)
    assert_sold(
        replace(example(), subscriptions=(Subscription(key="S", term=Term(START), charges={"PRO": seats}),)),
        {"PRO": sold},
    )


@pytest.mark.parametrize("spelt", ["OneTime", "One-Time"])
def test_a_discount_for_once_is_refused(spelt: str) -> None:
    with pytest.raises(DataError, match="DiscountFixedAmount"):
        told([row(1, "2025-01-01", "2025-01-02", None, 99, type=spelt, model="DiscountFixedAmount")])
