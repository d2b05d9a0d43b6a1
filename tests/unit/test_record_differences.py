"""Where two records differ, in words that a person finds the place by."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from lockstep.agreement.fields import MISSING, diff
from lockstep.effective import Timeline

START, MARCH, JUNE = dt.date(2026, 1, 1), dt.date(2026, 3, 3), dt.date(2026, 6, 1)
ONE, TWO = ({"seats": Decimal(n), "price": Decimal(9)} for n in (1, 2))


def told(expected: Any, actual: Any) -> list[tuple[str, Any, Any]]:
    found = diff({"plan": expected}, {"plan": actual})
    return [(one.path, one.expected, one.actual) for one in found]


def test_timelines_differ_between_dates() -> None:
    whole = Timeline.always(ONE, START).form()
    changed = Timeline([(START, MARCH, ONE), (MARCH, JUNE, TWO), (JUNE, None, ONE)]).form()
    assert told(whole, changed) == [("plan[2026-03-03 to 2026-06-01].seats", 1, 2)]
    assert told(whole, Timeline.always(ONE, START, JUNE).form()) == [("plan[2026-06-01 on]", ONE, MISSING)]
    assert told([], Timeline.always("Pro", None, JUNE).form()) == [("plan[until 2026-06-01]", MISSING, "Pro")]
    assert told(Timeline.always(1).form(), Timeline.always(2).form()) == [("plan[always]", 1, 2)]


def test_timelines_of_a_document_too_whose_moments_are_texts() -> None:
    whole = Timeline.always(ONE, START).form()
    held = [
        {"start": "2026-01-01", "end": "2026-03-03", "value": ONE},
        {"start": "2026-03-03", "end": None, "value": TWO},
    ]
    assert told(whole, held) == [("plan[2026-03-03 on].seats", 1, 2)]
    noon = dt.datetime(2026, 3, 3, 12, tzinfo=dt.UTC)
    moments = [{"start": "2026-03-03T12:00:00Z", "end": None, "value": 2}]
    assert told(Timeline.always(1, noon).form(), moments) == [("plan[2026-03-03 12:00:00+00:00 on]", 1, 2)]


@pytest.mark.parametrize(
    "actual",
    [
        [{"start": START, "end": None, "value": 1}, {"start": MARCH, "end": None, "value": 2}],
        [{"start": "some day", "end": None, "value": 2}],
        [{"start": "2026-01-01T00:00:00Z", "end": "9999-12-31T23:59:59-05:00", "value": 1}],
        [{"start": "0001-01-01T00:00:00+01:00", "end": None, "value": 2}],
        [{"start": START, "end": MARCH, "value": 1}, {"start": MARCH, "end": None, "value": 1}],
        [{"start": START, "end": None, "value": 1, "why": ""}],
    ],
    ids=["overlap", "texts", "an end beyond UTC", "a start beyond UTC", "cut otherwise", "other fields"],
)
def test_what_is_no_timeline_differs_place_by_place(actual: list[Any]) -> None:
    found = told([{"start": START, "end": None, "value": 1}], actual)
    assert found
    assert all(path.startswith(("plan[0].", "plan[1]")) for path, _, _ in found)


def test_parts_that_have_keys_differ_key_by_key() -> None:
    one, two, three = ({"key": key, "seats": 1} for key in ("S-1", "S-2", "S-3"))
    assert told([one, two], [two | {"seats": 3}, three]) == [
        ("plan[S-1]", one, MISSING),
        ("plan[S-2].seats", 1, 3),
        ("plan[S-3]", MISSING, three),
    ]
    assert told([one, two], [two, one])[0] == ("plan[0].key", "S-1", "S-2"), "the order alone differs"
    assert told([one, one], [one])[0] == ("plan[1]", one, MISSING), "no key names one of them"
