"""Which charges are expressed: asked of a product before it is ordered, and of every segment that is read.

One answer for both: a charge that was ordered and is refused when it is read could never be changed again.
"""

from __future__ import annotations

from lockstep.errors import DataError

PRICINGS = {"FlatFee": "FlatFee", "PerUnit": "PerUnit", "Tiered": "Tiered", "Volume": "Volume"}
"""Charge models that are expressed, and what `pricing` of an order calls them."""

_ONCE = ("OneTime", "One-Time")
"""How a one-time charge is spelt. The catalogue and subscriptions answer `OneTime` (their `type`; the SDK's
ChargeType has no other), ZOQL and Zuora's own pages write `One-Time`. No tenant was read: both will do."""


def counts(model: str, type_: str) -> bool:
    """Whether a charge has a place in a timeline. One-time charges have none, as they hold for no time; but a
    discount, if only once, makes others cheaper: it has one, and cannot be expressed."""
    return type_ not in _ONCE or model.startswith("Discount")


def assert_expressed(what: str, model: str, type_: str, has_it: str) -> None:
    """`what`: the charge, as a person finds it; `has_it`: what of the mapping would be left out. Raises
    DataError."""
    leave = f"Leave {has_it} out of the mapping."
    if model not in PRICINGS:
        raise DataError(
            f"{what} has the charge model {model}", f"Lockstep knows {', '.join(PRICINGS)}. {leave}"
        )
    if type_ == "Usage":
        raise DataError(
            f"{what} is a usage charge: what it costs hangs on what is used",
            f"Lockstep knows recurring charges. {leave}",
        )
