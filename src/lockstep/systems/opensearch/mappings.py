"""Declared mappings against live ones: fields, by their dotted names, and where they disagree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_FIXED = ("type", "analyzer", "index", "doc_values", "store", "format", "normalizer", "similarity")
"""What cannot be changed in a field that exists. (`format` can, and then means other data than before.)"""


class Conflict(NamedTuple):
    """A field that is declared in one way and lives in another."""

    field: str
    what: str
    declared: Any
    live: Any


def fields(mappings: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Every field of a mapping, sub-fields included: `name`, `name.raw`, `company.name`."""
    return dict(_fields("", mappings))


def _fields(prefix: str, mapping: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for inner in ("properties", "fields"):
        for name, field in (mapping.get(inner) or {}).items():
            if isinstance(field, Mapping):
                yield f"{prefix}{name}", field
                yield from _fields(f"{prefix}{name}.", field)


def conflicts(declared: Mapping[str, Any], live: Mapping[str, Any]) -> list[Conflict]:
    """Where the live mapping says other than the declared one. Fields on one side only are no conflict."""
    found = []
    there = fields(live)
    for name, field in fields(declared).items():
        if name not in there:
            continue
        for what in _FIXED:
            wanted, has = _says(field, what), _says(there[name], what)
            if wanted is not None and wanted != has and not (has is None and wanted in _DEFAULTS[what]):
                found.append(Conflict(name, what, wanted, has))
    return found


_DEFAULTS: dict[str, tuple[Any, ...]] = {
    "type": (),
    "analyzer": ("default", "standard"),
    "index": (True, "true"),
    "doc_values": (True, "true"),
    "store": (False, "false"),
    "format": ("strict_date_optional_time||epoch_millis",),
    "normalizer": (),
    "similarity": ("BM25", "default"),
}
"""What a live mapping does not show because it is so anyway."""


def _says(field: Mapping[str, Any], what: str) -> Any:
    if what == "type":
        return field.get("type") or ("object" if "properties" in field else None)
    return field.get(what)
