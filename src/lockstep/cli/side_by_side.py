"""Two timelines in the terminal, side by side: time goes down, a row for each day on which either changes.

from        as it is          as it should be
2026-01-01  ┌ 10 × 9.00       ┌ 10 × 9.00
2026-03-03  │                 ├ 12 × 9.00        ≠
2026-07-01  └                 │                  ≠
2027-01-01                    └
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from rich.cells import cell_len, set_cell_size

from lockstep.effective import Moment, Timeline

T = TypeVar("T")

_NARROWEST = 6
"""Cells of a value, at the least: the lines of a terminal with less than 40 columns are cut at its edge."""


class Signs(NamedTuple):
    """How a span is drawn that begins (after nothing, after another), goes on, or has ended."""

    begins: str
    follows: str
    holds: str
    ended: str
    differs: str
    cut: str
    ever: str


LINES = Signs("┌", "├", "│", "└", "≠", "…", "…")
ASCII = Signs("+", "+", "|", "'", "!", "~", "...")


def side_by_side(
    one: Timeline[T],
    two: Timeline[T],
    show: Callable[[T], str] = str,
    *,
    titles: tuple[str, str] = ("as it is", "as it should be"),
    width: int = 80,
    ascii_only: bool = False,
) -> list[str]:
    """The lines, none wider than `width` cells; what differs is marked.

    `ascii_only`: for terminals that show nothing else; other characters in values are shown as `?`.
    """
    signs = ASCII if ascii_only else LINES
    rows = _rows(one, two)
    days = [signs.ever if at is None else _day(at) for at, _, _ in rows]
    column = max(map(len, ["from", *days]))
    left, right = (_cells(line, rows, show, signs, ascii_only) for line in (one, two))
    marks = ["" if before == after else signs.differs for _, before, after in rows]
    room = max(_NARROWEST, (width - column - 2 - 2 - 2 - 1) // 2)
    wide = [
        min(room, max(map(cell_len, [title, *cells])))
        for title, cells in zip(titles, (left, right), strict=True)
    ]
    lines = [("from", *titles, ""), *zip(days, left, right, marks, strict=True)]
    made = []
    for day, *cells, mark in lines:
        fitted = (_fitted(cell, cells_wide, signs.cut) for cell, cells_wide in zip(cells, wide, strict=True))
        text = "  ".join([day.ljust(column), *fitted, mark]).rstrip()
        made.append(_fitted(text, width, signs.cut).rstrip())
    return made


def _rows(one: Timeline[T], two: Timeline[T]) -> list[tuple[Moment | None, T | None, T | None]]:
    """At each change what both say from then on."""
    return [(at, *(pair or (None, None))) for at, pair in one.zip(two).events()]


def _cells(
    line: Timeline[T],
    rows: list[tuple[Moment | None, Any, Any]],
    show: Callable[[T], str],
    signs: Signs,
    ascii_only: bool,
) -> list[str]:
    """What one of both has in each row."""
    begins = {span.start: span.value for span in line}
    ends = {span.end for span in line if span.end is not None}
    cells, holds = [], False
    for at, _, _ in rows:
        if at in begins:
            sign = signs.follows if at in ends else signs.begins
            cells.append(f"{sign} {_plain(show(begins[at]), ascii_only)}")
            holds = True
        elif at in ends:
            cells.append(signs.ended)
            holds = False
        else:
            cells.append(signs.holds if holds else "")
    return cells


def _day(at: Moment) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _plain(text: str, ascii_only: bool) -> str:
    """Nothing that would move the cursor: a value comes from another system."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return shown.encode("ascii", "replace").decode() if ascii_only else shown


def _fitted(text: str, wide: int, cut: str) -> str:
    if cell_len(text) <= wide:
        return set_cell_size(text, wide)
    return set_cell_size(text, wide - len(cut)) + cut
