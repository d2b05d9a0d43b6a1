"""The algebra of timelines, against what holds at every single moment."""

from __future__ import annotations

import datetime as dt
import pickle
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lockstep as ls
from lockstep.declaration.mapping import as_record
from lockstep.effective import Change, Extent, Moment, combine, together
from lockstep.forms.canonical import canonical
from tests.effective.timelines import DAYS, INSTANTS, Events, events, several

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def looks(moments: list[Any]) -> list[Any]:
    """Moments to look at: one long before, each, one between every two, one long after."""
    step = HOUR if isinstance(moments[0], dt.datetime) else DAY
    return sorted({moments[0] - 99 * step, *moments, *(at + step for at in moments), moments[-1] + 99 * step})


def seen(timeline: ls.Timeline[Any], moments: list[Any]) -> list[Any]:
    return [timeline.at(at) for at in looks(moments)]


@given(several(1))
def test_it_is_canonical(drawn: tuple[ls.Timeline[int], list[Any]]) -> None:
    timeline, _ = drawn
    for span in timeline:
        assert span.start is None or span.end is None or span.start < span.end
    for one, two in pairwise(timeline):
        assert one.end is not None
        assert two.start is not None
        assert one.end < two.start or (one.end == two.start and one.value != two.value)


@given(several(2))
def test_equal_exactly_if_they_say_the_same_at_every_moment(drawn: Any) -> None:
    one, two, moments = drawn
    assert (one == two) == (seen(one, moments) == seen(two, moments))
    if one == two:
        assert hash(one) == hash(two)


@given(st.data())
def test_pieces_in_any_order_and_cut_anywhere_are_the_same_timeline(data: st.DataObject) -> None:
    timeline, moments = data.draw(several(1))
    cut = data.draw(st.sampled_from(moments))
    parts = [*timeline.between(None, cut), *timeline.between(cut, None), (cut, cut, 9)]
    assert ls.Timeline(data.draw(st.permutations(parts))) == timeline


@given(events(DAYS))
def test_from_events_holds_the_last_of_each_moment_until_the_next(told: Events) -> None:
    timeline = ls.Timeline.from_events(told)
    for day in looks(DAYS):
        before = [
            (at is not None, at, place) for place, (at, _) in enumerate(told) if at is None or at <= day
        ]
        assert timeline.at(day) == (told[max(before)[2]][1] if before else None)


@given(several(1))
def test_events_and_back(drawn: Any) -> None:
    timeline, _ = drawn
    assert ls.Timeline.from_events(timeline.events()) == timeline
    moments = [at for at, _ in timeline.events()]
    assert len(moments) == len(set(moments))


@given(several(2))
def test_a_difference_that_is_applied_makes_the_other_and_back(drawn: Any) -> None:
    one, two, moments = drawn
    changes = one.diff(two)
    assert one.apply(changes) == two
    assert two.apply([Change(c.start, c.end, c.after, c.before) for c in changes]) == one
    assert (one == two) == (changes == [])
    said = {at for at in looks(moments) for c in changes if _within(at, c)}
    assert said == {at for at in looks(moments) if one.at(at) != two.at(at)}


@given(several(3))
def test_laid_over_one_another(drawn: Any) -> None:
    one, two, three, moments = drawn
    nothing: ls.Timeline[int] = ls.Timeline()
    assert one | nothing == nothing | one == one | one == one
    assert (one | two) | three == one | (two | three)
    assert seen(one | two, moments) == [
        under if over is None else over
        for under, over in zip(seen(one, moments), seen(two, moments), strict=True)
    ]


@given(st.data())
def test_a_slice_and_the_rest_are_the_whole(data: st.DataObject) -> None:
    timeline, moments = data.draw(several(1))
    start, end = data.draw(_extents(moments))
    inside, outside = timeline.between(start, end), timeline.without(start, end)
    assert inside | outside == outside | inside == timeline
    for at in looks(moments):
        within = _within(at, Extent(start, end))
        assert inside.at(at) == (timeline.at(at) if within else None)
        assert outside.at(at) == (None if within else timeline.at(at))
    assert inside.between(start, end) == inside


@given(st.data())
def test_gaps_are_where_nothing_holds(data: st.DataObject) -> None:
    timeline, moments = data.draw(several(1))
    start, end = data.draw(_extents(moments))
    gaps = timeline.gaps(start, end)
    for at in looks(moments):
        gap = any(_within(at, one) for one in gaps)
        assert gap == (timeline.at(at) is None and _within(at, Extent(start, end)))


@given(several(3))
def test_values_are_changed_and_put_together(drawn: Any) -> None:
    one, two, three, moments = drawn
    assert seen(one.map(lambda n: n % 2 or None), moments) == [
        n and (n % 2 or None) for n in seen(one, moments)
    ]
    pairs = list(zip(seen(one, moments), seen(two, moments), strict=True))
    assert seen(one.zip(two), moments) == [None if pair == (None, None) else pair for pair in pairs]
    total = combine(lambda a, b: (a or 0) + (b or 0) or None, one, two)
    assert seen(total, moments) == [(a or 0) + (b or 0) or None for a, b in pairs]
    named = {"a": one, "b": two, "c": three}
    for at in looks(moments):
        holds = {name: value for name, line in named.items() if (value := line.at(at)) is not None}
        assert together(named).at(at) == (holds or None)


def test_what_is_no_timeline_is_refused_with_a_mend() -> None:
    day, other = dt.date(2026, 3, 3), dt.date(2026, 4, 4)
    text: Any = "2026-03-03"
    noon = dt.datetime(2026, 3, 3, 12, tzinfo=dt.UTC)
    wrong: list[tuple[Any, str]] = [
        (lambda: ls.Timeline([(day, None, 1), (other, None, 2)]), "overlap: [2026-03-03, …) 1"),
        (lambda: ls.Timeline([(None, None, 1), (None, day, 2)]), "overlap"),
        (lambda: ls.Timeline([(other, day, 1)]), "ends before it starts"),
        (lambda: ls.Timeline([(day, noon, 1)]), "they have no order"),
        (lambda: ls.Timeline.always(1, day) | ls.Timeline.always(1, noon), "they have no order"),
        (lambda: ls.Timeline.always(1, day).at(noon), "they have no order"),
        (lambda: ls.Timeline.from_events([(day, 1), (noon, 2)]), "they have no order"),
        (lambda: ls.Timeline.always(1, noon.replace(tzinfo=None)), "has no zone"),
        (lambda: ls.Timeline.always(1, text), "neither a date nor an instant"),
        (lambda: ls.Timeline.always(1, day).apply([Change(day, other, 2, 3)]), "expects 2"),
    ]
    for make, message in wrong:
        with pytest.raises(ls.DataError) as error:
            make()
        assert message in str(error.value)
        assert error.value.remedy


def test_it_is_immutable_and_carried() -> None:
    timeline = ls.Timeline.always("Pro", INSTANTS[3])
    with pytest.raises(AttributeError, match="immutable"):
        timeline.spans = ()
    assert pickle.loads(pickle.dumps(timeline)) == timeline
    assert timeline == ls.Timeline.always("Pro", INSTANTS[3].astimezone(dt.UTC))


def test_a_record_may_hold_one() -> None:
    class Price(msgspec.Struct, frozen=True):
        amount: Decimal

    class Account(msgspec.Struct):
        plans: dict[str, ls.Timeline[Price]]

    def account(*told: tuple[Moment, str]) -> Account:
        prices = ((at, Price(Decimal(amount))) for at, amount in told)
        return Account({"pro": ls.Timeline.from_events(prices)})

    record = as_record(account((DAYS[0], "9.00"), (DAYS[1], "9.5")), "m")
    assert record == {
        "plans": {
            "pro": [
                {"start": DAYS[0], "end": DAYS[1], "value": {"amount": Decimal("9.00")}},
                {"start": DAYS[1], "end": None, "value": {"amount": Decimal("9.5")}},
            ]
        }
    }
    split = account((DAYS[0], "9"), (DAYS[2], "9.00"), (DAYS[1], "9.50"), (DAYS[2], "9.5"))
    assert canonical(as_record(split, "m")) == canonical(record)
    with pytest.raises(ls.DataError, match="object"):
        as_record({"a": object()}, "m")


def _within(at: Any, extent: Any) -> bool:
    return (extent.start is None or extent.start <= at) and (extent.end is None or at < extent.end)


def _extents(moments: list[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    one = st.none() | st.sampled_from(moments)
    return st.tuples(one, one).filter(lambda e: None in e or e[0] <= e[1])
