"""What a mapping returns for Zuora: an account with all that hangs on it, as it should be at every date.

    zuora.Account(key="A-7", name="Acme", currency="EUR", bill_to=zuora.Contact(first_name="Ada", …),
        subscriptions=(zuora.Subscription(key="S-7", term=zuora.Term(start, months=12),
            charges={"PRO": Timeline.always({"SEAT": zuora.Rate(Decimal("9.00"), Decimal(10))}, start)}),))

Money and quantities are Decimals, dates are days in the tenant's time zone, spans are half-open. Each class
refuses with DataError what no order can say.
"""

from __future__ import annotations

import datetime as dt
from calendar import monthrange
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from lockstep.effective import Timeline
from lockstep.errors import DataError


class Tier(msgspec.Struct, frozen=True):
    """A band of a tiered or volume price: for units up to and with `up_to` (None: all that are left).

    `flat`: the price is one for the band; else it is for each unit.
    """

    up_to: Decimal | None
    price: Decimal
    flat: bool = False

    def __post_init__(self) -> None:
        _decimal("a tier's price", self.price)
        _decimal("a tier's bound", self.up_to)


class Rate(msgspec.Struct, frozen=True):
    """What one charge costs: its price, or its tiers, and of how many units. A flat fee has no quantity.

    `custom`: fields of the tenant's own on the charge, by the name that ends in `__c`: texts, numbers
    (whole, or Decimals), booleans or None. They begin and end with the price; those that no date names are
    left alone.
    """

    price: Decimal | tuple[Tier, ...]
    quantity: Decimal | None = None
    custom: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        if not isinstance(self.price, tuple):
            _decimal("a price", self.price)
        _decimal("a quantity", self.quantity)


Rates = dict[str, Rate]
"""What a rate plan costs: a rate for each of its charges, by the number of the product rate plan charge."""


class Term(msgspec.Struct, frozen=True):
    """For how long a subscription is agreed: from `start` for so many months; None: evergreen.

    `renews`: it renews itself, by `renewal_months` (as many as `months` where it says none). Then a
    later end in Zuora is no difference: it has renewed.
    """

    start: dt.date
    months: int | None = None
    renews: bool = False
    renewal_months: int | None = None

    def __post_init__(self) -> None:
        if self.months is not None and self.months < 1:
            raise DataError(
                f"a term of {self.months} months", "Give it a month at least, or None: evergreen."
            )
        if self.renews and self.months is None:
            raise DataError("an evergreen term that renews", "Let it not renew, or give it months.")

    @property
    def end(self) -> dt.date | None:
        """The first day after it; None: evergreen."""
        return None if self.months is None else plus_months(self.start, self.months)


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an account's invoices go to. `country`: as the tenant spells it, such as "Germany"."""

    first_name: str
    last_name: str
    email: str | None = None
    phone: str | None = None
    address: tuple[str, ...] = ()
    """At most two lines."""
    city: str | None = None
    postal_code: str | None = None
    state: str | None = None
    country: str | None = None

    def __post_init__(self) -> None:
        if len(self.address) > 2:
            raise DataError(f"an address of {len(self.address)} lines", "Zuora has two: join some.")


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription: what it costs at every date.

    key         its number; it stays when the subscription changes
    charges     for each rate plan, by the number of the product rate plan, its rates over time. Where a
                timeline holds nothing, the subscription does not have the plan. All charges of a plan come
                and go together. What lies outside of the term, or after the cancellation, does not count.
    cancelled   the first day on which it is no more
    paused      when it is suspended: nothing is charged then
    """

    key: str
    term: Term
    charges: dict[str, Timeline[Rates]]
    cancelled: dt.date | None = None
    paused: Timeline[bool] = Timeline()
    custom: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        _key("subscription", self.key)
        for plan, timeline in self.charges.items():
            names = [frozenset(span.value) for span in timeline]
            for one in names:
                if one != names[0]:
                    raise DataError(
                        f"subscription {self.key}: rate plan {plan} has the charges {_said(names[0])} at one "
                        f"date and {_said(one)} at another",
                        "All charges of a plan come and go together: give one that is not charged the "
                        "quantity or price 0, or take another plan.",
                    )
        if self.cancelled is not None and self.cancelled < self.term.start:
            raise DataError(
                f"subscription {self.key} begins on {self.term.start} and was cancelled before that",
                "Leave it out, if it never was.",
            )


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account, and all its subscriptions. One order changes an account, or does not.

    key      its number
    custom   fields of the tenant's own, by the name that ends in `__c`
    """

    key: str
    name: str
    currency: str
    bill_to: Contact
    sold_to: Contact | None = None
    subscriptions: tuple[Subscription, ...] = ()
    custom: Mapping[str, Any] = {}

    def __post_init__(self) -> None:
        _key("account", self.key)
        numbers = [one.key for one in self.subscriptions]
        for number in numbers:
            if numbers.count(number) > 1:
                raise DataError(
                    f"account {self.key} has two subscriptions {number}", "Give each a key of its own."
                )


def plus_months(day: dt.date, months: int) -> dt.date:
    """The same day of a later month, or that month's last day."""
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    return dt.date(year, month, min(day.day, monthrange(year, month)[1]))


def _decimal(what: str, value: Any) -> None:
    if value is not None and not (isinstance(value, Decimal) and value.is_finite()):
        raise DataError(f"{what} is {value!r}, which is no exact number", 'Give a Decimal: Decimal("9.00").')


def _key(what: str, key: str) -> None:
    if not key or "/" in key:
        raise DataError(f"the {what} number {key!r} cannot be used", "It must not be empty nor hold a /.")


def _said(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"
