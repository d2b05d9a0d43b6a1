"""A subscription as one of its versions holds it: rate plans, their charges, the charges' segments.

All of it is frozen: a change makes another version. Dates are half-open, [start, end); an end of None is open
(evergreen), a start of None is not known yet (a pending charge).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

import msgspec


class Refused(Exception):
    """The tenant says no. `category` is the two last digits of an error code: 20 a bad value, 22 a field is
    missing, 30 against a rule, 40 not found, 43 exists already, 45 not supported, 50 locked, 70 too many."""

    def __init__(self, category: int, message: str) -> None:
        super().__init__(message)
        self.category = category


PENDING = frozenset({"Draft", "Pending Activation", "Pending Acceptance"})
"""The states of a subscription one of whose dates is missing."""


class Minter(Protocol):
    """Where ids and numbers come from."""

    def id(self) -> str:
        """32 hexadecimal digits, never given before."""

    def number(self, prefix: str) -> str:
        """The next number of a kind: "A-S" of subscriptions, "C-" of charges, "SRP-" of rate plans."""


class Tier(msgspec.Struct, frozen=True, rename="camel"):
    tier: int
    starting_unit: Decimal | None
    ending_unit: Decimal | None
    price: Decimal
    price_format: str
    """FlatFee (for the tier) or PerUnit."""


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One span of a charge in which its price and quantity are the same: a row of RatePlanCharge.

    `number` counts in the order of booking, not of time: an update before a later-dated one has a higher one.
    """

    id: str
    number: int
    version: int
    start: date | None
    end: date | None
    quantity: Decimal | None
    tiers: tuple[Tier, ...]
    change: str
    """Add, Update or Remove: what the last order did to it."""
    order: str
    charged_through: date | None = None
    custom: dict[str, object] = {}

    def covers(self, day: date) -> bool:
        return self.start is not None and self.start <= day and (self.end is None or day < self.end)

    @property
    def empty(self) -> bool:
        return self.start is not None and self.start == self.end


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    number: str
    """C-00000001: the same in all versions."""
    original_id: str
    """The id of its first row: the same in all versions."""
    product_charge_id: str
    product_charge_number: str
    name: str
    model: str
    type: str
    currency: str
    uom: str | None
    billing_period: str | None
    billing_timing: str | None
    trigger_event: str
    trigger_date: date | None
    end_condition: str
    end_date: date | None
    """Where the end condition is Specific_End_Date."""
    up_to: int | None
    up_to_type: str | None
    segments: tuple[Segment, ...]
    held: tuple[Segment, ...] = ()
    """What a suspension took away and a resumption brings back."""
    removed: date | None = None


class RatePlan(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    number: str
    original_id: str
    product_id: str
    product_name: str
    product_rate_plan_id: str
    product_rate_plan_number: str
    name: str
    change: str
    charges: tuple[Charge, ...]


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """A term: TERMED from `start` to before `end`, or EVERGREEN without an end."""

    type: str
    start: date | None
    period: int | None
    period_type: str | None
    end: date | None


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as an order left it: a row of Subscription."""

    id: str
    number: str
    version: int
    previous_id: str | None
    original_id: str
    account: str
    invoice_owner: str
    """Account numbers."""
    currency: str
    status: str
    order: str
    action: str
    """The type of the order action that made it."""
    booked: date
    """The order's date."""
    made: datetime
    initial: Term
    term: Term
    renewal_period: int | None
    renewal_period_type: str | None
    renewal_setting: str
    auto_renew: bool
    contract_effective: date | None
    service_activation: date | None
    customer_acceptance: date | None
    cancelled: date | None = None
    suspended: date | None = None
    resumed: date | None = None
    notes: str | None = None
    custom: dict[str, object] = {}
    plans: tuple[RatePlan, ...] = ()

    @property
    def start(self) -> date | None:
        return self.initial.start

    @property
    def end(self) -> date | None:
        return self.cancelled if self.cancelled is not None else self.term.end


def copied(version: Version, mint: Callable[[], str]) -> Version:
    """The tree under new ids, as each version has it. Numbers, original ids and segments stay."""
    return msgspec.structs.replace(
        version,
        id=mint(),
        previous_id=version.id,
        version=version.version + 1,
        plans=tuple(
            msgspec.structs.replace(
                plan,
                id=mint(),
                charges=tuple(
                    msgspec.structs.replace(
                        charge,
                        segments=tuple(msgspec.structs.replace(one, id=mint()) for one in charge.segments),
                    )
                    for charge in plan.charges
                ),
            )
            for plan in version.plans
        ),
    )


def with_charges(version: Version, change: Callable[[Charge], Charge]) -> Version:
    """`version` with each of its charges changed."""
    return msgspec.structs.replace(
        version,
        plans=tuple(
            msgspec.structs.replace(plan, charges=tuple(map(change, plan.charges))) for plan in version.plans
        ),
    )
