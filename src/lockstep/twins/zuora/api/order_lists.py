"""Orders listed, previewed, and worked later: the endpoints around the one that makes orders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from ..engine.tree import Refused
from ..tenant import Tenant
from ..users import acting_as
from . import orders
from .billing import Line, lines
from .call import Answer, Call, ok
from .paging import page


def all_orders(call: Call) -> Answer:
    return _listed(call, "TRUE", [])


def of_subscription(call: Call) -> Answer:
    """Those that named the subscription, the newest first."""
    named = (
        "EXISTS (SELECT 1 FROM json_each(doc, '$.subscriptions') WHERE value ->> 'subscriptionNumber' = ?)"
    )
    return _listed(call, named, [call.params["key"]])


def of_owner(call: Call) -> Answer:
    account = call.tenant.found("accounts", call.params["key"], "account")
    return _listed(call, "parent = ?", [account["id"]])


def _listed(call: Call, condition: str, values: list[Any]) -> Answer:
    found = call.tenant.store.where("orders", condition, values, "ORDER BY doc ->> 'sequence' DESC")
    shown, more = page(call, found, default=20, most=40)
    return ok(orders=[orders.order_json(one) for one in shown], **more)


class Options(msgspec.Struct, rename="camel"):
    preview_types: list[str]
    preview_thru_type: str = "NumberOfPeriods"
    specific_preview_thru_date: date | None = None


class Preview(msgspec.Struct, rename="camel"):
    preview_options: Options
    existing_account_number: str | None = None


class _Unmade(Exception):
    """Carries the answer out of the transaction whose effect is taken back."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


def preview(call: Call) -> Answer:
    """What the order's subscriptions would be invoiced more, up to a day. Nothing of the order stays."""
    said = call.said(Preview)
    options = said.preview_options
    if options.preview_types != ["BillingDocs"]:
        raise Refused(45, "the stand-in previews BillingDocs only")
    if options.preview_thru_type != "SpecificDate" or options.specific_preview_thru_date is None:
        raise Refused(45, "the stand-in previews through a SpecificDate only")
    if said.existing_account_number is None:
        raise Refused(45, "the stand-in previews for an existing account only")
    through = options.specific_preview_thru_date
    try:
        with call.tenant.store.transaction():
            _, changed = orders.worked(call, call.said(orders.NewOrder))
            found = [(after[-1].number, lines(call.tenant, after[-1], through)) for _, after, _ in changed]
            raise _Unmade(ok(previewResult={"invoices": _documents(found, through)}))
    except _Unmade as made:
        return made.answer


def _documents(found: list[tuple[str, list[Line]]], through: date) -> list[dict[str, Any]]:
    items = [
        {
            "subscriptionNumber": number,
            "chargeNumber": line.charge.number,
            "chargeName": line.charge.name,
            "productRatePlanChargeId": line.charge.product_charge_id,
            "processingType": "Charge",
            "serviceStartDate": line.start,
            "serviceEndDate": line.end,
            "amountWithoutTax": line.amount,
            "taxAmount": Decimal(0),
        }
        for number, some in found
        for line in some
    ]
    total = sum((line.amount for _, some in found for line in some), Decimal(0))
    if not items:
        return []
    return [
        {
            "targetDate": through,
            "amount": total,
            "amountWithoutTax": total,
            "taxAmount": 0,
            "invoiceItems": items,
        }
    ]


def create_later(call: Call) -> Answer:
    return _later(call, "order")


def preview_later(call: Call) -> Answer:
    return _later(call, "preview")


def _later(call: Call, what: str) -> Answer:
    id = call.tenant.store.id()
    doc = {"id": id, "status": "Processing", "what": what}
    call.tenant.put("jobs", doc)
    call.tenant.store.enqueue("job", 0.0, {"id": id, "what": what, "body": call.body, "user": call.user})
    return ok(jobId=id)


_WORKS: dict[str, Callable[[Call], Answer]] = {"order": orders.create, "preview": preview}


def work_job(tenant: Tenant, doc: dict[str, Any]) -> None:
    """Work one asynchronous order; its outcome, of either kind, is the job's."""
    call = Call(tenant, "POST", "/v1/async/orders", body=doc["body"])
    try:
        with tenant.store.transaction(), acting_as(doc["user"]):
            answer = _WORKS[doc["what"]](call)
    except Refused as error:
        tenant.change("jobs", doc["id"], status="Failed", errors=str(error), category=error.category)
        return
    result = {name: value for name, value in answer.body.items() if name != "success"}
    kind = "AsyncCreateOrder" if doc["what"] == "order" else "AsyncPreviewOrder"
    tenant.change("jobs", doc["id"], status="Completed", result={"jobType": kind, **result})


def read_job(call: Call) -> Answer:
    doc = call.tenant.found("jobs", call.params["key"], "job")
    return ok(status=doc["status"], result=doc.get("result"), errors=doc.get("errors"))
