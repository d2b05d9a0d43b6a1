"""Values of the texts that the server writes: in its log, and inside arrays, ranges and composite values.

The forms are those of the settings that `client` makes: ISO dates, zone UTC, intervals in PostgreSQL's own
style, bytes in hex. Raises ValueError for a text that is no value.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from lockstep.datatypes import interval as intervals
from lockstep.datatypes.civil import days_of
from lockstep.datatypes.far import DAY, FarTime, date_at, datetime_at
from lockstep.datatypes.ranges import Range

Parse = Callable[[str], Any]

_INFINITIES = {"infinity": math.inf, "-infinity": -math.inf}
_DAY = r"(\d{4,})-(\d\d)-(\d\d)"
_CLOCK = r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?"
_ZONE = r"([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?"
_FAR_DATE = re.compile(rf"{_DAY}( BC)?", re.ASCII).fullmatch
_FAR_MOMENT = re.compile(rf"{_DAY}[ T]{_CLOCK}(?:\+00(?::00)?)?( BC)?", re.ASCII).fullmatch
_ZONED = re.compile(_CLOCK + _ZONE, re.ASCII).fullmatch
_INTERVAL = re.compile(
    r"(?:([+-]?\d+) years? ?)?(?:([+-]?\d+) mons? ?)?(?:([+-]?\d+) days? ?)?"
    r"(?:([+-]?)(\d+):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?",
    re.ASCII,
).fullmatch
_json = msgspec.json.Decoder(float_hook=Decimal).decode


def boolean(text: str) -> bool:
    return text == "t"


def blob(text: str) -> bytes:
    if not text.startswith("\\x"):
        raise ValueError("bytea in another form than hex")
    return bytes.fromhex(text[2:])


def char(text: str) -> str:
    return text.rstrip(" ")


def json(text: str) -> Any:
    return _json(text)


def money(text: str) -> Decimal:
    raise ValueError("money inside another value: what its digits mean depends on a setting")


def date(text: str) -> dt.date:
    if len(text) == 10 and text[0] != "-":
        return dt.date.fromisoformat(text)
    if text in _INFINITIES:
        return date_at(_INFINITIES[text])
    found = _matched(_FAR_DATE(text), text)
    return date_at(_days(*found.group(1, 2, 3), bc=found[4]))


def timestamp(text: str) -> dt.datetime:
    return _moment(text, aware=False)


def timestamptz(text: str) -> dt.datetime:
    return _moment(text, aware=True)


def _moment(text: str, *, aware: bool) -> dt.datetime:
    if text[4:5] == "-" and text[0] != "-" and text[-1] != "C":
        return dt.datetime.fromisoformat(text)
    if text in _INFINITIES:
        return datetime_at(_INFINITIES[text], aware)
    found = _matched(_FAR_MOMENT(text), text)
    days = _days(*found.group(1, 2, 3), bc=found[8])
    return datetime_at(days * DAY + _micros(*found.group(4, 5, 6, 7)), aware)


def time(text: str) -> dt.time:
    return FarTime() if text == "24:00:00" else dt.time.fromisoformat(text)


def timetz(text: str) -> dt.time:
    found = _matched(_ZONED(text), text)
    hours, minutes, seconds, fraction, sign, *zone = found.groups()
    east = sum(int(part or 0) * unit for part, unit in zip(zone, (3600, 60, 1), strict=True))
    offset = dt.timezone(dt.timedelta(seconds=-east if sign == "-" else east)) if east else dt.UTC
    if hours == "24":
        return FarTime(offset)
    micros = int((fraction or "").ljust(6, "0"))
    return dt.time(int(hours), int(minutes), int(seconds), micros, offset)


def interval(text: str) -> dt.timedelta:
    if text in _INFINITIES:
        return intervals.Interval.endless(1 if text == "infinity" else -1)
    years, months, days, sign, *clock = _matched(_INTERVAL(text), text).groups()
    micros = _micros(*clock) if clock[0] else 0
    whole = int(years or 0) * 12 + int(months or 0)
    return intervals.interval(whole, int(days or 0), -micros if sign == "-" else micros)


def _matched(found: re.Match[str] | None, text: str) -> re.Match[str]:
    if found is None:
        raise ValueError(f"{text!r} is not as the server writes it")
    return found


def _days(year: str, month: str, day: str, *, bc: str | None) -> int:
    return days_of(1 - int(year) if bc else int(year), int(month), int(day))


def _micros(hours: str, minutes: str, seconds: str, fraction: str | None) -> int:
    whole = (int(hours) * 60 + int(minutes)) * 60 + int(seconds)
    return whole * 1_000_000 + int((fraction or "").ljust(6, "0"))


# Values of several parts


def array(of: Parse, delimiter: str = ",") -> Parse:
    """Lists, in lists for several dimensions; from which number elements are counted is not kept."""
    tokens = re.compile(
        rf'[{{}}]|{re.escape(delimiter)}|"((?:[^"\\]|\\.)*)"|((?:[^"\\{{}}{re.escape(delimiter)}]|\\.)+)',
        re.DOTALL,
    )

    def parse(text: str) -> list[Any]:
        if text[:1] == "[":
            text = text[text.index("=") + 1 :]
        found: list[list[Any]] = [[]]
        end = 0
        for token in tokens.finditer(text):
            end = token.end()
            quoted, plain = token.groups()
            if quoted is not None:
                found[-1].append(of(_unescaped(quoted)))
            elif plain is not None:
                found[-1].append(None if plain.upper() == "NULL" else of(_unescaped(plain)))
            elif token[0] == "{":
                inner: list[Any] = []
                found[-1].append(inner)
                found.append(inner)
            elif token[0] == "}":
                found.pop()
        if end != len(text) or len(found) != 1:
            raise ValueError(f"{text!r:.100} is no array")
        whole: list[Any] = found[0][0]
        return whole

    return parse


def record(fields: Sequence[tuple[str, Parse]]) -> Parse:
    """A composite value: a dict of its fields."""

    def parse(text: str) -> dict[str, Any]:
        parts = list(_parts(text))
        if not fields:
            return {}
        if len(parts) != len(fields):
            raise ValueError(f"a value of {len(parts)} fields where its type has {len(fields)}")
        return {
            name: None if part is None else read(part)
            for (name, read), part in zip(fields, parts, strict=True)
        }

    return parse


def span(of: Parse) -> Parse:
    """A range."""

    def parse(text: str) -> Range[Any]:
        if text == "empty":
            return Range.nothing()
        lower, upper = _parts(text)
        low, high = (None if part is None else of(part) for part in (lower, upper))
        return Range(low, high, text[0] + text[-1])

    return parse


def spans(of: Parse) -> Parse:
    """A multirange: the list of its ranges."""
    one = span(of)
    ranges = re.compile(r'[\[(](?:"(?:[^"\\]|\\.|"")*"|[^"\])])*[\])]', re.DOTALL)

    def parse(text: str) -> list[Range[Any]]:
        return [one(found[0]) for found in ranges.finditer(text)]

    return parse


def hstore(text: str) -> dict[str, str | None]:
    """Keys and values, whose values may be null."""
    found: dict[str, str | None] = {}
    for pair in _PAIR.finditer(text):
        key, value = pair.groups()
        found[_unescaped(key)] = None if value is None else _unescaped(value)
    return found


_PAIR = re.compile(r'"((?:[^"\\]|\\.)*)"=>(?:NULL|"((?:[^"\\]|\\.)*)")', re.DOTALL)
_PART = re.compile(r'((?:"(?:[^"\\]|\\.|"")*"|\\.|[^",\\])*)(,|$)', re.DOTALL)


def _parts(text: str) -> Iterator[str | None]:
    """The fields of a composite value, the bounds of a range; one that is not there is None."""
    inner = text[1:-1]
    at = 0
    while at <= len(inner):
        found = _matched(_PART.match(inner, at), text)
        raw = found[1]
        yield _bare(raw) if raw else None
        at = found.end()
        if not found[2]:
            return


def _bare(raw: str) -> str:
    """A part without its quotes and escapes."""
    if '"' not in raw and "\\" not in raw:
        return raw
    out: list[str] = []
    inside = False
    at = 0
    while at < len(raw):
        sign = raw[at]
        if sign == "\\":
            out.append(raw[at + 1])
            at += 2
            continue
        if sign == '"':
            if inside and raw[at + 1 : at + 2] == '"':
                out.append('"')
                at += 2
                continue
            inside = not inside
        else:
            out.append(sign)
        at += 1
    return "".join(out)


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) if "\\" in text else text
