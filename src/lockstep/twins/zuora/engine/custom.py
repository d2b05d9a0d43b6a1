"""Fields of the tenant's own: what is defined, and whether values fit it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

import msgspec

from .tree import Refused


class CustomField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field that somebody defined in the tenant's settings. `options` are those of a picklist."""

    type: Literal["text", "picklist", "boolean", "integer", "decimal", "date", "datetime"] = "text"
    label: str | None = None
    options: tuple[str, ...] = ()
    required: bool = False
    max_length: int | None = None


Definitions = dict[str, dict[str, CustomField]]
"""By the object's API name ("Account", "RatePlanCharge"), then by the field's ("Region__c")."""


def custom_of(doc: Mapping[str, Any]) -> dict[str, Any]:
    """The custom fields: those whose name ends with __c."""
    return {name: value for name, value in doc.items() if name.endswith("__c")}


def assert_defined(definitions: Definitions) -> None:
    """Raises ValueError where the definitions are none."""
    for object, fields in definitions.items():
        for name, one in fields.items():
            if not name.endswith("__c") or not name.isidentifier():
                raise ValueError(f"{object}.{name}: the API name of a custom field ends with __c")
            if (one.type == "picklist") != bool(one.options):
                raise ValueError(f"{object}.{name}: a picklist has options, and nothing else has")
            if len({option.lower() for option in one.options}) != len(one.options):
                raise ValueError(f"{object}.{name}: options differ by more than case")


def assert_fits(
    definitions: Definitions | None, object: str, fields: Mapping[str, Any], *, new: bool
) -> None:
    """Raises Refused where a custom field is not defined, or a value is none of it. Without definitions
    (None) any will do. `new`: a record that is being made must have those that are required."""
    if definitions is None:
        return
    known = definitions.get(object, {})
    for name, value in custom_of(fields).items():
        if name not in known:
            raise Refused(21, f"{name} is not a field of {object}")
        if value is not None and not _fits(known[name], value):
            raise Refused(20, f"{name} of {object}: {value!r} is no value of a {known[name].type} field")
    for name, one in known.items():
        if one.required and ((new and name not in fields) or (name in fields and fields[name] is None)):
            raise Refused(22, f"{name} of {object} is required")


def _fits(one: CustomField, value: Any) -> bool:
    match one.type:
        case "text":
            return isinstance(value, str) and len(value) <= (one.max_length or 255)
        case "picklist":
            return value in one.options
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "decimal":
            return isinstance(value, int | Decimal) and not isinstance(value, bool)
        case _:
            return isinstance(value, str) and _moment(one.type, value)


def _moment(type: str, value: str) -> bool:
    try:
        if type == "date":
            return len(value) == 10 and bool(date.fromisoformat(value))
        return bool(datetime.fromisoformat(value))
    except ValueError:
        return False
