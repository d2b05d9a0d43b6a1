"""Suspensions: one takes all plans away from a day on, a resumption brings them back. Pure.

A subscription that is suspended can only be resumed, and nothing before the day of its last resumption can be
changed any more. So what else should change goes first, and the suspensions come after it.
"""

from __future__ import annotations

import datetime as dt

import msgspec
from msgspec.structs import replace

from lockstep.effective import Span, Timeline, combine, together
from lockstep.systems.zuora.accounts.found import FoundPlan, FoundSubscription, rows_from
from lockstep.systems.zuora.models import Rates, Subscription
from lockstep.systems.zuora.plans.actions import Action, Resume, Suspend


def resumed(found: FoundSubscription, should: Subscription) -> tuple[FoundSubscription, tuple[Action, ...]]:
    """The subscription without the suspension that it is in, if it should end; one that should not have been
    ends on the day on which it began. What is to be cancelled is resumed first."""
    since = found.suspended
    if since is None:
        return found, ()
    until = since
    if should.paused.at(since) and should.cancelled is None:
        end = should.paused.between(since, None).spans[0].end
        if end is None or (found.end is not None and end >= found.end):
            return found, ()
        until = end
    plans = tuple(_back(one, until) for one in found.plans)
    return replace(found, plans=plans, suspended=None, resumed=until), (Resume(date=until),)


class Pauses(msgspec.Struct, frozen=True):
    """`ordered`: what suspensions are for; `empty`: where nothing is charged anyway."""

    ordered: Timeline[bool]
    empty: Timeline[bool]
    actions: list[Action]


def pauses(
    paused: Timeline[bool],
    held: dict[str, Timeline[Rates]],
    billed_to: dt.date | None,
    limit: dt.date | None,
    cancelled: bool,
    resumed: dt.date | None,
) -> Pauses:
    """What to order. A suspension stops all plans on one day, so none begins before what was billed of any.

    A pause in which nothing is charged yet needs no order; nor does one until the cancellation, before
    which the plans are removed. One that is prolonged goes on where it would have ended, with the last
    resumption: all of it could only be ordered if that were undone.
    """
    charged = together(held).map(lambda _: True)
    stays = charged.between(None, billed_to) if billed_to is not None else Timeline()
    possible = combine(lambda pause, billed: None if billed else pause, paused.between(None, limit), stays)
    ordered: list[Span[bool]] = []
    actions: list[Action] = []
    for pause in possible:
        start = pause.start
        assert start is not None, "a subscription has a start"
        if not charged.between(start, pause.end) or (cancelled and pause.end == limit):
            continue
        if resumed is not None and start < resumed and not charged.between(start, resumed):
            start = resumed
        ordered.append(Span(start, pause.end, True))
        actions.append(Suspend(date=start))
        if pause.end is not None and pause.end != limit:
            actions.append(Resume(date=pause.end))
    when = Timeline(ordered)
    return Pauses(when, combine(lambda pause, order: None if order else pause, possible, when), actions)


def _back(plan: FoundPlan, at: dt.date) -> FoundPlan:
    charges = {name: (*rows, *rows_from(plan.held.get(name, ()), at)) for name, rows in plan.charges.items()}
    return replace(plan, charges=charges, held={})
