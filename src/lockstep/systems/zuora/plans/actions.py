"""Order actions, as Zuora names them. `date` is the day on which one takes effect."""

from __future__ import annotations

import datetime as dt

import msgspec

from lockstep.systems.zuora.models import Rates


class Action(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What all of them have."""

    date: dt.date


class Subscribed(msgspec.Struct, frozen=True, kw_only=True):
    """A rate plan that begins. `line` is how later actions of the order name it; `end`: before the term's."""

    line: str
    plan: str
    rates: Rates
    start: dt.date
    end: dt.date | None = None


class CreateSubscription(Action, frozen=True):
    number: str
    account: str
    months: int | None
    """Of the initial term; None: evergreen."""
    renews: bool
    renewal_months: int | None
    plans: tuple[Subscribed, ...]


class AddProduct(Action, frozen=True):
    added: Subscribed


class UpdateProduct(Action, frozen=True):
    """`rates`: of the charges that change. `before_later`: a later change stays (specificUpdateDate)."""

    line: str
    rates: Rates
    before_later: bool


class RemoveProduct(Action, frozen=True):
    line: str


class ChangePlan(Action, frozen=True):
    """One plan is removed and another begins, on one day."""

    line: str
    added: Subscribed


class TermsAndConditions(Action, frozen=True):
    """The last term ends on `end` (None: evergreen), and renews or not."""

    end: dt.date | None
    renews: bool
    renewal_months: int | None


class RenewSubscription(Action, frozen=True):
    """Another term after the last; `date` is the day on which it begins."""


class CancelSubscription(Action, frozen=True):
    pass


class Suspend(Action, frozen=True):
    pass


class Resume(Action, frozen=True):
    pass


class OwnerTransfer(Action, frozen=True):
    account: str


class DateRules(msgspec.Struct, frozen=True):
    """Which trigger dates the tenant's settings ask for, and in which zone its days are."""

    zone: str = "UTC"
    requires_activation: bool = False
    requires_acceptance: bool = False

    def trigger_dates(self, action: Action) -> dict[str, dt.date]:
        """By name. One that is missing would leave the change pending."""
        names = ["ContractEffective"]
        if self.requires_activation or self.requires_acceptance:
            names.append("ServiceActivation")
        if self.requires_acceptance:
            names.append("CustomerAcceptance")
        return dict.fromkeys(names, action.date)
