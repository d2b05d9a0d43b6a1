"""What a segment is worth: the price of a period, and monthly recurring revenue. Exact until rounded."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

from .months import MONTHS_OF
from .tree import Charge, Refused, Segment, Tier

CENT = Decimal("0.01")


def rounded(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def price(charge: Charge, segment: Segment) -> Decimal:
    """Of one whole billing period, or of the one time."""
    quantity = segment.quantity if segment.quantity is not None else Decimal(1)
    if not segment.tiers:
        return Decimal(0)
    if charge.model == "FlatFee":
        return segment.tiers[0].price
    if charge.model == "PerUnit":
        return segment.tiers[0].price * quantity
    if charge.model == "Volume":
        reached = [one for one in segment.tiers if _begins(one) <= quantity] or [segment.tiers[0]]
        return _of(reached[-1], quantity)
    return sum((_band(one, quantity) for one in segment.tiers), Decimal(0))


def monthly(charge: Charge, segment: Segment) -> Decimal:
    """Monthly recurring revenue while the segment is in force."""
    if charge.type != "Recurring":
        return Decimal(0)
    return price(charge, segment) / months(charge)


def months(charge: Charge) -> int:
    """The months of the charge's billing period."""
    if charge.billing_period not in MONTHS_OF:
        raise Refused(
            45, f"the stand-in has no billing period {charge.billing_period!r}; it has {list(MONTHS_OF)}"
        )
    return MONTHS_OF[charge.billing_period]


def _begins(tier: Tier) -> Decimal:
    return tier.starting_unit if tier.starting_unit is not None else Decimal(0)


def _band(tier: Tier, quantity: Decimal) -> Decimal:
    """Tiered: each tier counts the units within it. One that begins at n follows one that ended at n - 1."""
    before = max(_begins(tier) - 1, Decimal(0))
    top = quantity if tier.ending_unit is None else min(quantity, tier.ending_unit)
    return _of(tier, top - before) if top > before else Decimal(0)


def _of(tier: Tier, units: Decimal) -> Decimal:
    return tier.price if tier.price_format == "FlatFee" else tier.price * units
