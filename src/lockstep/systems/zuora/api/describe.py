"""What a tenant says of its objects: GET /v1/describe, and GET /v1/describe/{object}, both XML.

Documented are, of a field, its name, label, type, options and contexts. The rest (`createable`, `updateable`,
`custom`, `required`, related objects, the list) is what public clients read: what is not said is None here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar
from xml.etree.ElementTree import Element

import msgspec

from lockstep.errors import Refused
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.xml import NoTree, tree

T = TypeVar("T")

PYTHON = {
    "text": "str",
    "picklist": "str",
    "boolean": "bool",
    "integer": "int",
    "decimal": "Decimal",
    "date": "dt.date",
    "datetime": "dt.datetime",
    "timestamp": "dt.datetime",
}
"""What the values of a type are taken for."""


class DescribedField(msgspec.Struct, frozen=True):
    """`name` as describe spells it: "AccountNumber", "Region__c". `type` in lower case."""

    name: str
    label: str | None
    type: str
    options: tuple[str, ...]
    createable: bool | None
    updateable: bool | None
    required: bool | None

    @property
    def custom(self) -> bool:
        """One of the tenant's own: such a name only these have."""
        return self.name.endswith("__c") and len(self.name) > 3

    @property
    def column(self) -> str:
        """Its name in records: that of describe with a small first letter, own fields as they are."""
        return self.name if self.custom else self.name[0].lower() + self.name[1:]


class DescribedObject(msgspec.Struct, frozen=True):
    """`related`: what a record has one of or more: its name there, and the object."""

    name: str
    label: str | None
    fields: tuple[DescribedField, ...]
    related: tuple[tuple[str, str], ...]


def object_names(client: Client) -> tuple[str, ...]:
    """The objects that the tenant lists, by name."""
    path = "/v1/describe"
    root = _root(client, path, (), "objects")
    names = [_text(one, "name") for one in root.findall("object")]
    return tuple(sorted({name for name in names if name and name.isidentifier()}))


def described(client: Client, object: str) -> DescribedObject:
    """The fields of an object. Raises Refused where the answer does not describe it."""
    path = f"/v1/describe/{object}"
    root = _root(client, path, (("showRelationships", "true"),), "object")
    if _text(root, "name") != object:
        raise _strange(path, f"it describes {_text(root, 'name') or 'nothing'}, not {object}")
    fields = {one.name: one for one in _fields(root)}
    related = [
        (name, (one.get("href") or "").rstrip("/").rpartition("/")[2] or name)
        for one in root.findall("related-objects/object")
        if (name := _text(one, "name"))
    ]
    return DescribedObject(
        object, _text(root, "label"), tuple(fields.values()), tuple(dict.fromkeys(related))
    )


def _root(client: Client, path: str, params: tuple[tuple[str, str], ...], tag: str) -> Element:
    try:
        root = tree(client.document(path, params))
    except NoTree as error:
        raise _strange(path, str(error)) from None
    if root.tag != tag:
        raise _strange(path, f"its root is <{root.tag[:40]}>, not <{tag}>")
    return root


def _strange(path: str, why: str) -> Refused:
    return Refused(
        f"GET {path}: the answer is no description: {why}",
        "See whether the URL is that of the API (https://rest.zuora.com), and what stands before it.",
    )


def _fields(root: Element) -> Iterator[DescribedField]:
    """Those of the object itself. A field without a name or a type says nothing."""
    for one in root.findall("fields/field"):
        name, type = _text(one, "name"), _text(one, "type")
        if name and type:
            yield DescribedField(
                name,
                _text(one, "label"),
                type.lower(),
                tuple(option.text.strip() for option in one.findall("options/option") if option.text),
                _flag(one, "createable"),
                _flag(one, "updateable"),
                _flag(one, "required"),
            )


def _text(element: Element, tag: str) -> str | None:
    return (element.findtext(tag) or "").strip() or None


def _flag(element: Element, tag: str) -> bool | None:
    return {"true": True, "false": False}.get((_text(element, tag) or "").lower())
