"""What a timeline makes due, by the tenant's rules of proration."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.twins.zuora.engine.due import owed, part
from lockstep.twins.zuora.engine.months import Partial, plus_months
from lockstep.twins.zuora.engine.settings import Settings
from tests.twins.tenant import Tenant, cancel, seats, subscribe

JUNE, JULY = date(2025, 6, 1), date(2025, 7, 1)


@pytest.mark.parametrize(
    ("rule", "days", "share"),
    [
        (Partial.ACTUAL, (date(2025, 6, 16), JULY), Decimal(15) / 30),
        (Partial.ACTUAL, (date(2025, 1, 1), date(2025, 1, 11)), Decimal(10) / 31),
        (Partial.THIRTY_ACTUAL, (date(2025, 1, 1), date(2025, 1, 11)), Decimal(10) / 30),
        (Partial.THIRTY_ACTUAL, (date(2025, 1, 1), date(2025, 1, 31)), Decimal(1)),
        (Partial.THIRTY_STRICT, (date(2025, 2, 1), date(2025, 2, 15)), Decimal(14) / 30),
        (Partial.THIRTY_STRICT, (date(2025, 2, 15), date(2025, 3, 1)), Decimal(16) / 30),
    ],
)
def test_what_a_part_of_a_month_costs(rule: Partial, days: tuple[date, date], share: Decimal) -> None:
    start, end = days
    begin = start.replace(day=1)
    assert part(start, end, begin, plus_months(begin, 1), 1, Settings(partial=rule)) == share


def test_without_proration_a_begun_period_costs_all_of_it() -> None:
    rule = Settings(prorate=False)
    assert part(JUNE, date(2025, 6, 10), JUNE, JULY, 1, rule) == 1
    assert part(date(2025, 6, 10), JULY, JUNE, JULY, 1, rule) == 0


def test_a_change_within_a_month_is_due_from_its_day() -> None:
    made = Tenant()
    made.do(subscribe())
    assert [item.amount for item in owed(made.last, date(2025, 2, 1), Settings())] == [100, 100]

    made.do(seats("2025-01-11", quantity=20))

    found = [
        (item.segment.number, str(item.start), item.amount) for item in owed(made.last, JUNE, Settings())
    ]
    assert found[:3] == [
        (1, "2025-01-01", Decimal("32.26")),
        (2, "2025-01-11", Decimal("135.48")),
        (2, "2025-02-01", Decimal("200.00")),
    ]


def test_nothing_is_due_after_the_end() -> None:
    made = Tenant()
    made.do(subscribe(plan="flat"))
    made.do(cancel("2025-02-15"))
    assert [(item.charge.name, item.amount) for item in owed(made.last, date(2026, 1, 1), Settings())] == [
        ("Base fee", Decimal("100.00")),
        ("Base fee", Decimal("50.00")),
        ("Setup", Decimal("50.00")),
    ]


@given(st.dates(date(2024, 1, 1), date(2028, 12, 31)), st.integers(1, 60))
def test_months_count_from_their_anchor(anchor: date, count: int) -> None:
    """February takes nothing from the months after it, and periods that follow one another leave no gap."""
    days = [plus_months(anchor, n) for n in range(count + 1)]
    assert all(one < other for one, other in pairwise(days))
    assert all(one.day == anchor.day or (one.day < anchor.day and one.day >= 28) for one in days)
