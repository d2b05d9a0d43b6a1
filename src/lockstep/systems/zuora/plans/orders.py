"""From a subscription as it is and as it should be to the order actions that make the one of the other. Pure.

What was billed stays (`chargedThroughDate`), unless the mapping says `rewrite_billed`: a change that should
be earlier begins on the first day that is not billed, and `shifted` tells it. Agreement is then agreement
with `expected`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from lockstep.effective import Change, Timeline, combine
from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.found import FoundPlan, FoundSubscription, rates_of, retermed
from lockstep.systems.zuora.models import Rates, Subscription
from lockstep.systems.zuora.plans.actions import (
    Action,
    AddProduct,
    CancelSubscription,
    ChangePlan,
    CreateSubscription,
    DateRules,
    OwnerTransfer,
    RemoveProduct,
    TermsAndConditions,
)
from lockstep.systems.zuora.plans.days import in_days
from lockstep.systems.zuora.plans.lines import worked_off
from lockstep.systems.zuora.plans.own_fields import comparable
from lockstep.systems.zuora.plans.pauses import pauses, resumed
from lockstep.systems.zuora.plans.terms import Agreed, agreed, outlived

Plans = dict[str, Timeline[Rates]]
"""What each product rate plan costs when, by its number."""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """The actions on one subscription, in order, and what is right once they are done.

    expected  what each plan costs then
    shifted   where that is not what the mapping says, because it was billed otherwise
    """

    number: str
    actions: tuple[Action, ...]
    expected: Plans
    shifted: dict[str, list[Change[Rates]]] = {}


def planned(
    found: FoundSubscription | None,
    should: Subscription,
    account: str,
    *,
    today: dt.date,
    rules: DateRules = DateRules(),  # noqa: B008 - frozen
    rewrite_billed: bool = False,
) -> Planned:
    """What to order. `today`: in the tenant's zone. Raises DataError where no order can make it so."""
    found, should = comparable(found, in_days(should, rules.zone))
    if found is None:
        return _created(should, account, today)
    if found.cancelled is not None:
        return _cancelled(found, should, rewrite_billed)
    billed = {} if rewrite_billed else _billed(found.plans)
    since = found.suspended
    found, back = resumed(found, should)
    end = agreed(found, should, max(billed.values(), default=None), today)
    plans = [retermed(one, found.end, end.end) for one in found.plans]
    aim = _aim(found, should, plans, billed, end)
    changes = _changes(plans, aim.before_pauses, end.limit, found.number)
    owner = [] if found.account == account else [OwnerTransfer(date=today, account=account)]
    gone = [] if end.cancelled is None else [CancelSubscription(date=end.cancelled)]
    before = outlived(found, end.end)
    actions = (*before, *end.actions, *owner, *changes, *aim.pauses, *gone)
    _possible(found, since if back else None, [*before, *changes, *aim.pauses], actions)
    return Planned(number=found.number, actions=(*back, *actions), expected=aim.expected, shifted=aim.shifted)


class _Aim(msgspec.Struct, frozen=True):
    """What is right, as far as what was billed lets it, and before the suspensions that come last."""

    before_pauses: Plans
    pauses: list[Action]
    expected: Plans
    shifted: dict[str, list[Change[Rates]]]


def _aim(
    found: FoundSubscription,
    should: Subscription,
    plans: list[FoundPlan],
    billed: dict[str, dt.date],
    end: Agreed,
) -> _Aim:
    held = rates_of(plans, found.number)
    charges = _within(should, found.start, end.wished)
    stops = pauses(
        should.paused.between(found.start, None),
        held,
        max(billed.values(), default=None),
        end.limit,
        end.cancelled is not None,
        found.resumed,
    )
    before = _kept(held, _paused(charges, stops.empty), billed, end.limit)
    expected, wanted = _paused(before, stops.ordered), _paused(charges, should.paused)
    return _Aim(before, stops.actions, expected, _shifted(expected, wanted))


def _paused(plans: Plans, pauses: Timeline[bool]) -> Plans:
    """With nothing charged in the pauses."""
    left = {
        plan: combine(lambda rates, pause: None if pause else rates, timeline, pauses)
        for plan, timeline in plans.items()
    }
    return {plan: timeline for plan, timeline in left.items() if timeline}


def _created(should: Subscription, account: str, today: dt.date) -> Planned:
    """A new one: begun with the plans it has, then as any other. What never has a charge is not made."""
    term = should.term
    renewal = (term.renewal_months or term.months) if term.renews else None
    blank = FoundSubscription(
        number=should.key,
        account=account,
        start=term.start,
        end=term.end,
        renews=term.renews,
        renewal_months=renewal,
    )
    rest = planned(blank, should, account, today=today)
    if not rest.expected:
        return Planned(number=should.key, actions=(), expected={})
    direct = not any(isinstance(one, TermsAndConditions) for one in rest.actions)
    begun = [one for one in rest.actions if direct and isinstance(one, AddProduct)]
    made = CreateSubscription(
        date=term.start,
        number=should.key,
        account=account,
        months=term.months,
        renews=term.renews,
        renewal_months=renewal,
        plans=tuple(one.added for one in begun),
    )
    return replace(rest, actions=(made, *(one for one in rest.actions if one not in begun)))


def _cancelled(found: FoundSubscription, should: Subscription, rewrite_billed: bool) -> Planned:
    """What is cancelled stays as it is: either that is right, or nothing can make it so."""
    assert found.cancelled is not None
    billed = {} if rewrite_billed else _billed(found.plans)
    held = rates_of(found.plans, found.number)
    end = agreed(found, should, max(billed.values(), default=None), found.start)
    aim = _aim(found, should, list(found.plans), billed, end)
    expected = aim.expected
    missed = _renewing(should, found.cancelled)
    if missed or expected != {plan: one for plan, one in held.items() if one}:
        differ = (name for name in {**held, **expected} if held.get(name) != expected.get(name))
        plan = missed[0] if missed else next(differ)
        raise DataError(
            f"subscription {found.number} was cancelled on {found.cancelled} in Zuora, and rate plan {plan} "
            "should be otherwise",
            "A cancelled subscription cannot be changed. Delete the order that cancelled it in Zuora, or "
            "give what should go on a key of its own.",
        )
    return Planned(number=found.number, actions=(), expected=expected, shifted=aim.shifted)


def _renewing(should: Subscription, since: dt.date) -> list[str]:
    """The plans that are charged from a day on, if only in terms that begin by themselves. What is cancelled
    has none."""
    if not should.term.renews or should.cancelled is not None:
        return []
    charged = _paused(should.charges, should.paused)
    return sorted(plan for plan, timeline in charged.items() if timeline.between(since, None))


def _changes(plans: Iterable[FoundPlan], expected: Plans, limit: dt.date | None, number: str) -> list[Action]:
    """The actions on all rate plans, by date; the end of one and the beginning of another are one change."""
    by_plan: dict[str, list[FoundPlan]] = {plan: [] for plan in expected}
    for one in plans:
        by_plan.setdefault(one.plan, []).append(one)
    actions = [
        action
        for plan in sorted(by_plan)
        for action in worked_off(plan, by_plan[plan], expected.get(plan, Timeline()), limit, number)
    ]
    lines = {one.line: plan for plan, found in by_plan.items() for one in found}
    return sorted(_exchanged(actions, lines), key=lambda action: action.date)


def _exchanged(actions: list[Action], plan_of: dict[str, str]) -> list[Action]:
    """With ChangePlan for a removal and an addition of different plans on one day."""
    removals = [one for one in actions if isinstance(one, RemoveProduct)]
    made: list[Action] = []
    gone: list[Action] = []
    for one in actions:
        if isinstance(one, AddProduct):
            pair = next(
                (
                    other
                    for other in removals
                    if other.date == one.date and plan_of[other.line] != one.added.plan and other not in gone
                ),
                None,
            )
            if pair is not None:
                gone.append(pair)
                made.append(ChangePlan(date=one.date, line=pair.line, added=one.added))
                continue
        made.append(one)
    return [one for one in made if one not in gone]


def _billed(plans: Iterable[FoundPlan]) -> dict[str, dt.date]:
    """The first day of each product rate plan that is not billed. Billed past its end is to be credited."""
    billed: dict[str, dt.date] = {}
    for one in plans:
        rates = one.rates
        if one.billed_to is not None and rates:
            end = rates.spans[-1].end
            to = one.billed_to if end is None else min(one.billed_to, end)
            billed[one.plan] = max(to, billed.get(one.plan, to))
    return billed


def _within(should: Subscription, start: dt.date, limit: dt.date | None) -> Plans:
    """What should be charged from the start to where the subscription ends."""
    for plan, timeline in should.charges.items():
        if timeline.spans and (timeline.spans[0].start is None or timeline.spans[0].start < start):
            raise DataError(
                f"subscription {should.key} begins on {start}, and rate plan {plan} should be charged from "
                f"{timeline.spans[0].start or 'ever'} on",
                "No order moves the start of a subscription. Begin the plan later, or give a subscription "
                "that begins earlier a key of its own.",
            )
    clipped = {plan: timeline.between(start, limit) for plan, timeline in should.charges.items()}
    return {plan: timeline for plan, timeline in clipped.items() if timeline}


def _kept(held: Plans, wanted: Plans, billed: dict[str, dt.date], limit: dt.date | None) -> Plans:
    """What is wanted, but what was billed as it is."""
    kept = {}
    for plan in {**held, **wanted}:
        timeline: Timeline[Rates] = wanted.get(plan, Timeline())
        if plan in billed:
            before = held[plan].between(None, billed[plan]).between(None, limit)
            timeline = before | timeline.between(billed[plan], None)
        if timeline:
            kept[plan] = timeline
    return kept


def _shifted(expected: Plans, wanted: Plans) -> dict[str, list[Change[Rates]]]:
    nothing: Timeline[Any] = Timeline()
    changes = {
        plan: expected.get(plan, nothing).diff(wanted.get(plan, nothing)) for plan in {**expected, **wanted}
    }
    return {plan: differ for plan, differ in changes.items() if differ}


def _possible(
    found: FoundSubscription, since: dt.date | None, changes: Sequence[Action], actions: Sequence[Action]
) -> None:
    """Raises DataError for what a suspension forbids. `since`: of the one that is to end with these actions;
    `changes`: of plans, and further suspensions."""
    if found.suspended is not None and actions:
        raise DataError(
            f"subscription {found.number} is suspended since {found.suspended}, and should be changed on "
            f"{actions[0].date}",
            "What is suspended can only be resumed. Let the pause end, and the change come after it.",
        )
    first = min((one.date for one in changes), default=None)
    if found.resumed is None or first is None or found.resumed <= first:
        return
    if since is None:
        state, order = f"was resumed on {found.resumed}", "resumed"
    else:
        state, order = f"is suspended since {since}, and to be resumed on {found.resumed}", "suspended"
    raise DataError(
        f"subscription {found.number} {state}: it cannot be changed before, on {first}",
        f"Let the change begin on {found.resumed}, or delete the order that {order} it in Zuora.",
    )
