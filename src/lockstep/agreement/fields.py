"""Where two records differ, field by field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from lockstep.canonical import canonical

MISSING = "(missing)"


class FieldDiff(Struct, frozen=True):
    """One field: `path` as `company.name` or `tags[2]`; a side that lacks it says "(missing)"."""

    path: str
    expected: Any
    actual: Any


def diff(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[FieldDiff]:
    """The leaves that differ, by canonical form."""
    return list(_diff("", expected, actual))


def _diff(path: str, expected: Any, actual: Any) -> Iterator[FieldDiff]:
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for name in sorted({*expected, *actual}):
            inner = f"{path}.{name}" if path else name
            if name not in expected:
                yield FieldDiff(inner, MISSING, actual[name])
            elif name not in actual:
                yield FieldDiff(inner, expected[name], MISSING)
            else:
                yield from _diff(inner, expected[name], actual[name])
    elif isinstance(expected, list | tuple) and isinstance(actual, list | tuple):
        for at in range(max(len(expected), len(actual))):
            inner = f"{path}[{at}]"
            if at >= len(expected):
                yield FieldDiff(inner, MISSING, actual[at])
            elif at >= len(actual):
                yield FieldDiff(inner, expected[at], MISSING)
            else:
                yield from _diff(inner, expected[at], actual[at])
    elif canonical({"": expected}) != canonical({"": actual}):
        yield FieldDiff(path, expected, actual)
