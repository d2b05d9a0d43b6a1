"""Bill runs: what is due and was not billed becomes invoices; and what an order would bill."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec.structs import replace

from ..engine.due import Item, owed
from ..engine.history import History
from ..engine.tree import Charge, Version, with_charges
from ..tenant import Tenant
from ..users import acting
from . import callouts


class Line(NamedTuple):
    """An invoice item to be: what is due more, or less, than was billed."""

    charge: Charge
    segment: int
    segment_id: str
    start: date
    end: date
    period: str
    """The begin of the service, which together with charge and segment says what is billed."""
    amount: Decimal


def lines(tenant: Tenant, version: Version, through: date) -> list[Line]:
    """What a bill run up to `through` adds to the invoices of a subscription."""
    billed: dict[tuple[str, int, str], tuple[Decimal, date]] = {}
    for item in tenant.store.where("invoice-items", "number = ?", [version.number]):
        key = (item["chargeNumber"], item["segment"], item["period"])
        so_far, end = billed.get(key, (Decimal(0), date.min))
        amount = Decimal(item["chargeAmount"])
        reached = date.fromisoformat(item["serviceEndDate"])
        billed[key] = (so_far + amount, reached if amount > 0 else max(end, reached))
    horizon = max([through, *(reached for _, reached in billed.values())])
    now = {_key(one) for one in owed(version, through, tenant.settings)}
    due = {_key(one): one for one in owed(version, horizon, tenant.settings)}
    charges = {charge.number: charge for plan in version.plans for charge in plan.charges}
    found = []
    for key in sorted(now | billed.keys()):
        number, segment, period = key
        one = due.get(key)
        before, reached = billed.get(key, (Decimal(0), date.min))
        amount = (one.amount if one is not None else Decimal(0)) - before
        if amount == 0 or number not in charges or (amount < 0 and not tenant.settings.credit):
            continue
        start = date.fromisoformat(period)
        end = one.end if one is not None else reached
        if one is not None and before and one.end < reached:
            start, end = one.end, reached  # the part that is credited
        id = next((s.id for s in charges[number].segments if s.number == segment), "")
        found.append(Line(charges[number], segment, id, start, end, period, amount))
    return found


def _key(item: Item) -> tuple[str, int, str]:
    return item.charge.number, item.segment.number, str(item.start)


def bill(
    tenant: Tenant,
    accounts: Sequence[str],
    through: date,
    on: date,
    *,
    post: bool,
    source: str,
    run: str | None = None,
) -> list[dict[str, Any]]:
    """Invoices for what the subscriptions of these accounts (ids; none: all) owe; returns their records."""
    by_payer: dict[tuple[str, str], list[tuple[History, list[Line]]]] = defaultdict(list)
    for number in _numbers(tenant, accounts):
        versions = tenant.store.history(number)
        last = versions[-1]
        by_payer[last.invoice_owner, last.currency].append((versions, lines(tenant, last, through)))
    made = []
    for (payer, currency), found in sorted(by_payer.items(), key=lambda one: one[0]):
        account = tenant.found("accounts", payer, "account")
        if any(some for _, some in found):
            made.append(_invoice(tenant, account, currency, found, through, on, source, run))
            if post:
                made[-1] = posted(tenant, made[-1]["id"])
        for versions, _ in found:
            tenant.save(versions, (*versions[:-1], _charged(versions[-1], through, tenant)))
    return made


def _numbers(tenant: Tenant, accounts: Sequence[str]) -> Iterable[str]:
    latest = "doc ->> 'isLatestVersion'"
    if not accounts:
        return [doc["name"] for doc in tenant.store.where("subscriptions", latest, [])]
    marks = ", ".join("?" * len(accounts))
    payer = f"{latest} AND doc ->> 'invoiceOwnerId' IN ({marks})"
    return [doc["name"] for doc in tenant.store.where("subscriptions", payer, list(accounts))]


def _charged(version: Version, through: date, tenant: Tenant) -> Version:
    """With how far each segment is charged: where its last item ends."""
    ends: dict[tuple[str, int], date] = {}
    for one in owed(version, through, tenant.settings):
        key = (one.charge.number, one.segment.number)
        ends[key] = max(one.end, ends.get(key, date.min))

    def charged(charge: Charge) -> Charge:
        return replace(
            charge,
            segments=tuple(
                replace(
                    one,
                    charged_through=_later(
                        ends.get((charge.number, one.number)), one.charged_through, one.end
                    ),
                )
                for one in charge.segments
            ),
        )

    found = with_charges(version, charged)
    return version if found == version else found


def _later(due: date | None, before: date | None, end: date | None) -> date | None:
    """A run to an earlier day takes back nothing; what lies after the end has been credited."""
    days = [one for one in (due, before) if one is not None]
    if not days:
        return None
    return max(days) if end is None else min(max(days), end)


def _invoice(
    tenant: Tenant,
    account: dict[str, Any],
    currency: str,
    found: list[tuple[History, list[Line]]],
    through: date,
    on: date,
    source: str,
    run: str | None,
) -> dict[str, Any]:
    id, number = tenant.store.id(), tenant.store.number("INV")
    total = sum((line.amount for _, some in found for line in some), Decimal(0))
    kinds = {line.charge.type for _, some in found for line in some}
    tenant.put(
        "invoices",
        {
            "id": id,
            "accountId": account["id"],
            "invoiceNumber": number,
            "invoiceDate": on,
            "dueDate": on,
            "targetDate": through,
            "amount": total,
            "amountWithoutTax": total,
            "balance": total,
            "paymentAmount": Decimal(0),
            "currency": currency,
            "status": "Draft",
            "includesOneTime": "OneTime" in kinds,
            "includesRecurring": "Recurring" in kinds,
            "includesUsage": False,
            "source": source,
            "sourceId": run,
            "billRunId": run,
        },
        number=number,
        parent=account["id"],
    )
    for versions, some in found:
        last = versions[-1]
        for line in some:
            tenant.put(
                "invoice-items",
                {
                    "id": tenant.store.id(),
                    "invoiceId": id,
                    "subscriptionId": last.id,
                    "subscriptionNumber": last.number,
                    "ratePlanChargeId": line.segment_id,
                    "productRatePlanChargeId": line.charge.product_charge_id,
                    "chargeNumber": line.charge.number,
                    "chargeName": line.charge.name,
                    "chargeAmount": line.amount,
                    "chargeDate": tenant.now(),
                    "serviceStartDate": line.start,
                    "serviceEndDate": line.end,
                    "processingType": "Charge",
                    "taxAmount": Decimal(0),
                    "accountId": account["id"],
                    "segment": line.segment,
                    "period": line.period,
                },
                number=last.number,
                parent=id,
            )
    return tenant.found("invoices", id, "invoice")


def posted(tenant: Tenant, id: str) -> dict[str, Any]:
    """A draft invoice posted: it counts in the account's balance."""
    invoice = tenant.found("invoices", id, "invoice")
    if invoice["status"] == "Draft":
        tenant.change("invoices", id, status="Posted", postedDate=tenant.now(), postedBy=acting())
        account = tenant.found("accounts", invoice["accountId"], "account")
        balance = Decimal(account["balance"]) + Decimal(invoice["amount"])
        tenant.change("accounts", account["id"], balance=balance, totalInvoiceBalance=balance)
        callouts.raised(
            tenant,
            "InvoicePosted",
            {
                "Invoice.Id": id,
                "Invoice.InvoiceNumber": invoice["invoiceNumber"],
                "Account.Id": account["id"],
                "Account.AccountNumber": account["accountNumber"],
            },
        )
    return tenant.found("invoices", id, "invoice")
