"""What a field of a search index makes of one value: it sees it as it is, as another one, or refuses it.

Learned by writing on real servers (`tests/systems/test_search_losses.py`). Of types and formats that are
not here nothing is claimed.
"""

from __future__ import annotations

import ipaddress
import math
import re
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from lockstep.systems.opensearch.losses import times

LONGEST_TERM = 32_766
"""Bytes that Lucene takes as one term, in an index and in doc values."""

_WHOLE = {
    "long": (-(1 << 63), (1 << 63) - 1),
    "integer": (-(1 << 31), (1 << 31) - 1),
    "short": (-(1 << 15), (1 << 15) - 1),
    "byte": (-(1 << 7), (1 << 7) - 1),
    "unsigned_long": (0, (1 << 64) - 1),
}
_FLOATS = {"double": "d", "float": "f", "half_float": "e"}
_NANOS = 1 << 63
_LONGEST_NUMBER = 1000
_NUMERIC_TEXT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,6})?", re.A)
_ODD_TEXT = re.compile(r"\s.*|.*\s|.*[dDfF]|0[xX].*|[+-]?(NaN|Infinity)", re.S)
"""Texts that some numeric types and versions read as numbers, others not."""


class Seen(NamedTuple):
    """Searches, sorts and sums see this value instead; None: nothing at all."""

    value: Any


class Rejected(NamedTuple):
    """The whole document is refused."""

    reason: str


Fate = Seen | Rejected | None
"""None: seen as it is, or not known."""


def fate(field: Mapping[str, Any], settings: Mapping[str, Any], value: Any) -> Fate:
    """`field`: its mapping; `settings`: the index's, flat; `value`: a text, number, boolean, or an object."""
    kind = field.get("type")
    forgiven = kind not in _TERMS and _flag(field, settings, "ignore_malformed", False)
    if isinstance(value, dict):
        unknown = forgiven or kind not in _TYPES  # OpenSearch 3 leaves an object out that is malformed
        return None if unknown else Rejected("it is an object, and the field holds single values")
    judge = _TYPES.get(str(kind))
    if judge is None:
        return None
    try:
        found = judge(field, settings, value)
    except times.Unsure:
        return None
    return Seen(None) if forgiven and isinstance(found, Rejected) else found


def told(field: Mapping[str, Any]) -> str:
    """A field's type, and what of its parameters matters here."""
    said = [f"{name} {field[name]}" for name in _TOLD if name in field]
    return f"{field.get('type', 'object')}" + (f" ({', '.join(said)})" if said else "")


_TOLD = ("scaling_factor", "ignore_above", "format", "coerce", "ignore_malformed")


def _flag(field: Mapping[str, Any], settings: Mapping[str, Any], name: str, default: bool) -> bool:
    found = field.get(name, settings.get(f"index.mapping.{name}", default))
    return str(found).lower() == "true"


def _number(field: Mapping[str, Any], settings: Mapping[str, Any], value: Any) -> Decimal | Fate:
    """The number; its fate where it is none."""
    if isinstance(value, bool):
        return Rejected("it is a boolean, and the field holds numbers")
    if isinstance(value, str):
        if not _flag(field, settings, "coerce", True):
            return Rejected("it is a text, and the field takes numbers only (coerce is false)")
        if not value:
            return Seen(None)
        if not _NUMERIC_TEXT.fullmatch(value):
            return None if _ODD_TEXT.fullmatch(value) else Rejected("it is no number")
    elif len(format(Decimal(value), "f")) > _LONGEST_NUMBER:
        return Rejected(f"it has more than {_LONGEST_NUMBER} digits")
    return Decimal(value)


def _whole(field: Mapping[str, Any], settings: Mapping[str, Any], value: Any) -> Fate:
    number = _number(field, settings, value)
    if not isinstance(number, Decimal):
        return number
    low, high = _WHOLE[field["type"]]
    if number.adjusted() > 30 or not low <= int(number) <= high:
        return Rejected(f"it is outside of {low} … {high}")
    if number == int(number):
        return None
    if not _flag(field, settings, "coerce", True):
        return Rejected("it has a fraction, and the field takes whole numbers only (coerce is false)")
    return Seen(int(number))


def _float(field: Mapping[str, Any], settings: Mapping[str, Any], value: Any) -> Fate:
    number = _number(field, settings, value)
    if not isinstance(number, Decimal):
        return number
    packed = _FLOATS[field["type"]]
    held = _rounded(packed, float(number))
    if math.isinf(held):
        return Rejected(f"it is too large for a {field['type']}")
    if Decimal(held) == number:
        return None
    # Not each 0.1 is a loss: what the nearest number's shortest text says, is held.
    shortest = (f"{held:.{digits}g}" for digits in range(1, 18))
    text = next(one for one in shortest if _rounded(packed, float(one)) == held)
    return None if Decimal(text) == number else Seen(Decimal(repr(held)))


def _rounded(packed: str, value: float) -> float:
    """As a float of that size has it."""
    try:
        (found,) = struct.unpack(f">{packed}", struct.pack(f">{packed}", value))
    except OverflowError:
        return math.inf
    return float(found)


def _scaled(field: Mapping[str, Any], settings: Mapping[str, Any], value: Any) -> Fate:
    number = _number(field, settings, value)
    if not isinstance(number, Decimal):
        return number
    factor = Decimal(str(field["scaling_factor"]))
    scaled = float(number) * float(factor)
    if math.isinf(scaled):
        raise times.Unsure
    low, high = _WHOLE["long"]
    held = Decimal(min(max(math.floor(Decimal(scaled) + Decimal("0.5")), low), high)) / factor
    return None if held == number else Seen(held)


def _boolean(field: Mapping[str, Any], settings: Mapping[str, Any], value: Any) -> Fate:
    if value == "" and isinstance(value, str):
        return Seen(False)
    return None if isinstance(value, bool) or value in ("true", "false") else Rejected("it is no boolean")


def _keyword(field: Mapping[str, Any], settings: Mapping[str, Any], value: Any) -> Fate:
    text = _text(value)
    above = field.get("ignore_above", settings.get("index.mapping.ignore_above"))
    if above is not None and len(text) > int(above):
        return Seen(None)
    if above is not None and len(text.encode("utf-16-le")) // 2 > int(above):
        raise times.Unsure  # Elasticsearch 8 counts characters, the others UTF-16 units
    if _flag(field, {}, "index", True) or _flag(field, {}, "doc_values", True):
        return _term(text)
    return None


def _analyzed(field: Mapping[str, Any], settings: Mapping[str, Any], value: Any) -> Fate:
    return _term(_text(value)) if field.get("analyzer") == "keyword" else None


def _term(text: str) -> Fate:
    size = len(text.encode())
    return (
        Rejected(f"it has {size} bytes, and a term has at most {LONGEST_TERM}")
        if size > LONGEST_TERM
        else None
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _date(field: Mapping[str, Any], settings: Mapping[str, Any], value: Any) -> Fate:
    if isinstance(value, bool):
        return Rejected("it is a boolean, and the field holds dates")
    nanos = field["type"] == "date_nanos"
    formats = field.get("format") or f"{times.STRICT}||epoch_millis"
    at = times.read(_text(value), formats)
    if at is None:
        return Rejected(f"it is no date in the format {formats}")
    if nanos:
        return None if 0 <= at < _NANOS else Rejected("it is outside of 1970-01-01 … 2262-04-11")
    return None if at % 1_000_000 == 0 else Seen(times.milliseconds(at))


def _ip(field: Mapping[str, Any], settings: Mapping[str, Any], value: Any) -> Fate:
    if isinstance(value, str):
        if "%" in value:
            return None
        try:
            ipaddress.ip_address(value)
        except ValueError:
            return Rejected("it is no IP address")
        return None
    return Rejected("it is no IP address")


def _alias(field: Mapping[str, Any], settings: Mapping[str, Any], value: Any) -> Fate:
    return Rejected("the field is an alias of another one, which cannot be written")


_TYPES: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any], Any], Fate]] = {
    **dict.fromkeys(_WHOLE, _whole),
    **dict.fromkeys(_FLOATS, _float),
    "scaled_float": _scaled,
    "boolean": _boolean,
    "keyword": _keyword,
    "text": _analyzed,
    "date": _date,
    "date_nanos": _date,
    "ip": _ip,
    "alias": _alias,
}
_TERMS = frozenset({"keyword", "text", "alias"})
