"""The canonical form of records, their fingerprints, and the sums of source rows.  FORMAT, version 1.

Canonical form is JSON in UTF-8 with sorted names and no spaces. What is equal in it, is equal:

number     by value: 10, 10.0 and Decimal("10.00") are 10; -0 is 0; NaN and infinities have forms of
           their own. Never through a float: Decimal("0.1") is 0.1 and so is the float whose shortest
           text is 0.1
instant    in UTC, "2026-03-08T09:30:00Z", microseconds only when there are some. A timestamp without
           zone has no Z and is therefore another value
date, time ISO text; uuid lower-case text; bytes base64
far        what Python's calendar cannot hold: ISO text with a signed year, "infinity", "24:00:00"
           (see `lockstep.datatypes.far`); a time of day with a zone ends in it, "09:30:00+02:00"
duration   "P3DT7.5S", "-P1DT0S"; with months, or a sign of their own for its parts, "P14M3DT-7.5S"
null       differs from a missing name, and both from "" and []
list       in order
text       as it is; unpaired surrogates have no canonical form (DataError)

So a date and the text of that date are equal: a search document holds no more than that.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from decimal import Decimal
from hashlib import blake2b
from struct import Struct as Packed
from typing import Any
from uuid import UUID

import msgspec

from lockstep.datatypes.far import Far, time_text
from lockstep.datatypes.interval import duration
from lockstep.errors import DataError
from lockstep.values import Fingerprint, Key, Record

FORMAT = 1
SUM_RECIPE = 3
"""How source sums are made. Another recipe is a re-baseline, never a divergence."""

_signed = Packed(">q").unpack
_encode = msgspec.json.Encoder(order="sorted", uuid_format="canonical").encode
_PLAIN = frozenset({str, int, bool, type(None), UUID, bytes, dt.date})
_KNOWN = _PLAIN | {float, Decimal, dt.datetime, dt.time, dt.timedelta, dict, list, tuple}
_PLAIN_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,300})(\.[0-9]{1,300})?").fullmatch
_SMALL = 1 << 63
_BASES: tuple[type[Any], ...] = (int, float, dict, list)
_LONGEST_NUMBER = 150_000  # digits; PostgreSQL's numeric has at most 147,455
_LOW, _HIGH = 1e-4, 1e15
"""Between these a float's shortest text has no exponent, and a whole one is an exact int."""


class Formed(msgspec.Struct, frozen=True, gc=False):
    """A record's canonical form, and what was seen of its leaves on the way.

    plain   any encoder of JSON writes the record itself without loss: numbers are ints and finite floats,
            instants are in UTC
    exact   the record consists of the types of `canonical` themselves, not of enums or other classes
    """

    form: bytes
    plain: bool
    exact: bool


def canonical(record: Record) -> bytes:
    """The canonical form of a record. Raises DataError where it has none."""
    return formed(record).form


def formed(record: Record) -> Formed:
    """`canonical`, and how the record itself may be encoded. Raises DataError."""
    odd: list[type[Any]] = []
    try:
        try:
            form = _encode(_ready_map(record, odd))  # type: ignore[arg-type]  # any mapping will do
        except ValueError:  # msgspec takes no whole number of more than 4,300 digits
            form = _encode(_ready(dict(record), odd, small=True))
    except (TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise DataError(
            f"the record has no canonical form: {error}",
            "Return text, numbers, booleans, dates, uuids, bytes, lists and dicts with text names.",
        ) from error
    return Formed(form, not odd, not odd or _KNOWN.issuperset(odd))


def as_json(value: Any) -> str:
    """The canonical JSON text of any value."""
    return canonical({"": value})[4:-1].decode()


def fingerprint(key: Key, form: bytes) -> Fingerprint:
    """A signed 64-bit hash of a target key and a canonical form: BLAKE2b, 8 bytes."""
    digest = blake2b(len(key).to_bytes(4, "big") + key + form, digest_size=8).digest()
    found: Fingerprint
    (found,) = _signed(digest)
    return found


def _ready_map(record: dict[str, Any], odd: list[type[Any]]) -> dict[str, Any]:
    """A record of which msgspec makes the canonical form. Nearly all of the time here is of this loop.

    `odd` gets the types of leaves that are not `Formed.plain`.
    """
    ready = record
    made: Any
    for name, value in record.items():
        kind = type(value)
        if kind in _PLAIN:
            continue
        if kind is dict:
            made = _ready_map(value, odd)
        elif kind is float and (_LOW <= value < _HIGH or value == 0 or -_HIGH < value <= -_LOW):
            if not value.is_integer():
                continue
            made = int(value)
        else:
            made = _ready(value, odd)
        if made is value:
            continue
        if ready is record:
            ready = dict(record)
        ready[name] = made
    return ready


def _ready(value: Any, odd: list[type[Any]], *, small: bool = False) -> Any:
    """Any value likewise. `small`: ints beyond 64 bits are written by us."""
    kind = type(value)
    if small and kind is int and not -_SMALL <= value < _SMALL:
        return msgspec.Raw(number(Decimal(value)))
    if kind in _PLAIN:
        return value
    if kind is dict:
        if not small:
            return _ready_map(value, odd)
        return {name: _ready(item, odd, small=True) for name, item in value.items()}
    if kind is list or kind is tuple:
        if not small and _PLAIN.issuperset(map(type, value)):
            return value
        return [_ready(item, odd, small=small) for item in value]
    if kind is float:
        if not math.isfinite(value):
            odd.append(kind)
        return msgspec.Raw(number(value))
    if kind is dt.datetime:
        if not value.utcoffset():  # none, or none from UTC
            return value
        odd.append(kind)
        return value.astimezone(dt.UTC)
    odd.append(kind)
    if kind is Decimal:
        return msgspec.Raw(number(value))
    if kind is dt.time:
        return value if value.tzinfo is None else time_text(value)
    if kind is dt.timedelta:
        return duration(value)
    if isinstance(value, Far):
        return value.text
    if isinstance(value, dt.timedelta):
        return duration(value)
    if isinstance(value, str):  # an enum's own `str` may be its name
        return str.__str__(value)
    for base in _BASES:  # enums and other kinds of a plain type
        if isinstance(value, base):
            return _ready(base(value), odd, small=small)
    raise TypeError(f"a value of type {kind.__name__}")


def number(value: float | Decimal) -> bytes:
    """The canonical text of a number."""
    plain = repr(value) if isinstance(value, float) else str(value)
    if _PLAIN_NUMBER(plain):  # nearly all are, and this is a fifth of the time
        if "." in plain:
            plain = plain.rstrip("0").rstrip(".")
        return b"0" if plain == "-0" else plain.encode()
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    if not exact.is_finite():
        return b"NaN" if exact.is_nan() else b"Infinity" if exact > 0 else b"-Infinity"
    if not exact:
        return b"0"
    sign, digits, exponent = exact.as_tuple()
    assert isinstance(exponent, int)
    if abs(exponent) > _LONGEST_NUMBER:
        raise ValueError(f"the number {value} has more than {_LONGEST_NUMBER} digits")
    text = "".join(map(str, digits)).lstrip("0")
    if exponent >= 0:
        text += "0" * exponent
    else:
        text = text.rjust(1 - exponent, "0")
        text = f"{text[:exponent]}.{text[exponent:]}".rstrip("0").rstrip(".")
    return (f"-{text}" if sign else text).encode()


# Sums of source rows: for each path of a shape, the sum over its rows of mix(row, root ^ path).

MASK31 = 0x7FFFFFFF
_MASK64 = 0xFFFFFFFFFFFFFFFF


def halves(value: int) -> tuple[int, int]:
    """31 bits of the high and 31 bits of the low half of a 64-bit hash: (hi31, lo31).

    Products of two such halves fit a signed 64-bit integer in every database, and two of them add up
    without overflow.
    """
    return value >> 32 & MASK31, value & MASK31


def mix(row: int, root: int) -> int:
    """hi31(root) * lo31(row) + lo31(root) * hi31(row): ties a row's hash to its root's.

    Without it two links exchanged between two roots leave the sums equal.
    """
    row_high, row_low = halves(row)
    return tie(row_high, row_low, halves(root))


def tie(high: int, low: int, root: tuple[int, int]) -> int:
    """`mix` of halves, or of the sums of halves of many rows: it is linear in them."""
    return root[0] * low + root[1] * high


def path_constant(path: str) -> int:
    """What a path's name contributes to its rows' hashes; the root's path "" is 0."""
    if not path:
        return 0
    return int.from_bytes(blake2b(path.encode(), digest_size=8).digest(), "big")


def wrap64(value: int) -> int:
    """A sum modulo 2^64, as the signed integer that databases hold."""
    value &= _MASK64
    return value - (1 << 64) if value >= 1 << 63 else value


def joined64(high: int, low: int) -> int:
    """The sum of 64-bit numbers, modulo 2^64 and signed, from the sum of their upper 32 bits and that of
    their lower ones: many systems add up halves exactly, and whole numbers not."""
    return wrap64((high << 32) + low)
