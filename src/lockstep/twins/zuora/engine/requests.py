"""Order actions as they are sent: typed, with the API's names, and no more than is needed of each."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from .catalogue import Override
from .custom import custom_of
from .tree import Refused, Tier


class _Sent(msgspec.Struct, rename="camel"):
    """What is not named here is let pass, as the real API does with much."""


class TriggerDate(_Sent):
    name: str
    trigger_date: date | None = None


class Price(_Sent):
    """recurringFlatFee, recurringPerUnit, recurringTiered, …: each model has its own name in `pricing`."""

    list_price: Decimal | None = None
    quantity: Decimal | None = None
    tiers: tuple[Tier, ...] | None = None


class StartDate(_Sent):
    trigger_event: str | None = None
    specific_trigger_date: date | None = None


class EndDate(_Sent):
    end_date_condition: str | None = None
    specific_end_date: date | None = None
    up_to_periods: int | None = None
    up_to_periods_type: str | None = None


class Billing(_Sent):
    billing_period: str | None = None


class ChargeOverride(_Sent):
    product_rate_plan_charge_id: str | None = None
    product_rate_plan_charge_number: str | None = None
    charge_number: str | None = None
    pricing: dict[str, Price | None] | None = None
    start_date: StartDate | None = None
    end_date: EndDate | None = None
    billing: Billing | None = None
    custom_fields: dict[str, Any] | None = None

    def override(self) -> Override:
        price, start, end = (
            one_price(self.pricing),
            self.start_date or StartDate(),
            self.end_date or EndDate(),
        )
        return Override(
            product_charge=self.product_rate_plan_charge_id or self.product_rate_plan_charge_number or "",
            charge_number=self.charge_number,
            quantity=price.quantity,
            price=price.list_price,
            tiers=price.tiers,
            billing_period=(self.billing or Billing()).billing_period,
            trigger_event=start.trigger_event,
            trigger_date=start.specific_trigger_date,
            end_condition=end.end_date_condition,
            end_date=end.specific_end_date,
            up_to=end.up_to_periods,
            up_to_type=end.up_to_periods_type,
            custom=custom_of(self.custom_fields or {}),
        )


class ChargeUpdate(_Sent):
    charge_number: str | None = None
    product_rate_plan_charge_id: str | None = None
    product_rate_plan_charge_number: str | None = None
    pricing: dict[str, Price | None] | None = None
    custom_fields: dict[str, Any] | None = None
    clearing_custom_fields: tuple[str, ...] | None = None
    effective_date: StartDate | None = None


class AddProduct(_Sent):
    product_rate_plan_id: str | None = None
    product_rate_plan_number: str | None = None
    subscription_rate_plan_number: str | None = None
    charge_overrides: tuple[ChargeOverride, ...] | None = None
    is_adding_subset_charges: bool = False


class Which(_Sent):
    """A rate plan of the subscription: by an id of any version, its number, or its product rate plan."""

    rate_plan_id: str | None = None
    subscription_rate_plan_number: str | None = None
    product_rate_plan_id: str | None = None


class UpdateProduct(Which):
    charge_updates: tuple[ChargeUpdate, ...] | None = None
    specific_update_date: date | None = None


class RemoveProduct(Which):
    pass


class ChangePlan(Which, kw_only=True):
    new_product_rate_plan: AddProduct
    effective_policy: str | None = None
    sub_type: str | None = None


class PeriodOf(_Sent):
    period: int | None = None
    period_type: str | None = None


class TermOf(PeriodOf):
    term_type: str = "TERMED"
    start_date: date | None = None
    end_date: date | None = None


class Terms(_Sent):
    initial_term: TermOf
    auto_renew: bool = False
    renewal_setting: str = "RENEW_WITH_SPECIFIC_TERM"
    renewal_terms: tuple[PeriodOf, ...] | None = None


class CreateSubscription(_Sent):
    terms: Terms
    subscription_number: str | None = None
    subscription_owner_account_number: str | None = None
    invoice_owner_account_number: str | None = None
    subscribe_to_rate_plans: tuple[AddProduct, ...] = ()
    currency: str | None = None
    notes: str | None = None


class TermsAndConditions(_Sent):
    auto_renew: bool | None = None
    renewal_setting: str | None = None
    renewal_terms: tuple[PeriodOf, ...] | None = None
    last_term: TermOf | None = None


class RenewSubscription(_Sent):
    pass


class CancelSubscription(_Sent):
    cancellation_policy: str
    cancellation_effective_date: date | None = None


class OwnerTransfer(_Sent):
    destination_account_number: str | None = None
    destination_invoice_account_number: str | None = None


class Suspend(_Sent):
    suspend_policy: str
    suspend_specific_date: date | None = None
    suspend_periods: int | None = None
    suspend_periods_type: str | None = None


class Resume(_Sent):
    resume_policy: str
    resume_specific_date: date | None = None
    resume_periods: int | None = None
    resume_periods_type: str | None = None
    extends_term: bool = False


class Action(_Sent):
    """One action: its type and the body of that name. A body of another type's name is an error."""

    type: str
    trigger_dates: tuple[TriggerDate, ...] = ()
    create_subscription: CreateSubscription | None = None
    add_product: AddProduct | None = None
    update_product: UpdateProduct | None = None
    remove_product: RemoveProduct | None = None
    change_plan: ChangePlan | None = None
    terms_and_conditions: TermsAndConditions | None = None
    renew_subscription: RenewSubscription | None = None
    cancel_subscription: CancelSubscription | None = None
    owner_transfer: OwnerTransfer | None = None
    suspend: Suspend | None = None
    resume: Resume | None = None

    def date_of(self, event: str) -> date | None:
        """The trigger date of that name."""
        return next((one.trigger_date for one in self.trigger_dates if one.name == event), None)

    def checked(self) -> Action:
        """Itself; raises Refused where type, body and trigger dates do not go together."""
        if self.type not in BODIES:
            raise Refused(20, f"type {self.type!r} is no order action; there are {', '.join(BODIES)}")
        for kind, name in BODIES.items():
            given = getattr(self, name)
            if kind != self.type and given is not None:
                raise Refused(30, f"an order action of type {self.type} must not have a body for {kind}")
            if kind == self.type and given is None and kind != "RenewSubscription":
                raise Refused(22, f"an order action of type {kind} needs its body")
        for one in self.trigger_dates:
            if one.name not in EVENTS:
                raise Refused(20, f"trigger date {one.name!r}: there are {', '.join(EVENTS)}")
        dates = [found for event in EVENTS if (found := self.date_of(event)) is not None]
        if dates != sorted(dates):
            raise Refused(
                30, "trigger dates must be ContractEffective <= ServiceActivation <= CustomerAcceptance"
            )
        return self


EVENTS = ("ContractEffective", "ServiceActivation", "CustomerAcceptance")
BODIES = {
    "CreateSubscription": "create_subscription",
    "AddProduct": "add_product",
    "UpdateProduct": "update_product",
    "RemoveProduct": "remove_product",
    "ChangePlan": "change_plan",
    "TermsAndConditions": "terms_and_conditions",
    "RenewSubscription": "renew_subscription",
    "CancelSubscription": "cancel_subscription",
    "OwnerTransfer": "owner_transfer",
    "Suspend": "suspend",
    "Resume": "resume",
}


def one_price(pricing: dict[str, Price | None] | None) -> Price:
    """The one entry of `pricing`, whatever its model; none is an empty one."""
    given = [one for one in (pricing or {}).values() if one is not None]
    if len(given) > 1:
        raise Refused(20, f"pricing names more than one model: {', '.join(pricing or {})}")
    return given[0] if given else Price()
