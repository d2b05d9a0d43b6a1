from __future__ import annotations

import datetime as dt
from decimal import Decimal

from lockstep.effective import Change, Timeline
from lockstep.systems.zuora.models import Rate, Rates
from lockstep.systems.zuora.prices import Billing
from lockstep.systems.zuora.revenue import differences

JANUARY, MARCH, MAY = dt.date(2026, 1, 1), dt.date(2026, 3, 1), dt.date(2026, 5, 1)
BILLING = {"M": Billing(1), "Y": Billing(12)}


def costs(*events: tuple[dt.date, str | None], charge: str = "M") -> dict[str, Timeline[Rates]]:
    rates = [(day, None if price is None else {charge: Rate(Decimal(price))}) for day, price in events]
    return {"plan": Timeline.from_events(rates)}


def test_what_comes_to_the_same_at_every_date_agrees_however_it_is_made() -> None:
    yearly = [("EUR", costs((JANUARY, "120"), charge="Y")), ("USD", costs((JANUARY, "0")))]
    parts = [("EUR", costs((JANUARY, "4"), (MARCH, "4"))), ("EUR", costs((JANUARY, "6")))]
    assert differences(yearly, parts, BILLING) == {}


def test_a_difference_is_told_by_currency_and_dates() -> None:
    wanted = [("EUR", costs((JANUARY, "10"), (MARCH, "12")))]
    found = [("EUR", costs((JANUARY, "10"), (MAY, "12"))), ("USD", costs((MAY, "1")))]
    assert differences(wanted, found, BILLING) == {
        "EUR": [Change(MARCH, MAY, Decimal(10), Decimal(12))],
        "USD": [Change(MAY, None, Decimal(1), None)],
    }
