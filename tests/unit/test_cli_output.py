"""What the command line prints with: durations, numbers, JSON."""

from __future__ import annotations

import datetime as dt
import json
import time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from msgspec import Struct

from lockstep.cli import output
from lockstep.cli.plain import dumps, plain
from lockstep.forms import keys
from lockstep.state.stuck import Stuck


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "–"),
        (0.0123, "12 ms"),
        (0.9999, "1.0 s"),
        (3.21, "3.2 s"),
        (3, "3 s"),
        (59.4, "59 s"),
        (59.9, "1 min"),
        (61, "1 min 1 s"),
        (1800, "30 min"),
        (3600, "1 h"),
        (7830, "2 h 10 min"),
        (100_000, "1 d 3 h"),
        (2_000_000, "23 d"),
    ],
)
def test_a_duration(seconds: float | None, expected: str) -> None:
    assert output.span(seconds) == expected


def test_how_long_ago() -> None:
    now = time.time()
    assert output.ago(None) == "never"
    assert output.ago(now) == "now"
    assert output.ago(now - 65) == "1 min 5 s ago"
    assert output.ago(now + 3600.5) == "in 1 h"


def test_counts_agree_with_their_nouns() -> None:
    assert output.count(1, "key") == "1 key"
    assert output.count(1204, "key") == "1,204 keys"
    assert output.count(2, "key is", "keys are") == "2 keys are"


def test_a_value_is_cut_where_there_is_no_room() -> None:
    assert output.value({"a": [1, 2]}) == '{"a": [1, 2]}'
    assert output.value("x" * 50, 10) == '"xxxxxxxx…'
    assert output.value("(missing)") == "(missing)"


def test_a_number_or_a_date_is_no_text() -> None:
    assert output.value("12.50") == '"12.50"'
    assert output.value(Decimal("12.50")) == "12.50"
    assert output.value(Decimal("1E+3")) == "1000"
    assert output.value(dt.date(2026, 3, 8)) == "2026-03-08"
    assert output.value({"price": Decimal(9)}) == '{"price": "9"}', "JSON has no exact numbers"


class _Thing(Struct):
    key: bytes
    found_at: float | None
    data: dict[str, Any]


def test_json_of_a_struct() -> None:
    record = {
        "at": dt.datetime(2026, 3, 8, 14, 3, tzinfo=dt.UTC),
        "day": dt.date(2026, 3, 8),
        "price": Decimal("12.50"),
        "id": UUID(int=1),
        "raw": b"\x00\xff",
        "created_at": 5.0,
        "key": b"\x01",
        "nan": float("nan"),
        "took": dt.timedelta(seconds=90),
        "nested": [{"text": "größe"}],
    }
    shown = json.loads(dumps(_Thing(keys.encode((7, "a")), 0.0, record)))
    assert shown["key"] == "7|a"
    assert shown["found_at"] == "1970-01-01T00:00:00.000Z"
    assert shown["data"] == {
        "at": "2026-03-08T14:03:00+00:00",
        "day": "2026-03-08",
        "price": "12.50",
        "id": "00000000-0000-0000-0000-000000000001",
        "raw": "00ff",
        "created_at": 5.0,  # a person's own field is theirs
        "key": "01",
        "nan": "NaN",
        "took": "PT90S",
        "nested": [{"text": "größe"}],
    }


def test_json_of_a_stuck_key_has_the_fields_of_the_struct() -> None:
    one = Stuck("users", keys.encode((7,)), "derive", "no", "mend it", None, 1, 1.0, 2.0, None)
    shown = plain(one)
    assert list(shown) == list(Stuck.__struct_fields__)
    assert (shown["key"], shown["claim"], shown["retry_at"]) == ("7", None, None)
    assert shown["first_at"] == "1970-01-01T00:00:01.000Z"


def test_one_line_is_one_line() -> None:
    assert "\n" not in dumps({"a": "x\ny", "b": [1, 2]}, one_line=True)
