"""Columns of many rows: their values as they equal each other, and what hangs on parents by them.

All is done for all rows at a time: row by row in Python it would cost more than all that the source does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from lockstep.errors import DataError
from lockstep.forms import keys

Row = tuple[Any, ...]
Columns = Sequence[Sequence[Any]]
Values = Sequence[Any]
"""One value per row: of a column as it is, of several columns their tuple."""


class Sums(NamedTuple):
    """Of one path: the sums of the high and of the low halves of its rows' hashes, per entry."""

    highs: list[int]
    lows: list[int]


class Built(NamedTuple):
    """The rows of one table as instances, a DataError standing for one that cannot be. `sums`: one for
    the table itself and for every path below."""

    columns: Columns
    shown: list[Any]
    sums: list[Sums]
    failed: bool


class Found(NamedTuple):
    """What hangs on the parents, by the value that leads there. The last entry stands for nothing there.

    An entry shows an instance, or all of a list. `crowded`: entries where one row should be and more are.
    """

    entries: dict[Any, int]
    shown: list[Any]
    sums: list[Sums]
    failed: bool
    crowded: dict[int, int]


def of_columns(columns: Sequence[str], names: Sequence[str]) -> Callable[[Columns], Values]:
    """A function from all columns to the values of the named ones."""
    at = [columns.index(name) for name in names]
    if len(at) == 1:
        place = at[0]
        return lambda found: _equal(found[place])
    return lambda found: list(zip(*(_equal(found[place]) for place in at), strict=True))


_NAN = Decimal("NaN")


def _equal(column: Sequence[Any]) -> Sequence[Any]:
    """A column whose values equal each other as they do in a database and as keys do: NaN is equal to NaN,
    and a float to the number of its shortest text."""
    first = next((value for value in column if value is not None), None)
    if type(first) is not float and type(first) is not Decimal:
        return column
    exact = [Decimal(repr(value)) if type(value) is float else value for value in column]
    return [_NAN if value != value else value for value in exact]


def as_rows(values: set[Any], width: int) -> list[Row]:
    """Values as a read takes them; null leads nowhere."""
    if width == 1:
        return [(value,) for value in values if value is not None]
    return [value for value in values if None not in value]


def failing(built: Built, error: DataError) -> Built:
    """With one entry more: an error, whose rows do not count."""
    built.shown.append(error)
    for path in built.sums:
        path.highs.append(0)
        path.lows.append(0)
    return built._replace(failed=True)


def single(ups: Values, built: Built) -> Found:
    """Entries of one row each."""
    entries = {value: place for place, value in enumerate(ups)}
    found = Found(entries, built.shown, built.sums, built.failed, {})
    if len(entries) < len(ups):
        for value, count in Counter(ups).items():
            if count > 1:
                entry = entries[value]
                found.crowded[entry] = count
                found.shown[entry] = None
                for path in found.sums:
                    path.highs[entry] = path.lows[entry] = 0
    return ended(found, None)


def listed(ups: Values, built: Built) -> Found:
    """Entries of all rows that have one value, in their order."""
    entries: dict[Any, int] = {}
    groups: list[list[int]] = []
    for place, value in enumerate(ups):
        entry = entries.setdefault(value, len(groups))
        if entry == len(groups):
            groups.append([place])
        else:
            groups[entry].append(place)
    found = Found(entries, grouped(built, groups), summed(built.sums, groups), built.failed, {})
    return ended(found, [])


def grouped(built: Built, groups: list[list[int]]) -> list[Any]:
    """The list that each group shows, or the first error in it."""
    lists: list[Any] = [[built.shown[place] for place in group] for group in groups]
    if built.failed:
        for at, shown in enumerate(lists):
            lists[at] = next((item for item in shown if isinstance(item, DataError)), shown)
    return lists


def summed(sums: list[Sums], groups: list[list[int]]) -> list[Sums]:
    return [
        Sums(
            [sum(map(path.highs.__getitem__, group)) for group in groups],
            [sum(map(path.lows.__getitem__, group)) for group in groups],
        )
        for path in sums
    ]


def ended(found: Found, nothing: Any) -> Found:
    """With the last entry, for what has nothing there."""
    found.shown.append(nothing)
    for path in found.sums:
        path.highs.append(0)
        path.lows.append(0)
    return found


def sort(rows: list[Row], key: Callable[[Row], Any]) -> None:
    """Sorts rows in key order: Python's own order where it is that, key bytes where it is not."""
    first = key(rows[0]) if rows else None
    try:
        if float in map(type, first if isinstance(first, tuple) else (first,)):
            raise TypeError("NaN has no place among floats")
        rows.sort(key=key)
    except (TypeError, InvalidOperation):
        rows.sort(key=lambda row: keys.encode(one if isinstance(one := key(row), tuple) else (one,)))
