"""Bill runs, invoices and payments as endpoints."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from ..engine import history
from ..engine.order import Order
from ..engine.requests import Action, TriggerDate
from ..engine.tree import Refused
from ..tenant import Tenant
from . import callouts
from .billing import bill, posted
from .call import Answer, Call, ok
from .orders import sequence
from .paging import page


class Filter(msgspec.Struct, rename="camel"):
    filter_type: str
    account_id: str | None = None


class NewRun(msgspec.Struct, rename="camel"):
    target_date: date
    invoice_date: date | None = None
    name: str | None = None
    auto_post: bool = False
    auto_renewal: bool = False
    bill_run_filters: list[Filter] = []


def create_run(call: Call) -> Answer:
    """Done at once, though it says Pending, as a real one does that is not."""
    said, tenant = call.said(NewRun), call.tenant
    accounts = []
    for one in said.bill_run_filters:
        if one.filter_type != "Account" or one.account_id is None:
            raise Refused(45, "the stand-in filters bill runs by filterType Account only")
        accounts.append(tenant.found("accounts", one.account_id, "account")["id"])
    id, number = tenant.store.id(), tenant.store.number("BR-")
    if said.auto_renewal:
        _renew(tenant, accounts, said.target_date)
    on = said.invoice_date or tenant.clock.today()
    made = bill(tenant, accounts, said.target_date, on, post=said.auto_post, source="BillRun", run=id)
    doc = {
        "id": id,
        "billingRunNumber": number,
        "name": said.name,
        "status": "Posted" if said.auto_post else "Completed",
        "targetDate": said.target_date,
        "invoiceDate": on,
        "autoPost": said.auto_post,
        "autoRenewal": said.auto_renewal,
        "autoEmail": False,
        "invoices": [one["id"] for one in made],
    }
    tenant.put("billing-runs", doc, number=number)
    return ok(**_run(tenant.found("billing-runs", id, "bill run")) | {"status": "Pending"})


def read_run(call: Call) -> Answer:
    return ok(**_run(call.tenant.found("billing-runs", call.params["key"], "bill run")))


def post_run(call: Call) -> Answer:
    doc = call.tenant.found("billing-runs", call.params["key"], "bill run")
    for id in doc["invoices"]:
        posted(call.tenant, id)
    call.tenant.change("billing-runs", doc["id"], status="Posted")
    return read_run(call)


def _run(doc: dict[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in doc.items() if name not in {"invoices", "billingRunNumber"}}
    return {**shown, "billRunNumber": doc["billingRunNumber"]}


def _renew(tenant: Tenant, accounts: list[str], through: date) -> None:
    """Versions that nobody ordered: what renews itself and ends by then, by orders of the run."""
    condition = (
        "doc ->> 'isLatestVersion' AND doc ->> 'autoRenew' AND doc ->> 'status' IN ('Active', 'Expired')"
    )
    for doc in tenant.store.where(
        "subscriptions", condition + " AND doc ->> 'termEndDate' <= ?", [through.isoformat()]
    ):
        if accounts and doc["invoiceOwnerId"] not in accounts:
            continue
        before = after = tenant.store.history(doc["name"])
        while after[-1].term.end is not None and after[-1].term.end <= through:
            last = after[-1]
            account = tenant.found("accounts", last.account, "account")
            number = tenant.store.number("O-")
            assert last.term.end is not None
            order = Order(
                number=number,
                account=last.account,
                booked=last.term.end,
                today=tenant.clock.today(),
                now=tenant.clock.now(),
                currency=last.currency,
                settings=tenant.settings,
                minter=tenant.store,
                plan=_no_plan,
                account_exists=lambda one: True,
            )
            dates = (TriggerDate(name="ContractEffective", trigger_date=last.term.end),)
            after = history.ordered(after, [Action(type="RenewSubscription", trigger_dates=dates)], order)
            sent = {"type": "RenewSubscription", "sequence": 0, "id": tenant.store.id()}
            sent["triggerDates"] = [{"name": "ContractEffective", "triggerDate": str(last.term.end)}]
            made = {
                "id": tenant.store.id(),
                "orderNumber": number,
                "sequence": sequence(tenant),
                "accountId": account["id"],
                "accountNumber": last.account,
                "orderDate": last.term.end,
                "description": "Automatic renewal",
                "status": "Completed",
                "currency": last.currency,
                "subscriptions": [
                    {
                        "sequence": 0,
                        "subscriptionNumber": last.number,
                        "subscriptionOwnerAccountNumber": last.account,
                        "baseVersion": last.version,
                        "newVersion": after[-1].version,
                        "orderActions": [sent],
                    }
                ],
            }
            tenant.put("orders", made, number=number, parent=account["id"])
            callouts.processed(tenant, made)
        tenant.save(before, after)


def _no_plan(said: object) -> Any:
    raise Refused(45, "a renewal adds no product")


def read_invoice(call: Call) -> Answer:
    return ok(**call.tenant.found("invoices", call.params["key"], "invoice"))


def read_items(call: Call) -> Answer:
    invoice = call.tenant.found("invoices", call.params["key"], "invoice")
    found = call.tenant.store.children("invoice-items", invoice["id"])
    shown, more = page(call, found, default=20, most=100)
    return ok(invoiceItems=[_item(one) for one in shown], **more)


def _item(doc: dict[str, Any]) -> dict[str, Any]:
    same = (
        "id",
        "subscriptionId",
        "chargeName",
        "serviceStartDate",
        "serviceEndDate",
        "productRatePlanChargeId",
    )
    return {name: doc[name] for name in same} | {
        "chargeId": doc["ratePlanChargeId"],
        "subscriptionName": doc["subscriptionNumber"],
        "chargeAmount": str(doc["chargeAmount"]),
        "taxAmount": str(doc["taxAmount"]),
        "processingType": doc["processingType"],
        "chargeDate": doc["chargeDate"],
    }


class Applied(msgspec.Struct, rename="camel"):
    amount: Decimal
    invoice_id: str | None = None
    invoice_number: str | None = None


class NewPayment(msgspec.Struct, rename="camel"):
    type: str
    amount: Decimal
    currency: str
    account_id: str | None = None
    account_number: str | None = None
    effective_date: date | None = None
    comment: str | None = None
    reference_id: str | None = None
    invoices: list[Applied] = []


def create_payment(call: Call) -> Answer:
    """A payment that was made elsewhere: the stand-in has no gateway."""
    said, tenant = call.said(NewPayment), call.tenant
    if said.type != "External":
        raise Refused(45, "the stand-in takes External payments only: it has no payment gateway")
    if said.amount <= 0:
        raise Refused(20, "amount must be greater than 0")
    key = said.account_id or said.account_number
    if key is None:
        raise Refused(22, "accountId or accountNumber is missing")
    account = tenant.found("accounts", key, "account")
    applied = sum((one.amount for one in said.invoices), Decimal(0))
    if applied > said.amount:
        raise Refused(30, f"{applied} is applied to invoices, more than the {said.amount} paid")
    for one in said.invoices:
        invoice = tenant.found("invoices", one.invoice_id or one.invoice_number or "", "invoice")
        balance = Decimal(invoice["balance"])
        if invoice["accountId"] != account["id"] or invoice["status"] != "Posted" or one.amount > balance:
            raise Refused(
                30, f"invoice {invoice['invoiceNumber']} cannot take {one.amount}: {balance} is open"
            )
        paid = Decimal(invoice["paymentAmount"]) + one.amount
        tenant.change("invoices", invoice["id"], balance=balance - one.amount, paymentAmount=paid)
    id, number = tenant.store.id(), tenant.store.number("P-")
    doc = {
        "id": id,
        "paymentNumber": number,
        "accountId": account["id"],
        "amount": said.amount,
        "appliedAmount": applied,
        "unappliedAmount": said.amount - applied,
        "currency": said.currency,
        "type": said.type,
        "status": "Processed",
        "effectiveDate": said.effective_date or tenant.clock.today(),
        "comment": said.comment,
        "referenceId": said.reference_id,
        "refundAmount": Decimal(0),
    }
    tenant.put("payments", doc, number=number, parent=account["id"])
    balance = Decimal(account["balance"]) - applied
    rest = Decimal(account["unappliedBalance"]) + said.amount - applied
    tenant.change(
        "accounts", account["id"], balance=balance, totalInvoiceBalance=balance, unappliedBalance=rest
    )
    ids = {"Payment.Id": id, "Payment.PaymentNumber": number, "Account.Id": account["id"]}
    callouts.raised(tenant, "PaymentProcessed", ids | {"Account.AccountNumber": account["accountNumber"]})
    return ok(**_payment(tenant.found("payments", id, "payment")))


def read_payment(call: Call) -> Answer:
    return ok(**_payment(call.tenant.found("payments", call.params["key"], "payment")))


def list_payments(call: Call) -> Answer:
    account = call.one("accountId")
    if account is None:
        raise Refused(23, "the query parameter accountId is missing")
    found = call.tenant.store.children("payments", account)
    shown, more = page(call, found, default=20, most=100)
    return ok(payments=[_payment(one) for one in shown], **more)


def _payment(doc: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in doc.items() if name != "paymentNumber"} | {
        "number": doc["paymentNumber"]
    }
