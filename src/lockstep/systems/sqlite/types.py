"""What a declared type means: the Python values of a column, and the stored forms of a Python value.

SQLite stores a value as null, integer, real, text or blob, whatever the column was declared as. A stored
value that the declared type cannot mean is an error of that record, never a guess:

declared                                    stored as            Python
INTEGER, INT, BIGINT, …                     integer              int
BOOLEAN, BOOL                               integer 0 or 1       bool
REAL, FLOAT, DOUBLE, …                      real                 float
NUMERIC, DECIMAL, NUMBER, MONEY             integer, real        Decimal; a real by its shortest text
DECIMAL TEXT, NUMERIC TEXT                  text 1.5             Decimal of any length, as short as it can be
TEXT, VARCHAR, CHAR, CLOB, STRING, …        text                 str
BLOB, BINARY, VARBINARY                     blob                 bytes
DATE                                        text 2026-03-08      dt.date
DATETIME, TIMESTAMP, …                      text ISO 8601        dt.datetime, aware if the text has a zone
TIME                                        text 09:30:00        dt.time
JSON, JSON TEXT                             text, number         what it says, fractions as Decimal
UUID, GUID, UNIQUEIDENTIFIER                text, lower case     UUID

A column without a type, or of one that is not here, is what it stores: int, float, str or bytes.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any

from lockstep.forms.canonical import number
from lockstep.systems.sqlite import moments


@dataclass(frozen=True)
class Kind:
    """What the values of a column are.

    `python` is their annotation. Stored values of a type in `plain` are the values already; `read` makes
    others into values and raises ValueError where they do not fit. `forms` are the stored forms that may
    read as a value. `ordered`: stored order is key order, wherever text is compared by bytes.
    """

    python: str
    plain: frozenset[type]
    read: Callable[[Any], Any]
    forms: Callable[[Any], tuple[Any, ...]]
    ordered: bool = False


def _refuse(stored: Any) -> Any:
    raise ValueError


def _read_bool(stored: Any) -> bool:
    if type(stored) is int and stored in (0, 1):
        return stored == 1
    raise ValueError


def _read_decimal(stored: Any) -> Decimal:
    if type(stored) is int:
        return Decimal(stored)
    if type(stored) is float:
        exact = Decimal(repr(stored))
        if exact.is_finite():
            return exact
    raise ValueError


def _read_digits(stored: Any) -> Decimal:
    """Only in its shortest spelling: another one would not be found by its value."""
    if type(stored) is str:
        with contextlib.suppress(ArithmeticError):
            exact = Decimal(stored)
            if number(exact).decode() == stored:
                return exact
    raise ValueError


def _digits_forms(value: Any) -> tuple[str, ...]:
    return (number(value).decode(),) if type(value) in (float, Decimal) else _whole_forms(value)


def _whole_forms(value: Any) -> tuple[str, ...]:
    return (number(Decimal(value)).decode(),) if type(value) is int else ()


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _read_json(stored: Any) -> Any:
    if type(stored) is str:
        return json.loads(stored, parse_float=Decimal, parse_constant=_no_constant)
    return stored if type(stored) is int else _read_decimal(stored)


def _only(python: type) -> Callable[[Any], tuple[Any, ...]]:
    return lambda value: (value,) if type(value) is python else ()


def _number_forms(value: Any) -> tuple[Any, ...]:
    return (value,) if type(value) in (int, float, Decimal) else ()


INTEGER = Kind("int", frozenset({int}), _refuse, _number_forms, ordered=True)
REAL = Kind("float", frozenset({float}), _refuse, _number_forms, ordered=True)
DECIMAL = Kind("Decimal", frozenset(), _read_decimal, _number_forms, ordered=True)
TEXT = Kind("str", frozenset({str}), _refuse, _only(str), ordered=True)
BLOB = Kind("bytes", frozenset({bytes}), _refuse, _only(bytes), ordered=True)
BOOLEAN = Kind("bool", frozenset(), _read_bool, lambda value: (int(value),) if type(value) is bool else ())
DIGITS = Kind("Decimal", frozenset(), _read_digits, _digits_forms)
JSON = Kind("Any", frozenset(), _read_json, lambda value: ())
UUID = Kind("UUID", frozenset(), moments.read_uuid, moments.uuid_forms)
DATE = Kind("dt.date", frozenset(), moments.read_date, moments.date_forms)
DATETIME = Kind("dt.datetime", frozenset(), moments.read_datetime, moments.datetime_forms)
TIME = Kind("dt.time", frozenset(), moments.read_time, moments.time_forms)
UNKNOWN = Kind("Any", frozenset({int, float, str, bytes}), _refuse, lambda value: (value,), ordered=True)

_BY_NAME = {
    **dict.fromkeys(("BOOLEAN", "BOOL"), BOOLEAN),
    **dict.fromkeys(("NUMERIC", "DECIMAL", "DEC", "NUMBER", "MONEY"), DECIMAL),
    **dict.fromkeys(("DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "DATETIMETZ"), DATETIME),
    **dict.fromkeys(("TIMESTAMP WITH TIME ZONE", "TIMESTAMP WITHOUT TIME ZONE"), DATETIME),
    **dict.fromkeys(("UUID", "GUID", "UNIQUEIDENTIFIER"), UUID),
    **dict.fromkeys(("BINARY", "VARBINARY", "BYTEA"), BLOB),
    **dict.fromkeys(("POINT", "INTERVAL", ""), UNKNOWN),
    "DATE": DATE,
    "TIME": TIME,
    "JSON": JSON,
    "JSON TEXT": JSON,
    **dict.fromkeys(("DECIMAL TEXT", "NUMERIC TEXT"), DIGITS),
    "STRING": TEXT,
}
_BY_PART = (
    (("INT",), INTEGER),
    (("CHAR", "CLOB", "TEXT"), TEXT),
    (("BLOB",), BLOB),
    (("REAL", "FLOA", "DOUB"), REAL),
)


def plain_name(declared: str) -> str:
    """A declared type without its sizes, in upper case."""
    return " ".join(re.sub(r"\([^)]*\)", " ", declared).upper().split())


@cache
def kind_of(declared: str) -> Kind:
    """What a declared type means."""
    name = plain_name(declared)
    if name in _BY_NAME:
        return _BY_NAME[name]
    for parts, kind in _BY_PART:
        if any(part in name for part in parts):
            return kind
    return UNKNOWN


@cache
def affinity_of(declared: str) -> str:
    """SQLite's own rule for how a column stores: integer, text, blob, real or numeric."""
    name = declared.upper()
    if "INT" in name:
        return "integer"
    if any(part in name for part in ("CHAR", "CLOB", "TEXT")):
        return "text"
    if not name or "BLOB" in name:
        return "blob"
    return "real" if any(part in name for part in ("REAL", "FLOA", "DOUB")) else "numeric"
