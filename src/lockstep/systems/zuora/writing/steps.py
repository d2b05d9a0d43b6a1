"""What a plan of an account would do, in words: the order's actions, and its timelines before and after."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from lockstep.effective import Timeline
from lockstep.errors import DataError
from lockstep.ports.steps import Sides, Steps
from lockstep.systems.zuora.accounts.found import FoundSubscription, rates_of
from lockstep.systems.zuora.accounts.tree import FoundAccount
from lockstep.systems.zuora.models import Account, Rate, Rates
from lockstep.systems.zuora.plans.account_plan import AccountPlan
from lockstep.systems.zuora.plans.actions import Action, DateRules
from lockstep.systems.zuora.plans.orders import planned
from lockstep.systems.zuora.plans.own_fields import Names, named, narrowed
from lockstep.systems.zuora.writing.asked import Asked, asked_of, rejected
from lockstep.values import Change, Key


def wishes(changes: Sequence[Change]) -> tuple[dict[Key, Asked], dict[Key, Steps]]:
    """The changes as asked for, and what those that no account can be would come to."""
    asked: dict[Key, Asked] = {}
    told: dict[Key, Steps] = {}
    for change in changes:
        try:
            asked[change.key] = asked_of(change)
        except DataError as error:
            told[change.key] = Steps(problem=rejected(error).reason)
    return asked, told


def told_of(
    tree: FoundAccount | DataError | None,
    should: Account | None,
    planning: Callable[[FoundAccount | None], AccountPlan],
    today: dt.date,
    rules: DateRules,
    rewrite_billed: bool,
) -> Steps:
    """The steps of one account, or why there are none."""
    try:
        if isinstance(tree, DataError):
            raise tree
        return steps_of(planning(tree), should, today, rules, rewrite_billed)
    except DataError as error:
        return Steps(problem=rejected(error).reason)


def steps_of(
    plan: AccountPlan,
    should: Account | None,
    today: dt.date,
    rules: DateRules,
    rewrite_billed: bool,
) -> Steps:
    lines = [f"{'make' if plan.new else 'set'} {name}" for name in plan.fields]
    lines += [f"{one.number}: OwnerTransfer from account {one.account}" for one in plan.moves]
    lines += [one.why for one in plan.waits.values()]
    for one in plan.subscriptions:
        lines += [f"{one.number}: set {name}" for name in one.custom]
        lines += [f"{one.number}: {action_text(action)}" for action in one.actions]
    sides: list[Sides] = []
    for one in plan.subscriptions:
        wish = (
            next((each for each in should.subscriptions if each.key == one.number), None) if should else None
        )
        names = {} if wish is None else named(wish)
        held = {} if one.found is None else _held(one.found, names)
        wanted = {}
        if wish is not None:
            account = "" if should is None else should.key
            wanted = planned(
                one.found, wish, account, today=today, rules=rules, rewrite_billed=rewrite_billed
            ).expected
        sides += _sides(one.number, held, wanted)
    return Steps(tuple(lines), tuple(sides))


def _held(found: FoundSubscription, names: Names) -> dict[str, Timeline[Rates]]:
    return rates_of(narrowed(found, names).plans, found.number)


def _sides(
    number: str, held: dict[str, Timeline[Rates]], wanted: dict[str, Timeline[Rates]]
) -> Iterator[Sides]:
    for plan in sorted({**held, **wanted}):
        before, after = (side.get(plan, Timeline()).map(_rates) for side in (held, wanted))
        if before != after:
            yield Sides(f"{number} {plan}", before.spans, after.spans)


def _rates(rates: Rates) -> str:
    return ", ".join(_rate(name, rate, alone=len(rates) == 1) for name, rate in sorted(rates.items()))


def _rate(name: str, rate: Rate, *, alone: bool) -> str:
    price = "tiers" if isinstance(rate.price, tuple) else f"{rate.price:f}"
    told = price if rate.quantity is None else f"{rate.quantity.normalize():f} × {price}"
    own = "".join(f" {field}={value}" for field, value in rate.custom.items() if value is not None)
    return told + own if alone else f"{name} {told}{own}"


def action_text(action: Action) -> str:
    """An order action, with its day and what it names: `2026-03-03 UpdateProduct SRP-1`."""
    added = getattr(action, "added", None)
    named = [getattr(action, "line", None), None if added is None else added.plan]
    named += [", ".join(one.plan for one in getattr(action, "plans", ()))]
    return " ".join([str(action.date), type(action).__name__, *(one for one in named if one)])
