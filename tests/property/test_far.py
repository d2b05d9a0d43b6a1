"""What Python's calendar cannot hold: texts, order, key bytes, and no wrong answer."""

from __future__ import annotations

import copy
import datetime as dt
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lockstep.datatypes.civil import days_of
from lockstep.datatypes.far import DAY, Far, FarDate, FarDatetime, FarTime, date_at, datetime_at, micros_of
from lockstep.datatypes.interval import Interval, duration, interval, parts_of
from lockstep.datatypes.ranges import Range
from lockstep.declaration.mapping import Clock
from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.forms.canonical import canonical

ENDS = st.sampled_from([math.inf, -math.inf])
DAYS = st.one_of(
    st.integers(-2_500_000, 2_200_000_000), st.integers(-400, 400), st.integers(3_652_000, 3_652_100), ENDS
)
MICROS = st.one_of(
    st.integers(-1_800_000 * DAY, 110_000_000 * DAY),
    st.integers(-5, 5),
    st.integers(-5, 5).map(lambda n: 3_652_059 * DAY + n),
    ENDS,
)
OFFSETS = st.integers(-57_599, 57_599).map(lambda s: dt.timezone(dt.timedelta(seconds=s)))


def key(*values: Any) -> bytes:
    return keys.encode(values)


@given(st.lists(DAYS, min_size=2, max_size=2))
@example([-1, 0])
@example([3_652_058, 3_652_059])
def test_dates_compare_as_their_days_do(places: list[int | float]) -> None:
    one, other = (date_at(place) for place in places)
    assert (one < other) == (places[0] < places[1]) == (key(one) < key(other)) == (other > one)
    assert (one == other) == (places[0] == places[1]) == (str(one) == str(other))
    assert (one <= other) == (places[0] <= places[1])
    assert keys.decode(keys.encode((one, other))) == (one, other)


@given(st.lists(MICROS, min_size=2, max_size=2), st.booleans())
def test_moments_compare_as_their_microseconds_do(places: list[int | float], aware: bool) -> None:
    one, other = (datetime_at(place, aware) for place in places)
    assert (one < other) == (places[0] < places[1]) == (key(one) < key(other)) == (other > one)
    assert (one == other) == (places[0] == places[1])
    assert one != other or hash(one) == hash(other)  # unequal ones may share it: hash(-1) is hash(-2)
    assert keys.decode(keys.encode((one, 1))) == (one, 1)
    assert micros_of(one) == places[0]


@given(st.times(timezones=st.one_of(st.just(dt.UTC), OFFSETS)), OFFSETS)
def test_times_with_a_zone_are_keys(value: dt.time, zone: dt.timezone) -> None:
    end = FarTime(zone)
    assert keys.decode(keys.encode((value, end))) == (value, end)
    assert keys.decode(keys.encode((value,)))[0].utcoffset() == value.utcoffset()
    moved = value.replace(tzinfo=zone)
    assert key(moved) < key(end)
    assert moved < end
    assert (value < moved) == (key(value) < key(moved)) or value == moved


PARTS = st.tuples(
    *[st.integers(-(1 << 31), (1 << 31) - 1)] * 2,
    st.integers(-(1 << 63), (1 << 63) - 1),
)


@given(PARTS, PARTS)
@example((0, 1, 0), (0, 0, DAY))
@example((0, 1, -1), (0, -1, 1))
def test_intervals_keep_their_parts(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    first, second = interval(*one), interval(*other)
    assert parts_of(first) == one
    assert keys.decode(keys.encode((first, second, 1))) == (first, second, 1)
    assert (key(first) == key(second)) == (one == other) == (duration(first) == duration(second))
    length = [m * 30 * DAY + d * DAY + u for m, d, u in (one, other)]
    assert (key(first) < key(second)) == (length[0] < length[1]) or length[0] == length[1]
    for value in (first, second):
        assert (
            parts_of(copy.deepcopy(value)) == parts_of(pickle.loads(pickle.dumps(value))) == parts_of(value)
        )


def test_texts() -> None:
    shown: list[tuple[Any, str]] = [
        (FarDate(days_of(-43, 3, 15)), "-0043-03-15"),
        (FarDate(days_of(0, 12, 31)), "0000-12-31"),
        (FarDate(days_of(5874897, 12, 31)), "+5874897-12-31"),
        (FarDatetime(days_of(294276, 12, 31) * DAY + DAY - 1, True), "+294276-12-31T23:59:59.999999Z"),
        (FarDatetime(days_of(-4712, 1, 1) * DAY, False), "-4712-01-01T00:00:00"),
        (FarDatetime(-math.inf, True), "-infinity"),
        (FarTime(), "24:00:00"),
        (FarTime(dt.timezone(dt.timedelta(seconds=-3615))), "24:00:00-01:00:15"),
        (dt.time(9, 30, tzinfo=dt.timezone(dt.timedelta(seconds=30))), "09:30:00+00:00:30"),
        (Interval(14, 3, 14_706_780_000), "P14M3DT14706.78S"),
        (Interval(0, 1, -3_600_000_000), "P1DT-3600S"),
        (Interval(-1, 0, -1), "P-1M0DT-0.000001S"),
        (Interval.endless(-1), "-infinity"),
    ]
    for value, text in shown:
        assert canonical({"v": value}) == b'{"v":"%s"}' % text.encode()
        assert keys.text_of((value,)) == text
        if not isinstance(value, dt.time) or isinstance(value, Far):
            assert str(value) == f"{value}" == f"{value:>{len(text)}}" == text


NOW = dt.datetime(2026, 3, 8, tzinfo=dt.UTC)
END, LONG_AGO = FarDatetime(math.inf, True), FarDate(days_of(-43, 3, 15))
MONTH: Any = Interval(1)
WRONG: list[Callable[[], Any]] = [
    lambda: END.date(),
    lambda: END.hour,
    lambda: END.year,
    lambda: END - NOW,
    lambda: NOW - END,
    lambda: END + dt.timedelta(1),
    lambda: END.timestamp(),
    lambda: END.astimezone(dt.UTC),
    lambda: f"{END:%Y}",
    lambda: LONG_AGO.weekday(),
    lambda: LONG_AGO.replace(year=5),
    lambda: NOW + MONTH,
    lambda: NOW - MONTH,
    lambda: MONTH.days,
    lambda: MONTH.total_seconds(),
    lambda: dt.timedelta(40) > MONTH,
    lambda: dt.timedelta(40) > MONTH,
    lambda: MONTH * 2,
    lambda: dt.timedelta(1) + MONTH,
]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_computed_is_refused(wrong: Callable[[], Any]) -> None:
    with pytest.raises((ValueError, OverflowError)):
        wrong()


def test_what_can_be_asked_is_answered() -> None:
    assert NOW < END
    assert END > NOW
    assert END.infinite
    assert not LONG_AGO.infinite
    assert (LONG_AGO.year, LONG_AGO.month, LONG_AGO.day) == (-43, 3, 15)
    assert NOW.replace(tzinfo=None) != END
    assert LONG_AGO != NOW
    with pytest.raises(TypeError):
        _ = NOW.replace(tzinfo=None) > END
    assert interval(0, 0, 36 * 3_600_000_000) + dt.timedelta(1) == dt.timedelta(2.5)
    assert MONTH.months == 1
    assert not MONTH.infinite
    assert Interval.endless().infinite
    clock = Clock(NOW.timestamp(), dt.UTC)
    assert clock.reached(LONG_AGO)
    assert not clock.reached(END)
    assert clock.due is None
    with pytest.raises(DataError, match="too far away"):
        key(FarDate(1 << 40))
    span: Range[int] = Range(1, 5, "(]")
    assert (span.lower, span.upper, span.bounds, span.empty) == (1, 5, "(]", False)
    assert (Range().bounds, Range.nothing().empty, dict(Range(1, 5))) == ("()", True, {"gte": 1, "lt": 5})
