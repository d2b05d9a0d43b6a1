"""What orders would bill: Zuora previews each of them, and nothing of it stays."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.models import plus_months
from lockstep.systems.zuora.writing.delivery import body_of
from lockstep.systems.zuora.writing.requests import Request

_ITEMS = 10
"""Of one account, invoice items that are shown."""


def previewed(client: Client, requests: Sequence[Request], currency: str, today: dt.date) -> tuple[str, ...]:
    """The invoice of a month from `today` on as it would be after these requests, in words. Raises as
    `Client.ask` does."""
    orders = [one.said for one in requests if one.is_order]
    if not orders:
        return ()
    if "newAccount" in orders[0]:
        return ("a new account: Zuora previews invoices of accounts that are there",)
    until = plus_months(today, 1)
    items = [item for order in orders for item in _items(client, order, until)]
    total = sum((_amount(item) for item in items), Decimal(0))
    if not items:
        return (f"nothing more is invoiced up to {until}",)
    credit = " (a credit)" if total < 0 else ""
    more = [f"and {len(items) - _ITEMS:,} items more"] if len(items) > _ITEMS else []
    return (
        f"the next invoice, of all that is due up to {until}: {total:,.2f} {currency}{credit}",
        *(_line(item) for item in items[:_ITEMS]),
        *more,
    )


def _items(client: Client, order: dict[str, Any], until: dt.date) -> Iterator[dict[str, Any]]:
    """Of the invoices and, where the tenant has them, of the credit memos."""
    options = {
        "previewTypes": ["BillingDocs"],
        "previewThruType": "SpecificDate",
        "specificPreviewThruDate": until,
    }
    said = {name: value for name, value in order.items() if name != "processingOptions"}
    answer = client.ask(
        "POST", "/v1/orders/preview", body_of({**said, "previewOptions": options}), reads=True
    )
    result = answer.get("previewResult") or {}
    for document in result.get("invoices") or []:
        yield from document.get("invoiceItems") or []
    for document in result.get("creditMemos") or []:
        for item in document.get("creditMemoItems") or []:
            yield {**item, "amountWithoutTax": -_amount(item)}


def _amount(item: dict[str, Any]) -> Decimal:
    return Decimal(item.get("amountWithoutTax") or 0)


def _line(item: dict[str, Any]) -> str:
    name = " ".join(str(item[one]) for one in ("subscriptionNumber", "chargeName") if item.get(one))
    return f"  {name}, {item.get('serviceStartDate')} to {item.get('serviceEndDate')}: {_amount(item):,.2f}"
