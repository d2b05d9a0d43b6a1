"""What a subscription owes up to a day. Pure: a bill run charges the difference to what was billed before.

So a change of what has been billed, at whatever date, comes out as a credit and a new charge, and the sum of
a charge's invoice items is always what its timeline makes due. A real tenant splits the items of a change
otherwise; the sums are meant to be the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

import msgspec

from .money import months, price, rounded
from .months import Partial, plus_months, thirty_days
from .settings import Settings
from .tree import PENDING, Charge, Segment, Version


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an invoice: one segment of a charge, for the service from `start` to before `end`."""

    charge: Charge
    segment: Segment
    start: date
    end: date
    amount: Decimal


def owed(version: Version, through: date, settings: Settings) -> list[Item]:
    """All items of a subscription's charges for billing periods that begin up to `through`, in advance, or
    end up to it, in arrears; from the first day on, whatever was billed before."""
    return [
        item
        for plan in version.plans
        for charge in plan.charges
        for item in _of(charge, through, settings)
        if version.status not in PENDING
    ]


def _of(charge: Charge, through: date, settings: Settings) -> Iterator[Item]:
    rows = sorted(
        (one for one in charge.segments if one.start is not None and not one.empty),
        key=lambda one: (one.start or date.min, one.number),
    )
    if charge.type == "OneTime":
        for one in rows[:1]:
            if one.start is not None and one.start <= through:
                yield Item(
                    charge=charge,
                    segment=one,
                    start=one.start,
                    end=one.start + timedelta(days=1),
                    amount=rounded(price(charge, one)),
                )
        return
    if charge.type != "Recurring" or not rows or rows[0].start is None:
        return
    anchor, length, index = rows[0].start, months(charge), 0
    while True:
        begin, stop = plus_months(anchor, index * length), plus_months(anchor, (index + 1) * length)
        if (stop if charge.billing_timing == "In_Arrears" else begin) > through:
            return
        if all(one.end is not None and one.end <= begin for one in rows):
            return
        for one in rows:
            if one.start is None or one.start >= stop or (one.end is not None and one.end <= begin):
                continue
            start, end = max(one.start, begin), stop if one.end is None else min(one.end, stop)
            share = part(start, end, begin, stop, length, settings)
            amount = rounded(price(charge, one) * share)
            yield Item(charge=charge, segment=one, start=start, end=end, amount=amount)
        index += 1


def part(start: date, end: date, begin: date, stop: date, length: int, settings: Settings) -> Decimal:
    """Which part of the price of the period [begin, stop), of `length` months, the days [start, end) cost."""
    if (start, end) == (begin, stop):
        return Decimal(1)
    if not settings.prorate:
        return Decimal(1) if start == begin else Decimal(0)
    if settings.partial is Partial.ACTUAL:
        return Decimal((end - start).days) / Decimal((stop - begin).days)
    if settings.partial is Partial.THIRTY_ACTUAL:
        return min(Decimal((end - start).days) / Decimal(30 * length), Decimal(1))
    return min(Decimal(thirty_days(start, end)) / Decimal(30 * length), Decimal(1))
