"""From segments as read to a subscription as it is: of all versions the newest, of its rows the timelines.

A read brings rows of several versions, and a version or a segment may be used again after an order was
deleted. So rows are told apart by charge number and segment, never by ids; only those of the version that
the subscription has now count, and of two with one name the one that was written last.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from lockstep.effective import Span
from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.expressed import assert_expressed, counts
from lockstep.systems.zuora.accounts.found import FoundPlan, FoundSubscription, Rows
from lockstep.systems.zuora.models import Rate


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A row of RatePlanCharge, as read.

    version    of the subscription in whose tree it is
    updated    when it was written
    line       subscription rate plan number; `plan`, `charge`: numbers of product rate plan and its charge
    number     the charge's own, C-…; with `segment` its name
    start      None: it waits for a trigger date
    removed    an order removed it: it does not end because the term does
    """

    version: int
    updated: dt.datetime
    line: str
    plan: str
    charge: str
    number: str
    segment: int
    start: dt.date | None
    end: dt.date | None
    type: str
    model: str
    rate: Rate
    billed_to: dt.date | None = None
    removed: bool = False


def folded(subscription: FoundSubscription, version: int, rows: Iterable[Segment]) -> FoundSubscription:
    """The subscription with its rate plans, from the rows of all its charges.

    `subscription`: what its own row says; `version`: that it has now. One-time charges are left out: they
    hold for no time; a discount makes others cheaper, and is not. Raises DataError, naming the charge, where
    something cannot be said as a timeline.
    """
    newest: dict[tuple[str, int], Segment] = {}
    for row in rows:
        name = (row.number, row.segment)
        if row.version == version and (name not in newest or newest[name].updated < row.updated):
            newest[name] = row
    lines: dict[str, list[Segment]] = {}
    for row in newest.values():
        if counts(row.model, row.type):
            lines.setdefault(row.line, []).append(_expressed(subscription.number, row))
    plans = tuple(_plan(subscription, lines[line]) for line in sorted(lines))
    return replace(subscription, plans=plans)


def _expressed(number: str, row: Segment) -> Segment:
    what = f"charge {row.number} ({row.charge}) of subscription {number}"
    assert_expressed(what, row.model, row.type, "its subscription")
    if row.start is None:
        raise DataError(
            f"{what} waits for a trigger date",
            "Give the order its dates in Zuora: until then nobody knows from when on it counts.",
        )
    return row


def _plan(subscription: FoundSubscription, rows: Sequence[Segment]) -> FoundPlan:
    """One rate plan: the rows of each charge in order of time."""
    by_charge: dict[str, list[Segment]] = {}
    for row in rows:
        by_charge.setdefault(row.charge, []).append(row)
    days = [row for row in rows if row.start != row.end]
    last = [row for row in days if row.end == subscription.end]
    return FoundPlan(
        line=rows[0].line,
        plan=rows[0].plan,
        charges={name: _rows(subscription.number, by_charge[name]) for name in sorted(by_charge)},
        billed_to=max((to for row in rows if (to := _billed_to(row)) is not None), default=None),
        with_term=bool(last) and not any(row.removed for row in last),
    )


def _billed_to(row: Segment) -> dt.date | None:
    """The first day of a segment that is not billed. What was billed past its end is to be credited: of what
    came after a cut nothing was billed until a segment of its own says so."""
    if row.billed_to is None or row.end is None:
        return row.billed_to
    return min(row.billed_to, row.end)


def _rows(subscription: str, rows: Sequence[Segment]) -> Rows:
    made: list[Span[Rate]] = []
    for row in sorted(rows, key=lambda row: (row.start or dt.date.min, row.segment)):
        if row.start == row.end:
            continue
        before = made[-1] if made else None
        if before is not None and (before.end is None or (row.start is not None and row.start < before.end)):
            raise DataError(
                f"charge {row.charge} of subscription {subscription} has two prices on {row.start}: segment "
                f"{row.segment} of {row.number} begins before another one ends",
                "Read it again: an order may have been at work. If it stays, look at the charge in Zuora.",
            )
        made.append(Span(row.start, row.end, row.rate))
    return tuple(made)
