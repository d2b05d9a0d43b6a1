"""Reads all records that hang on an account, in all versions, as object query shows them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from lockstep.errors import UsageError
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.object_query import rows
from lockstep.systems.zuora.probe.probed import Kind, Recorded

_BELOW: dict[str, tuple[Kind, str]] = {
    "subscription": ("rate plan", "ratePlans"),
    "rate plan": ("charge", "ratePlanCharges"),
    "charge": ("tier", "ratePlanChargeTiers"),
    "invoice": ("item", "invoiceItems"),
}
"""What is expanded into a record: its kind, and the field that holds it."""

_HANGS: tuple[tuple[str, Kind, str], ...] = (
    ("contacts", "contact", ""),
    ("subscriptions", "subscription", "rateplans.rateplancharges.rateplanchargetiers"),
    ("orders", "order", ""),
    ("invoices", "invoice", "invoiceitems"),
    ("payments", "payment", ""),
)


def recorded(client: Client, account: str) -> list[Recorded]:
    """The account and what hangs on it, parents first, in an order that does not depend on ids that change.

    Some calls, one after another: what changes meanwhile may be seen in part. Raises UsageError where there
    is no such account.
    """
    found = list(rows(client, "accounts", [("filter[]", f"accountNumber.EQ:{account}")]))
    if not found:
        raise UsageError(
            f"there is no account {account!r}", "Name an account by its number, as Zuora shows it: A00000042."
        )
    id = str(found[0]["id"])
    made = [_one("account", found[0], None)]
    for plural, kind, expanded in _HANGS:
        params = [("filter[]", f"accountId.EQ:{id}")]
        params += [("expand[]", expanded)] if expanded else []
        some = sorted(rows(client, plural, params), key=_by_age)
        made += [one for row in some for one in _with_below(kind, row, id)]
    return made


def _by_age(row: Mapping[str, Any]) -> tuple[str, int, str]:
    return str(row.get("name") or row.get("createdDate") or ""), int(row.get("version") or 0), str(row["id"])


def _with_below(kind: Kind, row: Mapping[str, Any], parent: str) -> Iterator[Recorded]:
    yield _one(kind, row, parent)
    if kind in _BELOW:
        below, field = _BELOW[kind]
        for one in sorted(row.get(field) or (), key=_by_number):
            yield from _with_below(below, one, str(row["id"]))


def _by_number(row: Mapping[str, Any]) -> tuple[str, int, str]:
    number = row.get("subscriptionRatePlanNumber") or row.get("chargeNumber") or ""
    return str(number), int(row.get("segment") or row.get("tier") or 0), str(row["id"])


def _one(kind: Kind, row: Mapping[str, Any], parent: str | None) -> Recorded:
    fields = {
        name: _plain(value)
        for name, value in row.items()
        if value is not None and not isinstance(value, dict | list)
    }
    return Recorded(kind, str(row["id"]), parent, fields)


def _plain(value: Any) -> Any:
    """A value that is the same once it was kept in a file: 10.0 is 10, and 0.10 is "0.1"."""
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else f"{value.normalize():f}"
