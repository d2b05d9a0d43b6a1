"""Orders: made, looked up, deleted; previewed; and worked asynchronously."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec

from ..engine import history
from ..engine.custom import custom_of
from ..engine.history import History
from ..engine.order import Order
from ..engine.requests import Action, TriggerDate
from ..engine.tree import PENDING, Refused
from ..tenant import Tenant
from . import callouts
from .accounts import NewAccount, made
from .billing import bill
from .call import Answer, Call, ok
from .catalogue import plan_of


class OnSubscription(msgspec.Struct, rename="camel"):
    order_actions: list[Action]
    subscription_number: str | None = None
    custom_fields: dict[str, Any] | None = None
    notes: str | None = None


class NewOrder(msgspec.Struct, rename="camel"):
    order_date: date
    subscriptions: list[OnSubscription]
    existing_account_number: str | None = None
    new_account: dict[str, Any] | None = None
    order_number: str | None = None
    description: str | None = None
    status: str | None = None
    scheduling_options: dict[str, Any] | None = None
    processing_options: dict[str, Any] | None = None


Changed = list[tuple[History, History, list[dict[str, Any]]]]
"""Per subscription: its history before and after, and the actions as they were sent."""


def create(call: Call) -> Answer:
    said = call.said(NewOrder)
    order, changed = worked(call, said)
    doc = _document(call, said, order, changed)
    call.tenant.put("orders", doc, number=order.number, parent=doc["accountId"])
    for before, after, _ in changed:
        call.tenant.save(before, after)
    callouts.processed(call.tenant, doc)
    body = _answered(doc, [after for _, after, _ in changed])
    options = said.processing_options or {}
    if options.get("runBilling"):
        target = (options.get("billingOptions") or {}).get("targetDate")
        day = date.fromisoformat(target) if target else order.today
        invoices = bill(call.tenant, [doc["accountId"]], day, order.today, post=True, source="Order")
        body["invoiceIds"] = [one["id"] for one in invoices]
        body["invoiceNumbers"] = [one["invoiceNumber"] for one in invoices]
    return ok(**body)


def worked(call: Call, said: NewOrder) -> tuple[Order, Changed]:
    """What the order would make of each subscription; nothing of it is stored, a new account is."""
    tenant, settings = call.tenant, call.tenant.settings
    if said.status not in {None, "Completed"} or said.scheduling_options is not None:
        raise Refused(45, f"the stand-in makes completed orders only, no {said.status or 'scheduled'} ones")
    if not said.subscriptions:
        raise Refused(22, "subscriptions are missing")
    if len(said.subscriptions) > settings.subscriptions_per_order:
        raise Refused(30, f"an order may have {settings.subscriptions_per_order} subscriptions")
    if sum(len(one.order_actions) for one in said.subscriptions) > settings.actions_per_order:
        raise Refused(30, f"an order may have {settings.actions_per_order} order actions")
    account = account_for(call, said)
    number = said.order_number or tenant.store.number("O-")
    if "/" in number:
        raise Refused(20, f"orderNumber {number!r} must not contain '/'")
    if tenant.store.numbered("orders", number) is not None:
        raise Refused(43, f"Order number {number} already exists.")
    order = Order(
        number=number,
        account=account["accountNumber"],
        booked=said.order_date,
        today=tenant.clock.today(),
        now=tenant.clock.now(),
        currency=account["currency"],
        settings=settings,
        minter=tenant.store,
        plan=lambda one: plan_of(tenant, one, said.order_date),
        account_exists=lambda one: tenant.store.numbered("accounts", one) is not None,
    )
    changed: Changed = []
    bodies = call.body["subscriptions"]
    for one, sent in zip(said.subscriptions, bodies, strict=True):
        if not one.order_actions:
            raise Refused(22, "orderActions are missing")
        first = one.order_actions[0]
        named = first.create_subscription.subscription_number if first.create_subscription else None
        key = one.subscription_number or named
        before = tenant.store.history(key) if key is not None else ()
        if first.type == "CreateSubscription" and before:
            raise Refused(43, f"Subscription number {key} already exists.")
        if before and before[-1].account != order.account and before[-1].invoice_owner != order.account:
            raise Refused(30, f"subscription {key} does not belong to account {order.account}")
        if key is not None and any(after[-1].number == key for _, after, _ in changed):
            raise Refused(30, f"the order names subscription {key} twice")
        after = history.ordered(before, one.order_actions, order, key)
        own = tenant.customs("Subscription", one.custom_fields or {}, new=not before)
        if own:
            last = msgspec.structs.replace(after[-1], custom={**after[-1].custom, **own})
            after = (*after[:-1], last)
        changed.append((before, after, sent["orderActions"]))
    return order, changed


def account_for(call: Call, said: NewOrder) -> dict[str, Any]:
    """The account an order is for, made where the order brings it."""
    if (said.existing_account_number is None) == (said.new_account is None):
        raise Refused(22, "either existingAccountNumber or newAccount must be given")
    if said.new_account is not None:
        inner = Call(call.tenant, call.method, call.path, body=said.new_account)
        return made(call.tenant, inner.said(NewAccount), said.new_account)
    assert said.existing_account_number is not None
    return call.tenant.found("accounts", said.existing_account_number, "account")


def account_of(call: Call) -> str | None:
    """The number of the account that an order locks."""
    if isinstance(call.body, dict) and isinstance(call.body.get("existingAccountNumber"), str):
        return str(call.body["existingAccountNumber"])
    return None


def _document(call: Call, said: NewOrder, order: Order, changed: Changed) -> dict[str, Any]:
    account = call.tenant.found("accounts", order.account, "account")
    pending = any(after[-1].status in PENDING for _, after, _ in changed)
    return {
        "id": call.tenant.store.id(),
        "orderNumber": order.number,
        "sequence": sequence(call.tenant),
        "accountId": account["id"],
        "accountNumber": order.account,
        "orderDate": said.order_date,
        "description": said.description,
        "status": "Pending" if pending else "Completed",
        "currency": account["currency"],
        "subscriptions": [
            {
                "sequence": place,
                "subscriptionNumber": after[-1].number,
                "subscriptionOwnerAccountNumber": after[-1].account,
                "baseVersion": len(before) or None,
                "newVersion": len(after),
                "orderActions": [
                    {**one, "sequence": n, "id": call.tenant.store.id()} for n, one in enumerate(sent)
                ],
            }
            for place, (before, after, sent) in enumerate(changed)
        ],
        **call.tenant.customs("Order", (call.body or {}).get("customFields") or {}, new=True),
    }


def sequence(tenant: Tenant) -> int:
    """The place of an order among all: several may be of one instant of a clock that stands."""
    return int(tenant.store.number(""))


def _answered(doc: dict[str, Any], after: list[History]) -> dict[str, Any]:
    return {
        "orderId": doc["id"],
        "orderNumber": doc["orderNumber"],
        "accountNumber": doc["accountNumber"],
        "accountId": doc["accountId"],
        "status": doc["status"],
        "subscriptionNumbers": [one[-1].number for one in after],
        "subscriptionIds": [one[-1].id for one in after],
        "subscriptions": [
            {"subscriptionNumber": one[-1].number, "subscriptionId": one[-1].id, "status": one[-1].status}
            for one in after
        ],
    }


def read(call: Call) -> Answer:
    return ok(order=order_json(call.tenant.found("orders", call.params["key"], "order")))


def order_json(doc: dict[str, Any]) -> dict[str, Any]:
    shown = ("orderNumber", "orderDate", "description", "status", "currency", "subscriptions")
    return {name: doc.get(name) for name in shown} | {
        "createdBy": doc["createdById"],
        "updatedBy": doc["updatedById"],
        "createdDate": doc["createdDate"],
        "updatedDate": doc["updatedDate"],
        "existingAccountNumber": doc["accountNumber"],
        "customFields": custom_of(doc),
    }


def delete(call: Call) -> Answer:
    """Rolls each of its subscriptions back to the version before; one that it made is gone."""
    tenant = call.tenant
    doc = tenant.found("orders", call.params["key"], "order")
    for one in doc["subscriptions"]:
        before = tenant.store.history(one["subscriptionNumber"])
        tenant.save(before, history.without(before, doc["orderNumber"]))
    tenant.store.drop("orders", doc["id"])
    return ok()


class NewDates(msgspec.Struct, rename="camel"):
    order_actions: list[dict[str, Any]]
    subscription_number: str


class TriggerDates(msgspec.Struct, rename="camel"):
    subscriptions: list[NewDates]


def trigger_dates(call: Call) -> Answer:
    """PUT …/triggerDates: what a pending order waits for."""
    tenant = call.tenant
    doc = tenant.found("orders", call.params["key"], "order")
    if doc["status"] != "Pending":
        raise Refused(30, f"order {doc['orderNumber']} is {doc['status']}, not Pending")
    order = Order(
        number=doc["orderNumber"],
        account=doc["accountNumber"],
        booked=date.fromisoformat(doc["orderDate"]),
        today=tenant.clock.today(),
        now=tenant.clock.now(),
        currency=doc["currency"],
        settings=tenant.settings,
        minter=tenant.store,
        plan=lambda one: plan_of(tenant, one, tenant.clock.today()),
        account_exists=lambda one: True,
    )
    statuses = []
    for one in call.said(TriggerDates).subscriptions:
        before = tenant.store.history(one.subscription_number)
        if not before or before[-1].order != order.number:
            raise Refused(40, f"order {order.number} has no subscription {one.subscription_number}")
        dates: dict[str, date] = {}
        for action in one.order_actions:
            for said in msgspec.convert(action.get("triggerDates", []), list[TriggerDate]):
                if said.trigger_date is not None:
                    dates[said.name] = said.trigger_date
        after = history.dated(before, dates, order)
        tenant.save(before, after)
        statuses.append({"subscriptionNumber": one.subscription_number, "status": after[-1].status})
    pending = any(one["status"] in PENDING for one in statuses)
    tenant.change("orders", doc["id"], status="Pending" if pending else "Completed")
    return ok(
        orderNumber=order.number,
        accountNumber=order.account,
        status="Pending" if pending else "Completed",
        subscriptions=statuses,
    )
