"""What a charge costs, and what a subscription brings in a month: exact, from prices and tiers. Pure.

The same functions say it of what should be and of what was found, so that both can be compared at every date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

import msgspec

from lockstep.effective import Timeline, together
from lockstep.errors import DataError
from lockstep.systems.zuora.models import Rate, Rates, Tier

_PLACES = Decimal("0.000000001")
"""To which a month's share of a year is rounded, once, in the sum."""


class Billing(msgspec.Struct, frozen=True):
    """How a product rate plan charge is billed.

    months   of which its price is the price; None: it does not recur (one-time, usage)
    volume   of a price with tiers: all units cost what the band of the last one says, else each its own band
    """

    months: int | None
    volume: bool = False


def amount(charge: str, rate: Rate, *, volume: bool = False) -> Decimal:
    """What one billing period of a charge costs. Raises DataError where no tier is for so many units."""
    if not isinstance(rate.price, tuple):
        return rate.price if rate.quantity is None else rate.price * rate.quantity
    if rate.quantity is None:
        raise DataError(f"charge {charge} has tiers and no quantity", "Give it a quantity.")
    last = rate.price[-1].up_to if rate.price else Decimal(0)
    if last is not None and rate.quantity > last:
        raise DataError(
            f"charge {charge} has no tier for {rate.quantity} units: the last one ends with {last}",
            "Let the last tier have no bound (up_to=None), or order fewer units.",
        )
    return _volume(rate.price, rate.quantity) if volume else _tiered(rate.price, rate.quantity)


def _volume(tiers: tuple[Tier, ...], units: Decimal) -> Decimal:
    band = next(tier for tier in tiers if tier.up_to is None or units <= tier.up_to)
    return band.price if band.flat else band.price * units


def _tiered(tiers: tuple[Tier, ...], units: Decimal) -> Decimal:
    total, below = Decimal(0), Decimal(0)
    for tier in tiers:
        inside = (units if tier.up_to is None else min(units, tier.up_to)) - below
        if inside <= 0:
            break
        total += tier.price if tier.flat else tier.price * inside
        below += inside
    return total


def monthly(
    subscriptions: Iterable[tuple[str, Mapping[str, Timeline[Rates]]]], billing: Mapping[str, Billing]
) -> dict[str, Timeline[Decimal]]:
    """Monthly recurring revenue by currency at every date; nothing where no charge recurs.

    subscriptions  of each its currency, and what its rate plans cost when
    billing        of each product rate plan charge, by its number
    """
    by_currency: dict[str, list[Timeline[Fraction]]] = {}
    for currency, plans in subscriptions:
        for timeline in plans.values():
            by_currency.setdefault(currency, []).append(timeline.map(lambda rates: _share(rates, billing)))
    return {
        currency: together(dict(enumerate(parts))).map(lambda held: _rounded(sum(held.values(), Fraction())))
        for currency, parts in by_currency.items()
        if any(parts)
    }


def _share(rates: Rates, billing: Mapping[str, Billing]) -> Fraction | None:
    """The part of a month; None where nothing recurs."""
    shares = []
    for name, rate in rates.items():
        if name not in billing:
            raise DataError(
                f"the charge {name} is not in the catalogue",
                "Name it as the product rate plan charge's number says, or publish it in Zuora.",
            )
        one = billing[name]
        if one.months is not None:
            shares.append(Fraction(amount(name, rate, volume=one.volume)) / one.months)
    return sum(shares, Fraction()) if shares else None


def _rounded(exact: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        quotient = Decimal(exact.numerator) / Decimal(exact.denominator)
        return quotient.quantize(_PLACES, ROUND_HALF_UP)
