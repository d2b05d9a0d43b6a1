"""The invariant of a billing system: what an account brings in a month is the same on both sides, by
currency, at every date at which either changes. Pure; what reads both sides is its caller."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from lockstep.effective import Change, Timeline
from lockstep.systems.zuora.models import Rates
from lockstep.systems.zuora.prices import Billing, monthly

Costs = Iterable[tuple[str, Mapping[str, Timeline[Rates]]]]
"""Of each subscription of an account its currency, and what its rate plans cost when."""


def differences(
    wanted: Costs, found: Costs, billing: Mapping[str, Billing]
) -> dict[str, list[Change[Decimal]]]:
    """Where an account's monthly recurring revenue is not the same, by currency: `before` is what is found,
    `after` what should be, and None or nothing at all is 0. Empty: they agree. Raises DataError, naming the
    charge, where the catalogue lacks it."""
    should, there = monthly(wanted, billing), monthly(found, billing)
    nothing: Timeline[Decimal] = Timeline()
    made = {
        currency: _earning(there.get(currency, nothing)).diff(_earning(should.get(currency, nothing)))
        for currency in sorted(should.keys() | there.keys())
    }
    return {currency: changes for currency, changes in made.items() if changes}


def _earning(income: Timeline[Decimal]) -> Timeline[Decimal]:
    """A plan that is free is as good as none."""
    return income.map(lambda amount: amount or None)
