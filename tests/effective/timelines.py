"""Timelines for Hypothesis: few moments and few values, so that edges meet and neighbours are equal."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import strategies as st

from lockstep.effective import Moment, Timeline

DAYS = [dt.date(2026, 1, 1) + dt.timedelta(days=n) for n in range(12)]
_ZONES = [dt.UTC, dt.timezone(dt.timedelta(hours=9)), dt.timezone(dt.timedelta(hours=-5))]
INSTANTS = [
    dt.datetime(2026, 3, 1, hour, tzinfo=dt.UTC).astimezone(_ZONES[hour % 3]) for hour in range(0, 24, 2)
]

Events = list[tuple[Moment | None, Any]]


def events(moments: list[Any]) -> st.SearchStrategy[Events]:
    ends = st.none() | st.sampled_from(moments)
    return st.lists(st.tuples(ends, st.none() | st.integers(1, 3)), max_size=8)


def timelines(moments: list[Any]) -> st.SearchStrategy[Timeline[int]]:
    return events(moments).map(Timeline.from_events)


def several(count: int) -> st.SearchStrategy[tuple[Any, ...]]:
    """So many timelines of one kind of moments, and last those moments, in order."""
    kinds: list[list[Any]] = [DAYS, INSTANTS]
    return st.sampled_from(kinds).flatmap(
        lambda moments: st.tuples(*[timelines(moments)] * count, st.just(moments))
    )
