"""Accounts and their contacts: /v1/accounts, /v1/contacts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from ..engine.custom import custom_of
from ..engine.tree import Refused
from ..forms import bare
from ..rows import mrr
from ..tenant import Tenant
from .call import Answer, Call, ok

CONTACT = (
    *("address1", "address2", "city", "country", "county", "fax", "firstName", "homePhone", "lastName"),
    *("mobilePhone", "nickname", "otherPhone", "otherPhoneType", "personalEmail", "state", "taxRegion"),
    *("workEmail", "workPhone"),
)
ACCOUNT = (
    "batch",
    "billCycleDay",
    "crmId",
    "name",
    "notes",
    "parentId",
    "paymentTerm",
    "autoPay",
    "salesRep",
)


class NewAccount(msgspec.Struct, rename="camel"):
    """What must be there. The rest is taken as it is."""

    name: str
    currency: str
    bill_to_contact: dict[str, Any]
    account_number: str | None = None
    sold_to_contact: dict[str, Any] | None = None
    ship_to_contact: dict[str, Any] | None = None


def create(call: Call) -> Answer:
    said = call.said(NewAccount)
    account = made(call.tenant, said, call.body)
    return ok(
        accountId=account["id"],
        accountNumber=account["accountNumber"],
        billToContactId=account["billToId"],
        soldToContactId=account["soldToId"],
    )


def made(tenant: Tenant, said: NewAccount, body: dict[str, Any]) -> dict[str, Any]:
    """A new account with its contacts; the sold-to contact is the bill-to one where none is said."""
    number = said.account_number or tenant.store.number("A")
    if "/" in number:
        raise Refused(20, f"accountNumber {number!r} must not contain '/'")
    if tenant.store.numbered("accounts", number) is not None:
        raise Refused(43, f"Duplicate account number: {number}.")
    if len(said.currency) != 3:
        raise Refused(20, f"currency {said.currency!r} is not an ISO code")
    id = tenant.store.id()
    bill = _new_contact(tenant, id, said.bill_to_contact)
    sold = bill if said.sold_to_contact is None else _new_contact(tenant, id, said.sold_to_contact)
    ship = sold if said.ship_to_contact is None else _new_contact(tenant, id, said.ship_to_contact)
    doc = {
        "id": id,
        "accountNumber": number,
        "currency": said.currency,
        "status": "Active",
        "billToId": bill,
        "soldToId": sold,
        "shipToId": ship,
        "balance": Decimal(0),
        "totalInvoiceBalance": Decimal(0),
        "creditBalance": Decimal(0),
        "unappliedBalance": Decimal(0),
        "batch": "Batch1",
        "billCycleDay": 0,
        "autoPay": False,
        "paymentTerm": "Due Upon Receipt",
        **{name: body[name] for name in ACCOUNT if name in body},
        **tenant.customs("Account", body, new=True),
    }
    tenant.put("accounts", doc, number=number)
    return doc


def read(call: Call) -> Answer:
    tenant = call.tenant
    doc = tenant.found("accounts", call.params["key"], "account")
    contacts = {
        role: contact_json(tenant.found("contacts", doc[f"{role}Id"], "contact"))
        for role in ("billTo", "soldTo", "shipTo")
    }
    metrics = {
        "balance": doc["balance"],
        "totalInvoiceBalance": doc["totalInvoiceBalance"],
        "creditBalance": doc["creditBalance"],
        "contractedMrr": contracted(tenant, doc["id"]),
        "currency": doc["currency"],
    }
    basic = ("accountNumber", "batch", "crmId", "id", "name", "notes", "parentId", "salesRep", "status")
    billing = ("autoPay", "billCycleDay", "currency", "paymentTerm")
    return ok(
        basicInfo={name: doc.get(name) for name in basic} | custom_of(doc),
        billingAndPayment={name: doc.get(name) for name in billing} | {"additionalEmailAddresses": []},
        metrics=metrics,
        billToContact=contacts["billTo"],
        soldToContact=contacts["soldTo"],
        shipToContact=contacts["shipTo"],
    )


def update(call: Call) -> Answer:
    tenant, body = call.tenant, call.body or {}
    doc = tenant.found("accounts", call.params["key"], "account")
    if "currency" in body and body["currency"] != doc["currency"]:
        raise Refused(30, "the currency of an account cannot be changed")
    for role in ("billTo", "soldTo", "shipTo"):
        fields = body.get(f"{role}Contact")
        if fields:
            tenant.change("contacts", doc[f"{role}Id"], **_contact_fields(tenant, fields))
    tenant.change(
        "accounts", doc["id"], **{n: body[n] for n in ACCOUNT if n in body}, **tenant.customs("Account", body)
    )
    return ok()


def contracted(tenant: Tenant, account: str) -> Decimal:
    """Monthly recurring revenue of an account's subscriptions today."""
    today = tenant.clock.today()
    latest = tenant.store.where(
        "subscriptions", "parent = ? AND doc ->> 'isLatestVersion' AND doc ->> 'status' = 'Active'", [account]
    )
    return sum((mrr(tenant.store.history(doc["name"])[-1], today) for doc in latest), Decimal(0))


def create_contact(call: Call) -> Answer:
    body = call.body or {}
    key = body.get("accountId") or body.get("accountNumber")
    if not key:
        raise Refused(22, "accountId or accountNumber is missing")
    account = call.tenant.found("accounts", key, "account")
    id = _new_contact(call.tenant, account["id"], body)
    return ok(**contact_json(call.tenant.found("contacts", id, "contact")))


def read_contact(call: Call) -> Answer:
    return ok(**contact_json(call.tenant.found("contacts", call.params["key"], "contact")))


def update_contact(call: Call) -> Answer:
    doc = call.tenant.found("contacts", call.params["key"], "contact")
    call.tenant.change("contacts", doc["id"], **_contact_fields(call.tenant, call.body or {}))
    return read_contact(call)


def _new_contact(tenant: Tenant, account: str, fields: dict[str, Any]) -> str:
    for name in ("firstName", "lastName"):
        if not fields.get(name):
            raise Refused(22, f"{name} of a contact is missing")
    id = tenant.store.id()
    doc = {"id": id, "accountId": account}
    tenant.customs("Contact", fields, new=True)
    tenant.put("contacts", doc | _contact_fields(tenant, fields), parent=account)
    return id


def _contact_fields(tenant: Tenant, fields: dict[str, Any]) -> dict[str, Any]:
    """As it is kept: with the names that queries have."""
    kept = {name: fields[name] for name in CONTACT if name in fields}
    if "nickname" in kept:
        kept["nickName"] = kept.pop("nickname")
    for name, own in (
        ("zipCode", "postalCode"),
        ("postalCode", "postalCode"),
        ("contactDescription", "description"),
    ):
        if name in fields:
            kept[own] = fields[name]
    return kept | tenant.customs("Contact", fields)


def contact_json(doc: dict[str, Any]) -> dict[str, Any]:
    """As /v1 shows it."""
    shown = {name: doc.get(name) for name in CONTACT if name != "nickname"}
    return bare(
        {
            "id": doc["id"],
            "accountId": doc["accountId"],
            **shown,
            "nickname": doc.get("nickName"),
            "zipCode": doc.get("postalCode"),
            "contactDescription": doc.get("description"),
            **custom_of(doc),
        }
    )
