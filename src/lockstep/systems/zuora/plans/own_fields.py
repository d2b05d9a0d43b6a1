"""Own fields of charges: those that the mapping names are compared and set, all others are somebody else's.

A field that is named at one date and not at another is none there; None and nothing are the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from lockstep.effective import Span
from lockstep.systems.zuora.accounts.found import FoundPlan, FoundSubscription, Rows
from lockstep.systems.zuora.models import Rate, Rates, Subscription

Names = Mapping[str, Mapping[str, Sequence[str]]]
"""By rate plan and charge."""


def comparable(
    found: FoundSubscription | None, should: Subscription
) -> tuple[FoundSubscription | None, Subscription]:
    """Both with the same own fields at every date: those that are named at any."""
    names = named(should)
    charges = {
        plan: timeline.map(lambda rates, plan=plan: _with(rates, names[plan]))  # type: ignore[misc]
        for plan, timeline in should.charges.items()
    }
    return None if found is None else narrowed(found, names), replace(should, charges=charges)


def named(should: Subscription) -> Names:
    """The own fields that a subscription's charges name at any date."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for plan, timeline in should.charges.items():
        of_plan = found.setdefault(plan, {})
        for span in timeline:
            for charge, rate in span.value.items():
                of_plan.setdefault(charge, {}).update(dict.fromkeys(rate.custom))
    return {
        plan: {charge: sorted(some) for charge, some in charges.items()} for plan, charges in found.items()
    }


def narrowed(found: FoundSubscription, names: Names) -> FoundSubscription:
    """With no other own fields of charges than these."""
    return replace(found, plans=tuple(_plan(one, names.get(one.plan, {})) for one in found.plans))


def _plan(plan: FoundPlan, names: Mapping[str, Sequence[str]]) -> FoundPlan:
    charges, held = (
        {charge: _rows(rows, names.get(charge, ())) for charge, rows in some.items()}
        for some in (plan.charges, plan.held)
    )
    return replace(plan, charges=charges, held=held)


def _rows(rows: Rows, names: Sequence[str]) -> Rows:
    return tuple(Span(row.start, row.end, _only(row.value, names)) for row in rows)


def _with(rates: Rates, names: Mapping[str, Sequence[str]]) -> Rates:
    return {charge: _only(rate, names.get(charge, ())) for charge, rate in rates.items()}


def _only(rate: Rate, names: Sequence[str]) -> Rate:
    return replace(rate, custom={name: rate.custom.get(name) for name in names})


def sent(rate: Rate) -> dict[str, Any]:
    """As an order says them: what is none is not set, or cleared by name."""
    given = {name: value for name, value in rate.custom.items() if value is not None}
    return {"customFields": given} if given else {}


def cleared(rate: Rate) -> dict[str, Any]:
    """Of an update, besides: the fields that are to be none."""
    none = [name for name, value in rate.custom.items() if value is None]
    return {"clearingCustomFields": none} if none else {}
