"""Key bytes: one order for keys in every source, ledger and target.  FORMAT, version 1.

A key is a tuple of values, one per key column. Its bytes compare (memcmp) as the values do, column by
column: text by its UTF-8 bytes, uuid by bytes, numbers by value with -infinity first and infinity and
NaN last, instants by time, from -infinity to infinity. Numbers are one order whatever Python type carries
them, so 5, 5.0 and Decimal("5.00") are one key. Bytes decode back to values, so a key can be shown and
sent to a database.

element   bytes
bool      20 false, 21 true
number    0B -inf · integer part · fraction digits (ASCII) 00 · 1D +inf · 1E NaN
          integer part: tag 14+n then n big-endian bytes (n < 8); a negative one 14-n then the
          complement; wider: 1C (or 0C) and four bytes of length (or its complement) before them
text      30 · UTF-8, 00 written as 00 FF · 00
bytes     31 · the same
uuid      32 · 16 bytes
date      33 · days since 0001-01-01, 4 bytes
time      34 · microseconds since midnight, 8 bytes
local     35 · a timestamp without zone: microseconds since 0001-01-01, 8 bytes
instant   36 · a timestamp with zone: the same, in UTC
far       infinity is FF…; before the year 1 tag 2B (date), 2D (local), 2E (instant) and the number, less
          than zero, plus 2^32 or 2^64; -infinity is 00…; 24:00 is a whole day of microseconds
zoned     37 · a time with zone: microseconds in UTC + 2^63, 8 bytes · seconds west + 2^31, 4 bytes
interval  38 · its length with months of 30 days + 2^127, 16 bytes · months + 2^31, 4 bytes · days + 2^31,
          4 bytes · microseconds + 2^63, 8 bytes
"""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from lockstep.datatypes.far import (
    DAY,
    Far,
    FarTime,
    date_at,
    datetime_at,
    time_text,
)
from lockstep.datatypes.interval import duration, interval, parts_of
from lockstep.errors import DataError
from lockstep.forms.key_far import place_from, put_far, put_zoned
from lockstep.forms.key_numbers import digits, put_int, put_number, take_number
from lockstep.values import Key

FORMAT = 1

_ORIGIN = dt.datetime(1, 1, 1)  # noqa: DTZ001 - the calendar's own zero, in no zone
_ORIGIN_UTC = _ORIGIN.replace(tzinfo=dt.UTC)
_MICRO = dt.timedelta(microseconds=1)
_LAST = (dt.datetime.max.replace(tzinfo=dt.UTC) - _ORIGIN_UTC) // _MICRO
_SHORT = 1 << 56
_TAGS = [bytes((0x14 + size,)) for size in range(8)]  # of whole numbers above 0 and below _SHORT


def encode(values: Sequence[Any]) -> Key:
    """The key bytes of one value per key column.

    Raises DataError for None and for types that cannot be part of a key.
    """
    if len(values) == 1:  # most keys are one whole number, or one text without a NUL
        only = values[0]
        if type(only) is int and 0 < only < _SHORT:
            size = (only.bit_length() + 7) >> 3
            return Key(_TAGS[size] + only.to_bytes(size, "big") + b"\0")
        if type(only) is str and "\0" not in only:
            return Key(b"\x30" + only.encode("utf-8", "surrogatepass") + b"\0")
    out = bytearray()
    for value in values:
        _put(out, value)
    return Key(bytes(out))


def encode_one(value: Any) -> Key | None:
    """The key bytes of a single column, None for null: the form of join columns in hints."""
    return None if value is None else encode((value,))


def _put(out: bytearray, value: Any) -> None:
    kind = type(value)
    if kind is int:
        put_int(out, value)
        out.append(0)
    elif kind is str:
        out.append(0x30)
        out += value.encode("utf-8", "surrogatepass").replace(b"\0", b"\0\xff")
        out.append(0)
    elif kind is bool:
        out.append(0x21 if value else 0x20)
    elif kind is UUID:
        out.append(0x32)
        out += value.bytes
    elif kind is float or kind is Decimal:
        put_number(out, value)
    elif kind is bytes or kind is bytearray or kind is memoryview:
        out.append(0x31)
        out += bytes(value).replace(b"\0", b"\0\xff")
        out.append(0)
    elif kind is dt.date:
        out.append(0x33)
        out += (value.toordinal() - 1).to_bytes(4, "big")
    elif kind is dt.datetime:
        aware = value.tzinfo is not None
        micros = (value - (_ORIGIN_UTC if aware else _ORIGIN)) // _MICRO
        if not 0 <= micros <= _LAST:
            raise DataError(f"{value} is outside the calendar in UTC", "Keep keys in the years 1 to 9999.")
        out.append(0x36 if aware else 0x35)
        out += micros.to_bytes(8, "big")
    elif kind is dt.time and value.tzinfo is None:
        out.append(0x34)
        out += ((dt.datetime.combine(_ORIGIN, value) - _ORIGIN) // _MICRO).to_bytes(8, "big")
    elif isinstance(value, Far):
        put_far(out, value)
    elif kind is dt.time:
        put_zoned(out, value)
    elif isinstance(value, dt.timedelta):
        _put_interval(out, value)
    elif value is None:
        raise DataError("a key has a null in it", "Give every key column a value (NOT NULL).")
    else:
        raise DataError(
            f"a value of type {kind.__name__} cannot be part of a key",
            "Use a key column of a number, text, uuid, bytes, date or time type.",
        )


def _put_interval(out: bytearray, value: dt.timedelta) -> None:
    months, days, micros = parts_of(value)
    out.append(0x38)
    out += (micros + (days + 30 * months) * DAY + (1 << 127)).to_bytes(16, "big")
    out += (months + (1 << 31)).to_bytes(4, "big")
    out += (days + (1 << 31)).to_bytes(4, "big")
    out += (micros + (1 << 63)).to_bytes(8, "big")


def decode(key: Key) -> tuple[Any, ...]:
    """The values of a key. Whole numbers come back as int, others as Decimal."""
    if (
        len(key) > 2 and 0x14 < key[0] < 0x1C and len(key) == key[0] - 0x12
    ):  # one whole number above 0, and no fraction
        return (int.from_bytes(key[1:-1], "big"),)
    values: list[Any] = []
    at = 0
    while at < len(key):
        value, at = _take(key, at)
        values.append(value)
    return tuple(values)


def decode_one(key: Key | None) -> Any:
    """The value of a single column; the reverse of `encode_one`."""
    return None if key is None else _take(key, 0)[0]


def _take(key: bytes, at: int) -> tuple[Any, int]:
    tag = key[at]
    at += 1
    if 0x0B <= tag <= 0x1E:
        return take_number(key, tag, at)
    if tag == 0x30 or tag == 0x31:
        end = at
        while True:
            end = key.index(0, end)
            if key[end + 1 : end + 2] != b"\xff":
                break
            end += 2
        raw = key[at:end].replace(b"\0\xff", b"\0")
        return (raw.decode("utf-8", "surrogatepass") if tag == 0x30 else raw), end + 1
    if tag == 0x32:
        return UUID(bytes=bytes(key[at : at + 16])), at + 16
    if tag in (0x20, 0x21):
        return tag == 0x21, at
    if tag == 0x33 or tag == 0x2B:
        return date_at(place_from(key[at : at + 4], tag == 0x2B)), at + 4
    micros = int.from_bytes(key[at : at + 8], "big")
    if tag == 0x34:
        return (_ORIGIN + micros * _MICRO).time() if micros < DAY else FarTime(), at + 8
    if tag in (0x35, 0x36, 0x2D, 0x2E):
        return datetime_at(place_from(key[at : at + 8], tag < 0x30), tag in (0x36, 0x2E)), at + 8
    if tag == 0x37:
        west = int.from_bytes(key[at + 8 : at + 12], "big") - (1 << 31)
        zone = dt.timezone(dt.timedelta(seconds=-west)) if west else dt.UTC
        clock = micros - (1 << 63) - west * 1_000_000
        return (_ORIGIN + clock * _MICRO).time().replace(tzinfo=zone) if clock < DAY else FarTime(
            zone
        ), at + 12
    if tag == 0x38:
        ends = ((16, 20, 1 << 31), (20, 24, 1 << 31), (24, 32, 1 << 63))
        months, days, micros = (int.from_bytes(key[at + a : at + b], "big") - less for a, b, less in ends)
        return interval(months, days, micros), at + 32
    raise ValueError(f"byte {tag:#x} starts no key element")


def text(key: Key) -> str:
    """A key as people and search indexes see it: `7`, `acme|7`.

    Composite keys are joined by "|"; a "|" or "\\" inside a part is escaped by "\\". Bytes that are no key,
    as in a damaged ledger, show as hex.
    """
    return text_of(decode(key)) if readable(key) else f"0x{key.hex()}"


def readable(key: Key) -> bool:
    """Whether bytes are a key at all."""
    try:
        decode(key)
    except (ValueError, IndexError, ArithmeticError):
        return False
    return True


def text_of(values: Sequence[Any]) -> str:
    """The text of key values. See `text`."""
    if len(values) == 1:
        return _text_of_one(values[0])
    return "|".join(_text_of_one(value).replace("\\", "\\\\").replace("|", "\\|") for value in values)


def _text_of_one(value: Any) -> str:
    if isinstance(value, str):
        return value
    if type(value) is int and -_SHORT < value < _SHORT:
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float | Decimal):
        (value,) = decode(encode((value,)))
    if isinstance(value, int | Decimal):
        return format(value, "f") if isinstance(value, Decimal) else digits(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return value.hex()
    if isinstance(value, dt.time):
        return time_text(value)
    if isinstance(value, dt.timedelta):
        return duration(value)
    if isinstance(value, dt.datetime) and not isinstance(value, Far):
        if value.tzinfo is not None:
            value = value.astimezone(dt.UTC)
        text: str = value.isoformat()
        return text.replace("+00:00", "Z")
    return str(value)


def split_text(text: str) -> tuple[str, ...]:
    """The parts of a composite key as typed by a person: the reverse of the "|" in `text`."""
    parts = [""]
    escaped = False
    for sign in text:
        if escaped:
            parts[-1] += sign
            escaped = False
        elif sign == "\\":
            escaped = True
        elif sign == "|":
            parts.append("")
        else:
            parts[-1] += sign
    return tuple(parts)


def partition_of(key: Key, partitions: int) -> int:
    """The virtual partition of a key: CRC-32 of its bytes. FORMAT, version 1."""
    return zlib.crc32(key) % partitions
