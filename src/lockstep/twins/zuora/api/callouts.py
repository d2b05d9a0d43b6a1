"""Notifications: who wants to be called about what, what has been called, and the same again on request."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from ..engine.tree import Refused
from ..rows import STAMPS
from ..tenant import Tenant
from ..users import acting
from .call import Answer, Call, ok
from .paging import page

EVENTS = ("OrderProcessed", "InvoicePosted", "PaymentProcessed")
"""The events that there are here. A real tenant has many more, and others that a user defines."""


class Auth(msgspec.Struct, rename="camel"):
    username: str = ""
    password: str = ""


class CalloutSaid(msgspec.Struct, rename="camel"):
    callout_baseurl: str
    name: str = ""
    http_method: str = "POST"
    required_auth: bool = False
    callout_auth: Auth | None = None
    callout_params: dict[str, str] | None = None
    callout_retry: bool = True


class NewDefinition(msgspec.Struct, rename="camel"):
    name: str
    event_type_name: str
    active: bool = True
    callout_active: bool = False
    callout: CalloutSaid | None = None


def create(call: Call) -> Answer:
    said = call.said(NewDefinition)
    if said.event_type_name not in EVENTS:
        raise Refused(45, f"the stand-in has no event {said.event_type_name!r}; it has {', '.join(EVENTS)}")
    id = call.tenant.store.id()
    doc = {**call.body, "id": id, "active": said.active, "calloutActive": said.callout_active}
    doc |= {"eventTypeNamespace": "com.zuora.notification", "createdBy": acting(), "updatedBy": acting()}
    call.tenant.put("notification-definitions", doc, number=said.event_type_name)
    return Answer(_shown(call.tenant.found("notification-definitions", id, "notification definition")))


def read(call: Call) -> Answer:
    return Answer(_shown(call.tenant.found("notification-definitions", call.params["key"], "definition")))


def delete(call: Call) -> Answer:
    doc = call.tenant.found("notification-definitions", call.params["key"], "definition")
    call.tenant.store.drop("notification-definitions", doc["id"])
    return ok(id=doc["id"])


def _shown(doc: dict[str, Any]) -> dict[str, Any]:
    """Without the password."""
    shown = {name: value for name, value in doc.items() if name not in STAMPS}
    if isinstance(shown.get("callout"), dict) and isinstance(shown["callout"].get("calloutAuth"), dict):
        auth = {name: value for name, value in shown["callout"]["calloutAuth"].items() if name != "password"}
        shown["callout"] = {**shown["callout"], "calloutAuth": auth}
    return shown


def processed(tenant: Tenant, order: dict[str, Any]) -> None:
    """An order has been processed: one event, with the numbers of its subscriptions."""
    numbers = [one["subscriptionNumber"] for one in order["subscriptions"]]
    raised(
        tenant,
        "OrderProcessed",
        {
            "Order.Id": order["id"],
            "Order.OrderNumber": order["orderNumber"],
            "Account.Id": order["accountId"],
            "Account.AccountNumber": order["accountNumber"],
            "Subscription.SubscriptionNumber": ",".join(numbers),
        },
    )


def raised(tenant: Tenant, event: str, fields: dict[str, str]) -> None:
    """Queue the callouts for an event, in the transaction that made it. Faults may lose or double them."""
    for doc in tenant.store.where("notification-definitions", "number = ?", [event]):
        definition = msgspec.convert(doc, NewDefinition)
        callout = definition.callout
        if not definition.active or not definition.callout_active or callout is None:
            continue
        params = callout.callout_params or {name.replace(".", ""): f"<{name}>" for name in fields}
        body = {name: _merged(value, fields) for name, value in params.items()}
        met = tenant.faults.met(callout.http_method, event, callouts=True)
        kind = met.kind if met is not None else None
        if kind == "callout_lost":
            continue
        due = time.time() + (met.after if met is not None and kind == "callout_late" else 0.0)
        sent = {
            "notification": definition.name,
            "event": event,
            "url": callout.callout_baseurl,
            "method": callout.http_method,
            "auth": msgspec.to_builtins(callout.callout_auth) if callout.required_auth else None,
            "retry": callout.callout_retry,
            "attempt": 1,
            "body": body,
        }
        for _ in range(2 if kind == "callout_doubled" else 1):
            tenant.store.enqueue("callout", due, sent)


def _merged(value: str, fields: dict[str, str]) -> str:
    """A merge field, as <Account.Id>, filled in; any other text as it is."""
    return fields.get(value[1:-1], "") if value.startswith("<") and value.endswith(">") else value


def histories(call: Call) -> Answer:
    """GET /v1/notification-history/callout: what has been sent, the oldest first."""
    found = call.tenant.store.where("callout-histories", "TRUE", [], "ORDER BY updated, id")
    if call.one("failedOnly") == "true":
        found = [one for one in found if not str(one["responseCode"]).startswith("2")]
    shown, more = page(call, found, default=20, most=40)
    hidden = {"sent", *STAMPS}
    return ok(calloutHistories=[{n: v for n, v in one.items() if n not in hidden} for one in shown], **more)


def resend(call: Call) -> Answer:
    """POST /notifications/callout-histories/resend: a body of ids of histories."""
    ids = call.body
    if not isinstance(ids, list):
        raise Refused(20, "the body must be a list of ids of callout histories")
    wrong = {}
    for id in ids:
        doc = call.tenant.store.get("callout-histories", str(id))
        if doc is None:
            wrong[str(id)] = {"code": "404", "message": "there is no such callout history"}
        else:
            call.tenant.store.enqueue("callout", time.time(), {**doc["sent"], "attempt": 1})
    return Answer(wrong)
