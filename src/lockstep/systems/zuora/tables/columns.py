"""The objects of a tenant that can be read as tables, and what their fields are taken for.

Names are those of the object query. Keys are ids that stay: of a subscription that of its first version, as
each version has an id of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from lockstep.errors import DataError, Refused
from lockstep.values import Record


class ObjectTable(msgspec.Struct, frozen=True):
    """`name` is the plural of the object query, `key` one of `columns`; `only` filters what counts as a row;
    `references`: which column holds the key of which table."""

    name: str
    object: str
    key: str
    columns: dict[str, str]
    references: dict[str, str] = {}
    only: tuple[str, ...] = ()

    def type_of(self, column: str) -> str:
        if column not in self.columns:
            raise Refused(
                f"{self.name} has no column {column!r} here",
                f"There are {', '.join(self.columns)}. Name a field of your own in tables(custom=…): "
                "lockstep explore zuora writes them down.",
            )
        return self.columns[column]


_STAMPS = {"createdDate": "dt.datetime", "updatedDate": "dt.datetime"}

_ALL = (
    ObjectTable(
        "accounts",
        "Account",
        "id",
        {
            **dict.fromkeys(("id", "accountNumber", "name", "currency", "status", "crmId", "batch"), "str"),
            **dict.fromkeys(
                ("balance", "totalInvoiceBalance", "creditBalance", "unappliedBalance"), "Decimal"
            ),
            "autoPay": "bool",
            **_STAMPS,
        },
    ),
    ObjectTable(
        "subscriptions",
        "Subscription",
        "originalId",
        {
            **dict.fromkeys(
                ("originalId", "name", "accountId", "invoiceOwnerId", "status", "termType", "currency"), "str"
            ),
            **dict.fromkeys(
                ("subscriptionStartDate", "subscriptionEndDate", "termStartDate", "termEndDate"), "dt.date"
            ),
            **dict.fromkeys(("contractEffectiveDate", "cancelledDate"), "dt.date"),
            "version": "int",
            "autoRenew": "bool",
            **_STAMPS,
        },
        {"accountId": "accounts"},
        ("isLatestVersion.EQ:true",),
    ),
    ObjectTable(
        "invoices",
        "Invoice",
        "id",
        {
            **dict.fromkeys(("id", "invoiceNumber", "accountId", "currency", "status"), "str"),
            **dict.fromkeys(("invoiceDate", "dueDate", "targetDate"), "dt.date"),
            **dict.fromkeys(("amount", "amountWithoutTax", "balance", "paymentAmount"), "Decimal"),
            "postedDate": "dt.datetime",
            **_STAMPS,
        },
        {"accountId": "accounts"},
    ),
    ObjectTable(
        "invoice-items",
        "InvoiceItem",
        "id",
        {
            **dict.fromkeys(
                ("id", "invoiceId", "accountId", "subscriptionNumber", "chargeNumber", "chargeName"), "str"
            ),
            **dict.fromkeys(("chargeAmount", "taxAmount"), "Decimal"),
            **dict.fromkeys(("serviceStartDate", "serviceEndDate"), "dt.date"),
            **_STAMPS,
        },
        {"invoiceId": "invoices", "accountId": "accounts"},
    ),
    ObjectTable(
        "payments",
        "Payment",
        "id",
        {
            **dict.fromkeys(("id", "paymentNumber", "accountId", "currency", "type", "status"), "str"),
            **dict.fromkeys(("amount", "appliedAmount", "unappliedAmount", "refundAmount"), "Decimal"),
            "effectiveDate": "dt.date",
            **_STAMPS,
        },
        {"accountId": "accounts"},
    ),
)


class Objects:
    """The tables of a tenant, with its own fields. `zone`: the tenant's, whose days dates are."""

    def __init__(self, zone: str, custom: Mapping[str, Mapping[str, str]]) -> None:
        self.zone = ZoneInfo(zone)
        self.tables = {
            one.name: msgspec.structs.replace(one, columns={**one.columns, **custom.get(one.name, {})})
            for one in _ALL
        }

    def table(self, name: str) -> ObjectTable:
        if name not in self.tables:
            raise Refused(
                f"Zuora has no table {name!r} here",
                f"There are {', '.join(self.tables)}: table=… of a model.",
            )
        return self.tables[name]

    def value(self, table: ObjectTable, column: str, row: Mapping[str, Any]) -> Any:
        """What a field of a row is. Raises DataError, naming the record, where it isn't what it should be."""
        said, python = row.get(column), table.type_of(column)
        if said is None:
            return None
        try:
            return self.parsed(python, said)
        except (ValueError, ArithmeticError, TypeError):
            raise DataError(
                f"{table.name} {row.get('id')}: {column} is {said!r}, which is no {python}",
                "Look at the record in Zuora, or leave the column out of the model.",
            ) from None

    def parsed(self, python: str, said: Any) -> Any:
        """Raises ValueError, ArithmeticError or TypeError."""
        if python == "Decimal":
            return Decimal(said)
        if python == "dt.datetime":
            return _instant(said)
        if python == "dt.date":
            return (
                dt.date.fromisoformat(said)
                if len(said) == 10
                else _instant(said).astimezone(self.zone).date()
            )
        wanted = {"str": str, "int": int, "bool": bool}[python]
        if type(said) is not wanted:
            raise ValueError(said)
        return said


_SET = {
    "accounts": frozenset({"name", "currency"}),
    "subscriptions": frozenset(
        {"termType", "termStartDate", "subscriptionStartDate", "autoRenew", "cancelledDate"}
    ),
}


def set_by(table: str, records: Sequence[Record]) -> set[str]:
    """Of a table the columns that accounts as mappings return them set, besides keys. Ends of terms and
    states are none: renewals and the days move them."""
    if table not in _SET:
        return set()
    some = (
        records
        if table == "accounts"
        else [one for record in records for one in record.get("subscriptions") or ()]
    )
    return {*_SET[table], *(name for one in some for name in one.get("custom") or ())}


def _instant(said: str) -> dt.datetime:
    at = dt.datetime.fromisoformat(said)
    if at.tzinfo is None:
        raise ValueError(said)
    return at.astimezone(dt.UTC)


def asked(value: Any) -> str:
    """A value as a filter says it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return format(value, "f") if isinstance(value, Decimal) else str(value)
