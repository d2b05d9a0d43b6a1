"""A subscription as it is: read from all segments, never from ids that belong to one version."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from lockstep.effective import Span, Timeline, together
from lockstep.errors import DataError
from lockstep.systems.zuora.models import Rate, Rates

Rows = tuple[Span[Rate], ...]
"""A charge's segments in order of time, none without a day. Neighbours may be equal: a change cuts rows."""


class FoundPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A rate plan of a subscription.

    line       the subscription rate plan number, by which order actions name it
    plan       the number of the product rate plan
    charges    the segments of each charge, by the number of the product rate plan charge
    billed_to  the first day that is not billed (chargedThroughDate), of its charges the latest
    with_term  it ends because the term does; else it was removed, or had an end of its own
    held       what a suspension took away, and a resumption would bring back
    """

    line: str
    plan: str
    charges: dict[str, Rows]
    billed_to: dt.date | None = None
    with_term: bool = True
    held: dict[str, Rows] = {}

    @property
    def rates(self) -> Timeline[Rates]:
        return together({name: Timeline(rows) for name, rows in self.charges.items()})


class FoundSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription's newest version, with the history of its charges.

    account    the number of the account that owns it
    end        the first day after the current term; None: evergreen
    suspended  the day from which on it is suspended, if it is
    resumed    the last day on which it was resumed: nothing before can be changed any more
    """

    number: str
    account: str
    start: dt.date
    end: dt.date | None = None
    renews: bool = False
    renewal_months: int | None = None
    cancelled: dt.date | None = None
    suspended: dt.date | None = None
    resumed: dt.date | None = None
    plans: tuple[FoundPlan, ...] = ()


def cut(plan: FoundPlan, at: dt.date) -> FoundPlan:
    """Nothing from `at` on."""
    return replace(plan, charges={name: rows_before(rows, at) for name, rows in plan.charges.items()})


def rows_before(rows: Rows, at: dt.date) -> Rows:
    return tuple(
        Span(row.start, at if row.end is None or row.end > at else row.end, row.value)
        for row in rows
        if row.start is not None and row.start < at
    )


def with_held(found: FoundSubscription, before: FoundSubscription) -> FoundSubscription:
    """What is suspended, with what it had from that day on in the version before it was."""
    since = found.suspended
    if since is None:
        return found
    earlier = {one.line: one for one in before.plans}
    return replace(found, plans=tuple(_held(one, earlier.get(one.line), since) for one in found.plans))


def _held(plan: FoundPlan, before: FoundPlan | None, since: dt.date) -> FoundPlan:
    if before is None:
        return plan
    held = {name: rows_from(rows, since) for name, rows in before.charges.items()}
    return replace(plan, held=held, with_term=before.with_term)


def rows_from(rows: Rows, at: dt.date) -> Rows:
    return tuple(
        Span(max(row.start, at), row.end, row.value)
        for row in rows
        if row.start is not None and (row.end is None or row.end > at)
    )


def retermed(plan: FoundPlan, old: dt.date | None, new: dt.date | None) -> FoundPlan:
    """The term ends elsewhere, and with it what ended with it."""
    if new is not None and (old is None or new < old):
        return cut(plan, new)
    if not plan.with_term:
        return plan
    return replace(
        plan,
        charges={
            name: tuple(Span(row.start, new if row.end == old else row.end, row.value) for row in rows)
            for name, rows in plan.charges.items()
        },
    )


def rates_of(plans: Iterable[FoundPlan], number: str) -> dict[str, Timeline[Rates]]:
    """What each product rate plan costs when. Raises DataError where a subscription has one twice at once."""
    whole: dict[str, Timeline[Rates]] = {}
    for one in plans:
        rates = one.rates
        before = whole.get(one.plan, Timeline())
        both = [span for span in before.zip(rates) if None not in span.value]
        if both:
            raise DataError(
                f"subscription {number} has rate plan {one.plan} twice at once, from {both[0].start} on: "
                f"{one.line} is the second",
                "Remove one of both in Zuora, or give one a subscription of its own: what a plan costs "
                "would not be one thing.",
            )
        whole[one.plan] = before | rates
    return whole
