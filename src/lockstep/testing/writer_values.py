"""The values that the law of `Writer` sends: every kind a mapping may return, with its extremes.

A record of the law holds one value under the name of its kind, so a target with typed fields can declare
one field per kind and never sees a text where it had a number.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any
from uuid import UUID

_PLANES = tuple(chr(plane << 16 | 0x41) for plane in range(17))
_EAST = dt.timezone(dt.timedelta(hours=9, minutes=30))

KINDS: dict[str, tuple[Any, ...]] = {
    "text": (
        "",
        " ",
        "plain",
        "two\r\nlines\tand a tab ",
        "é",
        "e\u0301",  # the same to the eye, another text
        "\u2028 \ufeff \ufffd \uffff",
        "שלום",
        "'; DROP TABLE users; --",
        '{"looks": "like JSON"}',
        "2026-03-08",
        "007",
        "1e3",
        "x" * 100_000,
        *_PLANES,
        "\U0010ffff",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    ),
    "text_nul": ("a\0b", "\0"),
    "integer": (0, 1, -1, 2**31, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)),
    "big_integer": (2**63, 2**64 - 1, -(2**63) - 1, 10**30, -(10**40)),
    "decimal": (
        Decimal("0.1"),
        Decimal("10.00"),
        Decimal("-0.00"),
        Decimal("1E+3"),
        Decimal("1234567890123456789.123456789"),
        Decimal("1E-20"),
        Decimal("0.30000000000000004"),
    ),
    "float": (0.0, -0.0, 0.1, 1 / 3, 1e300, -2.5, 1e-7, 5e-324, 1.7976931348623157e308),
    "not_finite": (float("inf"), float("-inf"), float("nan"), Decimal("NaN"), Decimal("-Infinity")),
    "boolean": (True, False),
    "null": (None,),
    "numbers": ([], [1], [3, 1, 2], [1, None]),
    "texts": ([], [""], ["b", "a", "b"], ["\U0001f600"]),
    "object": ({}, {"name": "a"}, {"deep": {"deeper": {"deepest": [1, 2]}}, "name": None}),
    "objects": ([], [{"name": "a", "size": 1}, {"name": "b", "size": 2}], [{}]),
    "mixed": ([1, "a", None, True, {"b": [Decimal("0.10"), [2**70]]}], [["a"], [["b"], 3]]),
    "odd_names": ({"a.b": 1, "é": 2, "with space": 3}, {"": 1}, {"$ref": "x", "_id": "y", "'": "z"}),
    "date": (dt.date(2026, 3, 8), dt.date(1, 1, 1), dt.date(9999, 12, 31), dt.date(1900, 2, 28)),
    "time": (dt.time(0, 0), dt.time(23, 59, 59, 999999), dt.time(12, 30)),
    "local": (
        dt.datetime(2026, 3, 8, 2, 30),  # noqa: DTZ001 - in no zone, and meant so
        dt.datetime(2026, 3, 8, 2, 30, 0, 1),  # noqa: DTZ001
        dt.datetime(1, 1, 1),  # noqa: DTZ001
    ),
    "instant": (
        dt.datetime(2026, 3, 8, 9, 30, tzinfo=dt.UTC),
        dt.datetime(2026, 3, 8, 9, 30, 0, 123456, tzinfo=_EAST),
        dt.datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC),
        dt.datetime(9999, 12, 31, tzinfo=dt.UTC),
    ),
    "uuid": (UUID(int=0), UUID(int=2**128 - 1), UUID("0b5f4a3e-0c4d-4f8e-9a51-0d9f6e1c2b3a")),
    "bytes": (b"", b"\0\xff", bytes(range(256))),
    "duration": (
        dt.timedelta(),
        dt.timedelta(days=3, seconds=7, microseconds=500_000),
        -dt.timedelta(hours=1),
    ),
}

AWKWARD_KEYS: tuple[str, ...] = (
    "a",
    "A",
    "b",
    "a b",
    "a|b",
    "a\\b",
    "a\\|b",
    "a/b",
    "a.b",
    "a%2Fb",
    "a?b=c#d",
    "../a",
    "_a",
    "+1",
    "'",
    '"',
    "7",
    "07",
    "é",
    "e\u0301",
    "\uffff",
    "\U0001f600",
    "k" * 400,
)
"""Keys of text that a URL, a query or a sort by UTF-16 would get wrong."""
