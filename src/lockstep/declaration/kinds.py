"""Kinds of values: two values of one kind can be equal, two of different kinds never are."""

from __future__ import annotations

import datetime as dt
import types
from decimal import Decimal
from typing import Any, Union, get_args, get_origin
from uuid import UUID

_KINDS: dict[Any, str] = {
    **dict.fromkeys((int, float, Decimal), "a number"),
    str: "a text",
    UUID: "a uuid",
    bytes: "bytes",
    bool: "a bool",
    dt.date: "a date",
    dt.time: "a time",
    dt.datetime: "an instant or a local time",
}
_BY_TEXT = {
    ("dt." if one.__module__ == "datetime" else "") + one.__name__: kind for one, kind in _KINDS.items()
}


def kind_of(hint: Any) -> str | None:
    """The kind of an annotation's values, as words; None for what is not listed. `| None` does not count."""
    parts = [part for part in get_args(hint) if part is not type(None)]
    if len(parts) == 1 and get_origin(hint) in (Union, types.UnionType):
        hint = parts[0]
    return _KINDS.get(hint) if isinstance(hint, type) and get_origin(hint) is None else None


def kind_of_text(annotation: str) -> str | None:
    """The same of an annotation as `explore` writes it, such as "dt.date"."""
    return _BY_TEXT.get(annotation)


def kind_of_value(value: Any) -> str | None:
    """The kind of a value, as words; None for what is not listed."""
    return _KINDS.get(type(value))
