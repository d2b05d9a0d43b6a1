"""One order action on one subscription: the version before it, and the version after it. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from . import products, terms
from .order import Known, Order, plan_of, term_of
from .requests import Action, PeriodOf
from .settings import Settings
from .tree import PENDING, Refused, Version, copied


def created(action: Action, order: Order, number: str | None) -> Version:
    """Version 1 of a subscription."""
    body = action.create_subscription
    assert body is not None
    contract = action.date_of("ContractEffective")
    start = body.terms.initial_term.start_date or contract
    term = term_of(body.terms.initial_term, start)
    renewal = (body.terms.renewal_terms or (PeriodOf(),))[0]
    owner = body.subscription_owner_account_number or order.account
    id = order.minter.id()
    version = Version(
        id=id,
        number=body.subscription_number or number or order.minter.number("A-S"),
        version=1,
        previous_id=None,
        original_id=id,
        account=owner,
        invoice_owner=body.invoice_owner_account_number or owner,
        currency=body.currency or order.currency,
        status="Active",
        order=order.number,
        action=action.type,
        booked=order.booked,
        made=order.now,
        initial=term,
        term=term,
        renewal_period=renewal.period,
        renewal_period_type=renewal.period_type,
        renewal_setting=body.terms.renewal_setting,
        auto_renew=body.terms.auto_renew,
        contract_effective=contract,
        service_activation=action.date_of("ServiceActivation"),
        customer_acceptance=action.date_of("CustomerAcceptance"),
        notes=body.notes,
    )
    version = replace(version, status=pending_status(version, order.settings))
    for account in {version.account, version.invoice_owner}:
        if not order.account_exists(account):
            raise Refused(40, f"there is no account {account}")
    for one in body.subscribe_to_rate_plans:
        version = replace(version, plans=(*version.plans, plan_of(one, version, action, order)))
    return version


def applied(version: Version, action: Action, order: Order, known: Known) -> Version:
    """The next version. `known` maps rate plan ids of all versions to their rate plan numbers."""
    if action.type == "CreateSubscription":
        raise Refused(43, f"subscription {version.number} exists already")
    if version.status in PENDING:
        raise Refused(30, f"subscription {version.number} is {version.status}: give its trigger dates first")
    if version.status == "Cancelled":
        raise Refused(30, f"subscription {version.number} is cancelled: it cannot be changed any more")
    if version.status == "Suspended" and action.type != "Resume":
        raise Refused(30, f"subscription {version.number} is suspended: it can only be resumed")
    base = replace(
        copied(version, order.minter.id),
        order=order.number,
        action=action.type,
        booked=order.booked,
        made=order.now,
    )
    return _ACTIONS[action.type](base, action, order, known)


def pending_status(version: Version, settings: Settings) -> str:
    if version.contract_effective is None:
        return "Draft"
    if settings.require_activation and version.service_activation is None:
        return "Pending Activation"
    if settings.require_acceptance and version.customer_acceptance is None:
        return "Pending Acceptance"
    return "Active"


_ACTIONS: dict[str, Callable[[Version, Action, Order, Known], Version]] = {
    "AddProduct": products.add,
    "UpdateProduct": products.update,
    "RemoveProduct": products.remove,
    "ChangePlan": products.change,
    "TermsAndConditions": terms.terms,
    "RenewSubscription": terms.renew,
    "CancelSubscription": terms.cancel,
    "OwnerTransfer": terms.transfer,
    "Suspend": terms.suspend,
    "Resume": terms.resume,
}
