"""What the golden files hold: the inputs here, their outputs as computed now.

`python -m tests.golden.vectors` writes the files of the version below. Do that for a new version only.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from lockstep.datatypes.far import DAY, FarDate, FarDatetime, FarTime
from lockstep.datatypes.interval import Interval
from lockstep.datatypes.ranges import Range
from lockstep.forms import canonical, keys
from lockstep.forms.canonical import fingerprint, halves, mix, path_constant, wrap64
from lockstep.journal.sql import encode_hints
from lockstep.values import PARTITIONS, Hint, Key, Span, Trust, version

VERSION = "v1"
HERE = Path(__file__).parent

_EAST = dt.timezone(dt.timedelta(hours=5, minutes=30))
_ODD = dt.timezone(dt.timedelta(hours=-1, seconds=-15))
AT = dt.datetime(2026, 3, 8, 9, 30, 0, 5, tzinfo=_EAST)
LOCAL = dt.datetime(1, 1, 1)  # noqa: DTZ001 - the calendar's first moment, in no zone

KEYS: list[tuple[Any, ...]] = [
    (),
    (0,), (1,), (-1,), (255,), (256,), (-256,), (-257,), (2**31,), (2**55,), (2**56 - 1,), (2**56,),
    (2**63,), (-(2**63),), (2**64,), (10**30,), (-(10**30),),
    (1.0,), (-0.0,), (0.5,), (-0.5,), (1e300,), (5e-324,), (Decimal("5.00"),), (Decimal("-1234.5678"),),
    (Decimal("1E+20"),), (float("inf"),), (float("-inf"),), (float("nan"),),
    ("",), ("a",), ("a\0b",), ("\0",), ("ÿ\uffff\U0001f600",), ("Zürich",),
    (b"",), (b"\0\xff\0",),
    (True,), (False,),
    (UUID("00112233-4455-6677-8899-aabbccddeeff"),),
    (dt.date(1, 1, 1),), (dt.date(2026, 3, 8),), (dt.date(9999, 12, 31),),
    (dt.time(0),), (dt.time(23, 59, 59, 999_999),),
    (LOCAL,), (dt.datetime(2026, 3, 8, 9, 30),),  # noqa: DTZ001
    (AT,),
    ("acme", 7), (7, "acme"), ("a", "b"), ("ab", ""), (1, -1, "x", True, dt.date(2026, 3, 8)),
    (FarDate(-math.inf),), (FarDate(-1_721_425),), (FarDate(-1),), (FarDate(3_652_059),),
    (FarDate(2_145_746_000),), (FarDate(math.inf),),
    (FarDatetime(-math.inf, False),), (FarDatetime(-1, False),), (FarDatetime(3_652_059 * DAY, False),),
    (FarDatetime(math.inf, False),), (FarDatetime(-math.inf, True),), (FarDatetime(-DAY, True),),
    (FarDatetime(107_486_000 * DAY + 1, True),), (FarDatetime(math.inf, True),),
    (FarTime(),), (FarTime(_EAST),), (dt.time(9, 30, tzinfo=_EAST),), (dt.time(9, tzinfo=dt.UTC),),
    (dt.time(0, tzinfo=_ODD),),
    (dt.timedelta(),), (dt.timedelta(3, 7, 500_000),), (dt.timedelta(-1),), (Interval(0, 1, -1),),
    (Interval(14, 3, 14_706_780_000),), (Interval(-1),), (Interval.endless(),), (Interval.endless(-1),),
]  # fmt: skip

RECORDS: list[dict[str, Any]] = [
    {},
    {"b": 1, "a": 2, "": 3, "é": 4, "Z": 5},
    {"n": [0, -0.0, 1.0, 1.5, Decimal("10.00"), 1e21, 1e-7, 0.1, 2**64, -(2**63), Decimal("0.1000")]},
    {"n": [float("nan"), float("inf"), float("-inf")]},
    {"t": ["", "a", "\"\\/\b\f\n\r\t\u0001\u007f\u2028雪\U0001f600"]},
    {"null": None, "empty": [], "object": {}, "true": True, "false": False},
    {"d": dt.date(2026, 3, 8), "i": AT, "s": AT.replace(microsecond=0), "l": AT.replace(tzinfo=None)},
    {"t": [dt.time(9), dt.time(9, 30, 1, 5)], "span": [dt.timedelta(3, 7, 500_000), dt.timedelta(-1)]},
    {"u": UUID("00112233-4455-6677-8899-AABBCCDDEEFF"), "b": b"\x00\xff"},
    {"deep": [{"a": [{"b": [1, [2, {"c": None}]]}]}]},
    {"d": [FarDate(-math.inf), FarDate(-1_721_425), FarDate(-1), FarDate(3_652_059), FarDate(math.inf)]},
    {"i": [FarDatetime(-math.inf, True), FarDatetime(-1, True), FarDatetime(3_652_059 * DAY, True)]},
    {"l": [FarDatetime(-DAY, False), FarDatetime(107_486_000 * DAY + 1, False)]},
    {"l": FarDatetime(math.inf, False)},
    {"t": [FarTime(), FarTime(_EAST), dt.time(9, 30, tzinfo=_EAST), dt.time(9, 0, 0, 1, dt.UTC)]},
    {"t": dt.time(0, tzinfo=_ODD)},
    {"n": [Interval(0, 1, -1), Interval(0, 0, 129_600_000_000), Interval(14, 3, 14_706_780_000)]},
    {"n": [Interval(-1), Interval.endless(), Interval.endless(-1)]},
    {"r": [Range(1, 5), Range(None, 5, "(]"), Range(), Range.nothing()]},
]  # fmt: skip

HASHES = [
    0,
    1,
    -1,
    2**31 - 1,
    2**31,
    2**32,
    2**62,
    2**63 - 1,
    -(2**63),
    1234567890123456789,
    -987654321987654321,
]
PATHS = ["", "company", "tags", "tags~public.users_tags", "threads.messages", "é"]

HINTS: list[tuple[Hint, ...]] = [
    (),
    (Hint("public.users", key=Key(b"\x15\x07\x00")),),
    (
        Hint(
            "public.users_tags",
            key=Key(b"\x15\x07\x00\x15\x01\x00"),
            before={"user_id": Key(b"\x15\x07\x00"), "tag_id": None},
            after={"user_id": Key(b"\x15\x08\x00")},
            token="755",
            position="0/16B3748",
            at=1767225600.25,
        ),
        Hint("users", span=Span(Key(b"\x15\x01\x00"), None, "cursor", "ledger"), reason="backfill"),
        Hint("", keys=(Key(b"a"), Key(b"b")), reason="claim", trust=Trust.TARGET),
    ),
]

# A small shape by the formula: path, root's key hash, hashes of the rows on that path.
SHAPE: dict[str, list[int]] = {
    "": [11],
    "company": [2**40 + 3],
    "tags~links": [-5, 7**20],
    "tags": [-(2**63), 9],
}
ROOT_HASH = -1234567890123456789


def keys_now() -> list[Any]:
    return [
        {
            "values": [repr(value) for value in values],
            "key": keys.encode(values).hex(),
            "text": keys.text_of(values) if values else "",
            "partition": keys.partition_of(keys.encode(values), PARTITIONS),
        }
        for values in KEYS
    ]


def canonical_now() -> list[Any]:
    found = []
    for record in RECORDS:
        form = canonical.canonical(record)
        print_ = fingerprint(keys.encode(("acme", 7)), form)
        found.append({"record": repr(record), "form": form.decode(), "fingerprint": str(print_)})
    return found


def sums_now() -> dict[str, Any]:
    total = sum(mix(row, ROOT_HASH ^ path_constant(path)) for path, rows in SHAPE.items() for row in rows)
    return {
        "recipe": canonical.SUM_RECIPE,
        "halves": {str(value): list(halves(value)) for value in HASHES},
        "mix": [[str(row), str(root), str(mix(row, root))] for row in HASHES for root in HASHES],
        "path_constant": {path: str(path_constant(path)) for path in PATHS},
        "wrap64": {
            str(value): str(wrap64(value)) for value in [0, 2**63 - 1, 2**63, 2**64, -1, -(2**63) - 1, 3**60]
        },
        "shape": {
            "root": str(ROOT_HASH),
            "rows": {path: [str(row) for row in rows] for path, rows in SHAPE.items()},
            "total": str(wrap64(total)),
        },
    }


def hints_now() -> list[Any]:
    return [{"hints": len(hints), "body": encode_hints(hints).hex()} for hints in HINTS]


def versions_now() -> dict[str, str]:
    return {
        f"{epoch}:{batch}": str(version(epoch, batch))
        for epoch, batch in [(1, 0), (1, 1), (2, 0), (2**31 - 1, 2**32 - 1)]
    }


FILES = {
    "keys.json": keys_now,
    "canonical.json": canonical_now,
    "sums.json": sums_now,
    "hints.json": hints_now,
    "versions.json": versions_now,
}


def main() -> None:
    for name, now in FILES.items():
        path = HERE / VERSION / name
        path.write_text(json.dumps(now(), indent=1, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
