"""Two timelines, drawn: all that is there, marked where it differs, within the terminal."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

import lockstep as ls
from lockstep.cli.side_by_side import side_by_side
from tests.effective.timelines import several

IS = ls.Timeline.from_events([(dt.date(2026, 1, 1), "10 × 9.00"), (dt.date(2026, 7, 1), None)])
SHOULD = ls.Timeline.from_events(
    [
        (dt.date(2026, 1, 1), "10 × 9.00"),
        (dt.date(2026, 3, 3), "12 × 9.00"),
        (dt.date(2027, 1, 1), None),
    ]
)


def test_as_it_is_and_as_it_should_be() -> None:
    assert side_by_side(IS, SHOULD) == [
        "from        as it is     as it should be",
        "2026-01-01  ┌ 10 × 9.00  ┌ 10 × 9.00",
        "2026-03-03  │            ├ 12 × 9.00      ≠",
        "2026-07-01  └            │                ≠",
        "2027-01-01               └",
    ]


def test_for_a_terminal_without_lines() -> None:
    lines = side_by_side(IS, SHOULD, ascii_only=True)
    assert lines[1:3] == [
        "2026-01-01  + 10 ? 9.00  + 10 ? 9.00",
        "2026-03-03  |            + 12 ? 9.00      !",
    ]
    assert all(line.isascii() for line in lines)


def test_since_ever_and_what_moves_the_cursor() -> None:
    ever = ls.Timeline.always("a\x1b[2Jb\nc")
    assert side_by_side(ever, ls.Timeline[str]())[1:] == ["…     ┌ a [2Jb c                   ≠"]


@given(several(2), st.integers(20, 120), st.text(min_size=1), st.booleans())
def test_no_line_is_wider_than_the_terminal(drawn: Any, width: int, text: str, ascii_only: bool) -> None:
    one, two, _ = drawn
    lines = side_by_side(one, two, lambda n: text * n, width=width, ascii_only=ascii_only)
    assert all(cell_len(line) <= width for line in lines)
    assert not ascii_only or all(line.isascii() for line in lines)


@given(several(2))
def test_a_row_for_each_change_marked_where_they_differ(drawn: Any) -> None:
    one, two, _ = drawn
    lines = side_by_side(one, two)[1:]
    assert len(lines) == len({*map(_start, one.zip(two).events())})
    assert any("≠" in line for line in lines) == (one != two)


def _start(event: tuple[Any, Any]) -> Any:
    return event[0]
