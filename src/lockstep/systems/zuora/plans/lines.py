"""One product rate plan of a subscription: from what it costs to what it should cost.

What the actions can do: an update holds until the segment that it cuts ends; a removal takes away all that
is later, and nothing prolongs what was removed; an addition may name its end. So the differences are worked
off in the order of time, and what is there is kept wherever it may stay: a plan that is updated keeps the
numbers of its charges.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import count

from msgspec.structs import replace

from lockstep.effective import Span, Timeline
from lockstep.systems.zuora.accounts.found import FoundPlan, Rows, cut, rates_of
from lockstep.systems.zuora.models import Rate, Rates
from lockstep.systems.zuora.plans.actions import Action, AddProduct, RemoveProduct, Subscribed, UpdateProduct


def worked_off(
    plan: str, lines: Sequence[FoundPlan], wanted: Timeline[Rates], limit: dt.date | None, number: str
) -> list[Action]:
    """The actions after which the plan costs what is wanted, in the order of their dates.

    `lines`: its rate plans in the subscription `number`. `limit`: where all of it ends by itself, because
    the term does or because of a cancellation.
    """
    by_line = {one.line: one for one in lines}
    names = (name for at in count(1) if (name := f"{plan}+{at}") not in by_line)
    actions: list[Action] = []
    while True:
        held = rates_of(by_line.values(), number).get(plan, Timeline()).between(None, limit)
        changes = held.diff(wanted)
        if not changes:
            return actions
        change = changes[0]
        at = change.start
        assert at is not None, "a subscription has a start"
        if change.before is None:
            assert change.after is not None
            line, end = next(names), _end(held, wanted, at, limit)
            actions.append(
                AddProduct(
                    date=at, added=Subscribed(line=line, plan=plan, rates=change.after, start=at, end=end)
                )
            )
            until = limit if end is None else end
            charges: dict[str, Rows] = {name: (Span(at, until, rate),) for name, rate in change.after.items()}
            by_line[line] = FoundPlan(line=line, plan=plan, charges=charges)
            continue
        now = next(one for one in by_line.values() if one.rates.at(at) is not None)
        if change.after is None or change.after.keys() != change.before.keys():
            actions.append(RemoveProduct(date=at, line=now.line))
            by_line[now.line] = cut(now, at)
            continue
        rates = {name: rate for name, rate in change.after.items() if rate != change.before[name]}
        later = any(row.start is not None and row.start > at for name in rates for row in now.charges[name])
        actions.append(UpdateProduct(date=at, line=now.line, rates=rates, before_later=later))
        charges = {
            name: _updated(rows, at, rates[name]) if name in rates else rows
            for name, rows in now.charges.items()
        }
        by_line[now.line] = replace(now, charges=charges)


def _end(
    held: Timeline[Rates], wanted: Timeline[Rates], at: dt.date, limit: dt.date | None
) -> dt.date | None:
    """Where what begins at `at` ends: before a gap, before what is there already; None: with the term."""
    free = wanted.zip(held).map(lambda pair: True if pair[0] is not None and pair[1] is None else None)
    end = next(span.end for span in free if span.start == at)
    return None if end == limit else end


def _after(end: dt.date | None, at: dt.date) -> bool:
    return end is None or end > at


def _updated(rows: Rows, at: dt.date, rate: Rate) -> Rows:
    """The segment that covers `at` is cut there, and the rest of it has the new rate."""
    made: list[Span[Rate]] = []
    for row in rows:
        assert row.start is not None
        if row.start <= at and _after(row.end, at):
            if row.start < at:
                made.append(Span(row.start, at, row.value))
            made.append(Span(at, row.end, rate))
        else:
            made.append(row)
    return tuple(made)
