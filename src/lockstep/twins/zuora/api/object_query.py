"""Object query: GET /object-query/{plural}[/{key}] with filter[], sort[], fields[], expand[] and cursors."""

from __future__ import annotations

import base64
import re
from decimal import Decimal
from typing import Any

from ..engine.tree import Refused
from ..forms import bare, decode, encode, same_instant
from ..tenant import Tenant
from ..zoql import NAMES
from .call import Answer, Call

KINDS = {
    "accounts": "accountNumber",
    "contacts": None,
    "products": "sKU",
    "product-rate-plans": "productRatePlanNumber",
    "product-rate-plan-charges": "productRatePlanChargeNumber",
    "product-rate-plan-charge-tiers": None,
    "subscriptions": "name",
    "rate-plans": "subscriptionRatePlanNumber",
    "rate-plan-charges": "chargeNumber",
    "rate-plan-charge-tiers": None,
    "orders": "orderNumber",
    "invoices": "invoiceNumber",
    "invoice-items": "subscriptionNumber",
    "payments": "paymentNumber",
    "billing-runs": "billingRunNumber",
}
"""What can be queried, and the field that the column `number` holds."""

PARENTS = {
    "contacts": "accountId",
    "product-rate-plans": "productId",
    "product-rate-plan-charges": "productRatePlanId",
    "product-rate-plan-charge-tiers": "productRatePlanChargeId",
    "subscriptions": "accountId",
    "rate-plans": "subscriptionId",
    "rate-plan-charges": "ratePlanId",
    "rate-plan-charge-tiers": "ratePlanChargeId",
    "invoices": "accountId",
    "invoice-items": "invoiceId",
    "payments": "accountId",
    "orders": "accountId",
}
"""The field that the column `parent` holds."""

DOWN: dict[str, dict[str, tuple[str, str]]] = {
    "accounts": {
        "subscriptions": ("subscriptions", "subscriptions"),
        "invoices": ("invoices", "invoices"),
        "payments": ("payments", "payments"),
    },
    "subscriptions": {"rateplans": ("rate-plans", "ratePlans")},
    "rate-plans": {"rateplancharges": ("rate-plan-charges", "ratePlanCharges")},
    "rate-plan-charges": {"rateplanchargetiers": ("rate-plan-charge-tiers", "ratePlanChargeTiers")},
    "invoices": {"invoiceitems": ("invoice-items", "invoiceItems")},
}
"""What can be expanded into lists: of a kind, by the name in `expand[]`: (kind, field)."""

UP: dict[str, dict[str, tuple[str, str, str]]] = {
    "accounts": {
        "billto": ("contacts", "billToId", "billTo"),
        "soldto": ("contacts", "soldToId", "soldTo"),
        "shipto": ("contacts", "shipToId", "shipTo"),
    },
    "subscriptions": {
        "account": ("accounts", "accountId", "account"),
        "invoiceowner": ("accounts", "invoiceOwnerId", "invoiceOwner"),
    },
    "rate-plans": {"subscription": ("subscriptions", "subscriptionId", "subscription")},
    "rate-plan-charges": {"rateplan": ("rate-plans", "ratePlanId", "ratePlan")},
    "invoices": {"account": ("accounts", "accountId", "account")},
    "payments": {"account": ("accounts", "accountId", "account")},
}
"""What can be expanded into one record: (kind, field with its id, field)."""

HIDDEN = {
    "orders": {"sequence", "accountNumber", "currency"},
    "invoice-items": {"period", "segment"},
    "invoices": {"billRunId"},
}
"""Fields that records have for the stand-in's own use, or for other paths."""

_OPERATORS = {"EQ": "=", "NE": "<>", "LT": "<", "GT": ">", "LE": "<=", "GE": ">="}
_FILTER = re.compile(r"(\w+)\.(EQ|NE|LT|GT|LE|GE|SW|IN):(.*)", re.DOTALL)
MOST = 99


def listed(call: Call) -> Answer:
    """A page of records, in the order of `sort[]` and then of their ids."""
    kind = _kind(call)
    size = int(call.one("pageSize") or 10) if (call.one("pageSize") or "10").isdigit() else 0
    if not 1 <= size <= MOST:
        raise Refused(20, f"pageSize must be from 1 to {MOST}")
    # `filter[]` holds commas of its own (IN), so it is not split.
    filters = [value for name, value in call.query if name in {"filter", "filter[]"}]
    condition = "TRUE"
    values: list[Any] = []
    for one in filters:
        more, bound = _condition(kind, one)
        condition, values = f"{condition} AND {more}", [*values, *bound]
    order, keys = _sorting(call.all("sort"))
    asked = [*filters, *call.all("sort")]
    if (cursor := call.one("cursor")) is not None:
        after = _opened(cursor, asked)
        condition, values = f"{condition} AND ({keys}) > ({', '.join('?' * len(after))})", [*values, *after]
    rows = call.tenant.store.where(kind, condition, values, f"ORDER BY {order} LIMIT {size + 1}")
    body: dict[str, Any] = {"data": [_shown(call, kind, one) for one in rows[:size]]}
    if len(rows) > size:
        body["nextPage"] = _closed(rows[size - 1], asked, call.all("sort"))
    return Answer(body)


def read(call: Call) -> Answer:
    kind = _kind(call)
    doc = call.tenant.store.get(kind, call.params["key"])
    if doc is None and KINDS[kind] is not None:
        latest = "number = ?" + (" AND doc ->> 'isLatestVersion'" if kind == "subscriptions" else "")
        found = call.tenant.store.where(kind, latest, [call.params["key"]])
        doc = found[0] if found else None
    if doc is None:
        raise Refused(40, f"there is no {call.params['key']} among the {kind}")
    return Answer(_shown(call, kind, doc))


def _kind(call: Call) -> str:
    kind = call.params["kind"]
    if kind not in KINDS:
        raise Refused(45, f"the stand-in has no object query of {kind}; it has {', '.join(KINDS)}")
    call.tenant.assert_may_read(NAMES.get(kind, kind))
    return kind


def _column(kind: str, field: str) -> str:
    """The SQL of a field: an indexed column where there is one."""
    if field == "id":
        return "id"
    if field == "updatedDate":
        return "updated"
    if field == KINDS[kind]:
        return "number"
    if field == PARENTS.get(kind):
        return "parent"
    return f"(doc ->> '$.{field}')"


def _condition(kind: str, text: str) -> tuple[str, list[Any]]:
    found = _FILTER.fullmatch(text)
    if found is None:
        raise Refused(20, f"filter {text!r} is not field.OPERATOR:value")
    field, operator, value = found.groups()
    column = _column(kind, field)
    if operator == "SW":
        return f"substr({column}, 1, ?) = ?", [len(value), value]
    if value == "null":
        return f"{column} IS {'NOT ' if operator == 'NE' else ''}NULL", []
    if operator == "IN":
        items = [compared(column, "=", one.strip()) for one in value.strip("[]").split(",")]
        return f"({' OR '.join(sql for sql, _ in items)})", [one for _, bound in items for one in bound]
    return compared(column, _OPERATORS[operator], value)


def compared(column: str, operator: str, text: str) -> tuple[str, list[Any]]:
    """A comparison with a value that came as text: as a number where the field holds one, else as text."""
    if column.startswith("("):
        if text in {"true", "false"}:
            return f"{column} {operator} ?", [int(text == "true")]
        if re.fullmatch(r"-?\d{1,15}(\.\d+)?", text):
            numeric = f"typeof({column}) IN ('integer', 'real')"
            return f"iif({numeric}, {column} {operator} ?, {column} {operator} ?)", [float(text), text]
    return f"{column} {operator} ?", [same_instant(text)]


def _sorting(sorts: list[str]) -> tuple[str, str]:
    """(ORDER BY, the same as a tuple of values that a cursor can follow). Ids make it total."""
    if not sorts:
        return "id", "id"
    if len(sorts) > 1 or not re.fullmatch(r"\w+\.(ASC|asc)", sorts[0]):
        raise Refused(45, "the stand-in sorts by one field, as sort[]=field.ASC")
    field = sorts[0].split(".")[0]
    value = "updated" if field == "updatedDate" else f"coalesce(doc ->> '$.{field}', '')"
    return f"{value}, id", f"{value}, id"


def _closed(last: dict[str, Any], asked: list[str], sorts: list[str]) -> str:
    field = sorts[0].split(".")[0] if sorts else None
    at = ([last.get(field) or ""] if field is not None else []) + [last["id"]]
    return base64.urlsafe_b64encode(encode({"at": at, "asked": asked})).decode()


def _opened(cursor: str, asked: list[str]) -> list[Any]:
    try:
        said = decode(base64.urlsafe_b64decode(cursor))
        at = [float(one) if isinstance(one, Decimal) else one for one in said["at"]]
        of = said["asked"]
    except (ValueError, KeyError, TypeError):
        raise Refused(20, "the cursor is not valid") from None
    if of != asked:
        raise Refused(20, "the cursor is of a query with other filters or another order")
    return at


def _shown(call: Call, kind: str, doc: dict[str, Any]) -> dict[str, Any]:
    shown = visible(kind, doc)
    names = call.all("fields") + call.all(f"{_singular(kind)}.fields")
    if names:
        wanted = {one.lower() for one in names}
        shown = {name: value for name, value in shown.items() if name == "id" or name.lower() in wanted}
    if call.one("includeNullFields") != "true":
        shown = bare(shown)
    for path in call.all("expand"):
        _expand(call.tenant, kind, shown, doc, path.lower().split("."))
    return shown


def _singular(kind: str) -> str:
    return kind.replace("-", "").rstrip("s")


def _expand(tenant: Tenant, kind: str, shown: dict[str, Any], doc: dict[str, Any], path: list[str]) -> None:
    name, rest = path[0].replace("_", ""), path[1:]
    if name in DOWN.get(kind, {}):
        below, field = DOWN[kind][name]
        if field not in shown:
            shown[field] = [bare(visible(below, one)) for one in tenant.store.children(below, doc["id"])]
        for one in shown[field] if rest else ():
            _expand(tenant, below, one, one, rest)
    elif name in UP.get(kind, {}):
        above, id, field = UP[kind][name]
        found = tenant.store.get(above, doc[id]) if doc.get(id) else None
        if field not in shown:
            shown[field] = None if found is None else bare(visible(above, found))
        if rest and found is not None:
            _expand(tenant, above, shown[field], shown[field], rest)
    else:
        raise Refused(45, f"the stand-in cannot expand {name!r} of {kind}")


def visible(kind: str, doc: dict[str, Any]) -> dict[str, Any]:
    hidden = HIDDEN.get(kind, set())
    return {
        name: value
        for name, value in doc.items()
        if name not in hidden and not isinstance(value, dict | list)
    }
