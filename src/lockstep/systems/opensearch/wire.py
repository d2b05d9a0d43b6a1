"""Records as the JSON that a search cluster takes, and back, without losing a digit.

This is not the canonical form: a float of 10.0 stays 10.0 on the wire, since a cluster that guesses types
by the first value it sees would make the field an integer and cut later fractions off without a word.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from lockstep.datatypes.far import Far, time_text
from lockstep.datatypes.interval import duration
from lockstep.errors import DataError
from lockstep.forms.canonical import joined64
from lockstep.values import Fingerprint, Key, Meta, Record, Version

META = "_lockstep"
LOW = (1 << 32) - 1  # the lower half of a fingerprint
"""The field of a document that holds what Lockstep keeps beside it."""

DECODER = msgspec.json.Decoder(float_hook=Decimal)

_encode = msgspec.json.Encoder(uuid_format="canonical").encode
_PLAIN = frozenset({str, int, bool, type(None), UUID, bytes, dt.date})
_BASES: tuple[type[Any], ...] = (int, float, str, dict, list)
_LONGEST = 150_000  # digits, as in canonical form


def encode(record: Record, *, plain: bool = False) -> bytes:
    """A record as a JSON object. Raises DataError where it cannot be one. `plain`: as in `values.Change`."""
    if META in record:
        raise DataError(
            f"the record has a field {META}, which is Lockstep's own", "Give the field another name."
        )
    try:
        return _encode(record if plain else _plain_map(record))
    except (TypeError, ValueError, UnicodeEncodeError, RecursionError) as error:
        raise DataError(
            f"the record is no JSON document: {error}",
            "Return text, finite numbers, booleans, dates, uuids, bytes, lists and dicts with text names.",
        ) from error


def text(value: str) -> bytes:
    """A text as JSON."""
    return _encode(value)


def _plain_map(record: Record) -> Record:
    if _PLAIN.issuperset(map(type, record.values())):
        return record
    return {name: _plain(value) for name, value in record.items()}


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is float:
        if math.isfinite(value):
            return value
        raise ValueError(f"{value} is not a number that JSON has")
    if kind is list or kind is tuple:
        return value if _PLAIN.issuperset(map(type, value)) else [_plain(item) for item in value]
    if kind is dict:
        return _plain_map(value)
    if kind is dt.datetime:
        return value if value.tzinfo is None or value.tzinfo is dt.UTC else value.astimezone(dt.UTC)
    if kind is Decimal:
        return msgspec.Raw(_digits(value))
    if isinstance(value, dt.timedelta):
        return duration(value)
    if isinstance(value, Far):
        return value.text
    if kind is dt.time:
        return time_text(value)
    for base in _BASES:  # enums and other kinds of a plain type
        if isinstance(value, base):
            return _plain(base(value))
    raise TypeError(f"a value of type {kind.__name__}")


def _digits(value: Decimal) -> bytes:
    """A decimal in plain notation, with the scale it has."""
    if not value.is_finite():
        raise ValueError(f"{value} is not a number that JSON has")
    if abs(value.adjusted()) > _LONGEST:
        raise ValueError(f"the number {value} has more than {_LONGEST} digits")
    return format(value, "f").encode()


def split(found: str, source: Any) -> tuple[Record, Meta | None]:
    """A document's record and what Lockstep keeps beside it, if it is Lockstep's.

    A copy of one of our documents under another id is not ours: `_lockstep.id` says whose it was.
    """
    beside = source.pop(META, None)
    if not isinstance(beside, dict) or beside.get("id") != found:
        return source, None
    try:
        return source, Meta(
            str(beside["mapping"]),
            Key(bytes.fromhex(beside["key"])),
            fingerprint_of(beside),
            int(beside["sum"]),
            Version(int(beside["version"])),
        )
    except (KeyError, TypeError, ValueError):  # somebody wrote into it
        return source, None


def fingerprint_of(beside: Mapping[str, Any]) -> Fingerprint:
    """Put together of its halves. Raises KeyError, TypeError, ValueError."""
    if "high" not in beside:  # written before there were halves
        return Fingerprint(int(beside["fingerprint"]))
    return Fingerprint(joined64(int(beside["high"]), int(beside["low"])))


def sendable(value: str) -> bool:
    """Whether a text can be sent at all: one with an unpaired surrogate cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def plain(value: Any) -> bytes:
    """Whatever the server said, as JSON again."""
    return _encode(value)
