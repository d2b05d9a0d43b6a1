"""Columns and how the values of a mapping lie in them. What a type means is the dialect's to say."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from lockstep.forms.canonical import as_json


class Codec(NamedTuple):
    """How one column type holds values.

    `encode` raises ValueError with the reason where the column cannot take a value; a value it takes in
    another form comes back in that form, and the outcome says so. `decode` never fails: what somebody else
    put there and is no such value comes back as it is, and so reads as different.
    `orders` says whether the database orders the column as key bytes do; `text` whether by a collation.
    `write` and `read` are SQL around a cell on its way in and around the column on its way out; `key` is SQL
    that makes a key's bytes of the column, where the database can. Values of the type `own` come back as
    they are, and cells of that type are the values.
    """

    declared: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]
    orders: bool = False
    text: bool = False
    write: str = "{}"
    read: str = "{}"
    key: str | None = None
    own: type | None = None


_OTHERWISE = re.compile(r"\s+(?:not null|null|default|unique|check|collate|primary|references)\b", re.I)

Columns = Mapping[str, Codec]


def bare(declared: str) -> str:
    """A declared type with its sizes, without what else a declaration says of a column."""
    return _OTHERWISE.split(declared)[0]


def from_json(text: str) -> Any:
    """A value of JSON text, its numbers exact: never through a float."""
    return _JSON.decode(text)


def as_text(value: Any) -> str:
    """How a text column holds any value: text as it is, everything else by its canonical form."""
    if type(value) is str:
        return value
    form = as_json(value)
    return str(msgspec.json.decode(form)) if form.startswith('"') else form


def _whole(digits: str) -> int | Decimal:
    # Python refuses to make an int of more than 4,300 digits from text; a Decimal is as exact.
    return int(digits) if len(digits) < 4000 else Decimal(digits)


_JSON = json.JSONDecoder(parse_float=Decimal, parse_int=_whole, parse_constant=Decimal)
