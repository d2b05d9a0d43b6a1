"""A tenant's catalog: the tables that are read, with the tenant's own fields, and its other objects."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from lockstep.catalog import Catalog, CatalogColumn, CatalogReference, CatalogTable
from lockstep.errors import Refused
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.describe import (
    PYTHON,
    DescribedField,
    DescribedObject,
    described,
    object_names,
)
from lockstep.systems.zuora.api.failures import Declined
from lockstep.systems.zuora.tables.columns import Objects, ObjectTable

_UNREAD = "`zuora.tables()` reads none of it"

_SETTING = {
    "Account": "zuora.Account(custom=…)",
    "Subscription": "zuora.Subscription(custom=…)",
    "RatePlanCharge": "zuora.Rate(…, custom=…)",
}
"""How a mapping sets own fields of an object."""

_DOCUMENTED = (
    *("Account", "Contact", "Invoice", "InvoiceItem", "Payment", "Product", "ProductRatePlan"),
    *("ProductRatePlanCharge", "RatePlan", "RatePlanCharge", "Subscription"),
)
"""What is described where the tenant does not list its objects, as the documents promise no list."""


def explored(client: Client, system: str, objects: Objects) -> Catalog:
    """Raises Refused where the tenant describes none of the objects that are read as tables."""
    known = objects.tables.values()
    read = {one.object for one in known}
    found, missed = _described(client, read)
    tables = [_table(one, found.get(one.object), objects, _rows(client, one)) for one in known]
    rest = [_unread(one) for name, one in sorted(found.items()) if name not in read]
    return Catalog(system, (*tables, *rest), "zuora.tables(custom=CUSTOM)", tuple(sorted(missed.items())))


def _described(client: Client, needed: Iterable[str]) -> tuple[dict[str, DescribedObject], dict[str, str]]:
    """The objects that are described, and why others are not. One refusal is no reason to show none: which
    objects there are depends on the tenant's features and on the user's role."""
    needed = set(needed)
    try:
        listed: Iterable[str] = object_names(client)
    except Declined:
        listed = _DOCUMENTED
    found: dict[str, DescribedObject] = {}
    refused: dict[str, Refused] = {}
    for name in sorted({*listed, *needed}):
        try:
            found[name] = described(client, name)
        except Refused as error:
            refused[name] = error
    if not needed & set(found):
        raise refused[min(needed)]
    return found, {name: str(error) for name, error in refused.items()}


def _table(
    one: ObjectTable, said: DescribedObject | None, objects: Objects, rows: int | None
) -> CatalogTable:
    fields = {} if said is None else {field.column.lower(): field for field in said.fields}
    columns = [
        _column(fields.pop(name.lower(), None), name, python, nullable=name != one.key)
        for name, python in one.columns.items()
    ]
    rest = [_column(field, field.column, PYTHON.get(field.type)) for field in fields.values()]
    references = tuple(
        CatalogReference((column,), to, (objects.table(to).key,)) for column, to in one.references.items()
    )
    return CatalogTable(
        one.name,
        (*columns, *(column for column in rest if column.custom)),
        (one.key,),
        references,
        rows,
        False,
        None if said is None else said.label,
        others=tuple(column for column in rest if not column.custom),
        related=() if said is None else said.related,
        setting=_SETTING.get(one.object),
    )


def _unread(said: DescribedObject) -> CatalogTable:
    columns = tuple(_column(field, field.column, PYTHON.get(field.type)) for field in said.fields)
    return CatalogTable(
        said.name,
        columns,
        (),
        (),
        None,
        False,
        said.label,
        unread=_UNREAD,
        related=said.related,
        setting=_SETTING.get(said.name),
    )


def _column(
    said: DescribedField | None, name: str, python: str | None, *, nullable: bool = True
) -> CatalogColumn:
    column = CatalogColumn(name, python or "", python, nullable)
    if said is None:
        return column
    return replace(
        column,
        type=said.type,
        label=said.label,
        custom=said.custom,
        options=said.options,
        createable=said.createable,
        updateable=said.updateable,
        required=said.required,
    )


def _rows(client: Client, one: ObjectTable) -> int | None:
    """How many there are, by a ZOQL query; of subscriptions all versions. None where the user may not ask."""
    try:
        said = client.ask(
            "POST", "/v1/action/query", {"queryString": f"select Id from {one.object}"}, reads=True
        )
    except Declined:
        return None
    size: object = said.get("size")
    return size if isinstance(size, int) else None
