"""Fields of a resource by their paths: "a", "a[]" (each of a list), "a[].b" (field b of each)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from lockstep.guard.plans.terraform import Thing

UNKNOWN: Final = object()
"""Stands for a value that is known only at apply."""


def field_of(path: str) -> str:
    """The outermost field of a path."""
    return path.partition(".")[0].removesuffix("[]")


def leaves(thing: Thing, path: str) -> Iterator[Any]:
    """The values at a path: none for null and "", UNKNOWN for each that is known only at apply."""
    steps = path.replace("[]", "").split(".")
    return _leaves(thing.values, thing.unknown, steps)


def _leaves(value: Any, unknown: Any, steps: list[str]) -> Iterator[Any]:
    if unknown is True:
        yield UNKNOWN
    elif isinstance(value, list):
        marks = unknown if isinstance(unknown, list) else []
        for at, part in enumerate(value):
            yield from _leaves(part, marks[at] if at < len(marks) else False, steps)
    elif not steps:
        if value not in (None, ""):
            yield value
    elif isinstance(value, Mapping):
        inner = unknown.get(steps[0]) if isinstance(unknown, Mapping) else False
        yield from _leaves(value.get(steps[0]), inner, steps[1:])


def whole(unknown: Any, name: str) -> bool:
    """Whether all of a field is known only at apply, and not a part of it alone."""
    return unknown is True or (isinstance(unknown, Mapping) and unknown.get(name) is True)


def without_parts(thing: Thing, paths: Iterable[str], ids: Collection[str]) -> Thing:
    """A resource whose inline parts of these ids (in lower case) are empty, where they stand."""
    values = dict(thing.values)
    for name in {field_of(path) for path in paths if "[]." in path}:
        parts = values.get(name)
        if isinstance(parts, list):
            values[name] = [None if _id(part) in ids else part for part in parts]
    return replace(thing, values=values)


def _id(part: Any) -> str | None:
    found = part.get("id") if isinstance(part, Mapping) else None
    return found.casefold() if isinstance(found, str) else None
