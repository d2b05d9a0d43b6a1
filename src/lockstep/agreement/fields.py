"""Where two records differ, field by field."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from lockstep.effective import Span, Timeline
from lockstep.errors import DataError
from lockstep.forms.canonical import canonical

MISSING = "(missing)"
_SPAN = set(Span._fields)


class FieldDiff(Struct, frozen=True):
    """One field: `path` as `company.name` or `tags[2]`, of parts that have keys `subscriptions[S-7]`, of a
    timeline `price[2026-01-01 to 2026-03-01]`; a side that lacks it says "(missing)"."""

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
        found = list(_by_date(path, expected, actual)) or list(_by_key(path, expected, actual))
        if found:
            yield from found
            return
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


def _by_date(path: str, expected: Sequence[Any], actual: Sequence[Any]) -> Iterator[FieldDiff]:
    """Of two timelines: between which dates they differ, and in what. Which span is which says nothing to
    anybody: one that is cut moves all that come after it."""
    try:
        both = _timeline(expected).zip(_timeline(actual))
    except DataError:
        return
    for start, end, (one, other) in both:
        inner = f"{path}[{_dates(start, end)}]"
        if one is None or other is None:
            yield FieldDiff(inner, MISSING if one is None else one, MISSING if other is None else other)
        else:
            yield from _diff(inner, one, other)


def _by_key(path: str, expected: Sequence[Any], actual: Sequence[Any]) -> Iterator[FieldDiff]:
    """Of parts that have keys: which part differs, in what. Without the first, all others have moved."""
    ours, theirs = _keyed(expected), _keyed(actual)
    if ours is None or theirs is None:
        return
    for key in {**ours, **theirs}:
        inner = f"{path}[{key}]"
        if key in ours and key in theirs:
            yield from _diff(inner, ours[key], theirs[key])
        else:
            yield FieldDiff(inner, ours.get(key, MISSING), theirs.get(key, MISSING))


def _keyed(parts: Sequence[Any]) -> dict[str, Any] | None:
    """By `key`; None where one has none that is a text, or two have the same."""
    if not all(isinstance(one, Mapping) and isinstance(one.get("key"), str) for one in parts):
        return None
    found = {one["key"]: one for one in parts}
    return found if len(found) == len(parts) else None


def _timeline(form: Sequence[Any]) -> Timeline[Any]:
    """Of its form in a record. Raises DataError where it is another list."""
    if not all(isinstance(one, Mapping) and one.keys() == _SPAN for one in form):
        raise DataError("a list that is no timeline", "")
    return Timeline((_moment(one["start"]), _moment(one["end"]), one["value"]) for one in form)


def _moment(edge: Any) -> Any:
    """A date or an instant, which a document holds as text. Raises DataError where it is another text."""
    if type(edge) is not str:
        return edge
    try:
        return (
            dt.date.fromisoformat(edge) if len(edge) == len("2026-03-03") else dt.datetime.fromisoformat(edge)
        )
    except ValueError as error:
        raise DataError(f"{edge!r:.40} is no moment", "") from error


def _dates(start: object, end: object) -> str:
    if end is None:
        return "always" if start is None else f"{start} on"
    return f"until {end}" if start is None else f"{start} to {end}"
