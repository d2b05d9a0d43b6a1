"""The keys of a span, page after page, in the order that an index serves.

That is key order where every key column is of a type whose order is that of key bytes, its texts compare by
bytes ("C"), and an index runs through the columns as the key does. Otherwise (another collation, enums, an
index in another order of columns) the walk follows the unique index, and a cursor remembers where it stands.

What SQL is asked for is never less than the span; what is more is left out here, by key bytes. So bounds
that do not fit the columns, as after a change of type, cost time and never a key.

A key that Python cannot hold (the timestamp infinity) has no key bytes, and the page that meets it raises
DataError with its name: left out in silence, its record would be missing and nobody would know.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lockstep.errors import Refused
from lockstep.forms import keys
from lockstep.ports import KeyPage
from lockstep.systems.postgres import names
from lockstep.systems.postgres.tables import Column, Index, TableInfo
from lockstep.values import Key, Span

LOOKED_AT = 20_000
"""How many keys of an unordered walk one page looks at, however few of them are in the span."""

Row = tuple[Any, ...]
Query = Callable[[str, Sequence[str]], list[Row]]


@dataclass(frozen=True)
class Way:
    """How a table's keys are walked: `columns` in the order of the walk, and the key's places in them."""

    info: TableInfo
    columns: tuple[Column, ...]
    places: tuple[int, ...]
    ordered: bool

    def key_of(self, row: Row) -> Key | None:
        """The key of a row, None where a column of it is null."""
        return None if None in row else keys.encode([row[place] for place in self.places])


def way(info: TableInfo, key: tuple[str, ...]) -> Way:
    """How the keys of a table are walked. Raises Refused where no unique index is over them."""
    columns = [info.column(name) for name in key]
    for index in info.indexes:
        if index.columns[: len(key)] == key and _serves(index, columns):
            return Way(info, tuple(columns), tuple(range(len(key))), True)
    for index in info.indexes:
        if index.unique and set(index.columns) == set(key):
            steps = [info.column(name) for name in index.columns]
            return Way(info, tuple(steps), tuple(index.columns.index(name) for name in key), False)
    raise Refused(
        f"({', '.join(key)}) is no key of {info.name}: no primary key or unique index is over it",
        f"CREATE UNIQUE INDEX ON {names.sql_name(info.name)} ({names.columns(key)}); or mark another key.",
    )


def _serves(index: Index, columns: list[Column]) -> bool:
    """Whether reading along the index gives these columns in the order of key bytes."""
    if not index.plain or len(set(index.descending[: len(columns)])) != 1:
        return False
    return all(
        bytewise if column.known.by_value is None else column.known.by_value
        for column, bytewise in zip(columns, index.bytewise, strict=False)
    )


def page(query: Query, way: Way, span: Span, limit: int) -> KeyPage:
    """At most `limit` keys of a span."""
    if span.walk != "source":
        return KeyPage([], None, way.ordered)
    return _ordered(query, way, span, limit) if way.ordered else _unordered(query, way, span, limit)


def _ordered(query: Query, way: Way, span: Span, limit: int) -> KeyPage:
    found: list[Key] = []
    lower, upper = _bound(way, span.after, after=True), _bound(way, span.upto, after=False)
    while True:
        rows = query(*_statement(way, [lower, upper], limit))
        found += _inside(way, span, rows, limit - len(found))
        if len(rows) < limit:
            return KeyPage(found, None)
        if len(found) == limit:
            done = span.upto is not None and found[-1] >= span.upto
            return KeyPage(found, None if done else Span(found[-1], span.upto))
        lower = _past(way, rows[-1])


def _unordered(query: Query, way: Way, span: Span, limit: int) -> KeyPage:
    found: list[Key] = []
    looked_at = 0
    place = _resumed(way, span.cursor)
    while True:
        wanted = limit - len(found)
        rows = query(*_statement(way, [place], wanted))
        found += _inside(way, span, rows, wanted)
        looked_at += len(rows)
        if len(rows) < wanted:
            return KeyPage(found, None, False)
        place = _past(way, rows[-1])
        if len(found) >= limit or looked_at >= LOOKED_AT:
            cursor = json.dumps([[column.name for column in way.columns], place[1]])
            return KeyPage(found, Span(span.after, span.upto, cursor, span.walk), False)


def _inside(way: Way, span: Span, rows: Iterable[Row], limit: int) -> list[Key]:
    found: list[Key] = []
    for row in rows:
        key = way.key_of(row)
        if key is None or (span.after is not None and key <= span.after):
            continue
        if span.upto is not None and key > span.upto:
            continue
        found.append(key)
        if len(found) == limit:
            break
    return found


Condition = tuple[str, list[str]]


def _bound(way: Way, key: Key | None, *, after: bool) -> Condition:
    """A condition that every key of the span meets: exact where the bound's values fit the columns."""
    if key is None:
        return "", []
    given = keys.decode(key)
    fitting: list[str] = []
    for column, value in zip(way.columns, given, strict=False):
        text = column.known.bind(value)
        if text is None:
            break
        fitting.append(text)
    exact = len(fitting) == len(given) == len(way.columns)
    return _compared(way, fitting, (">" if exact else ">=") if after else "<=")


def _past(way: Way, row: Row) -> Condition:
    """What comes after a row that the walk has seen."""
    texts = [column.known.bind(value) for column, value in zip(way.columns, row, strict=True)]
    assert None not in texts, "a value that was read can be a parameter"
    return _compared(way, [text for text in texts if text is not None], ">")


def _resumed(way: Way, cursor: str | None) -> Condition:
    """Where a walk stands; at the start if it went along another index."""
    if cursor is None:
        return "", []
    columns, texts = json.loads(cursor)
    if columns != [column.name for column in way.columns]:
        return "", []
    return _compared(way, texts, ">")


def _compared(way: Way, texts: list[str], sign: str) -> Condition:
    if not texts:
        return "", []
    columns = way.columns[: len(texts)]
    left = ", ".join(f"t.{names.quoted(column.name)}" for column in columns)
    right = ", ".join(f"$#::{column.known.cast}" for column in columns)
    return f"({left}) {sign} ({right})", texts


def _statement(way: Way, conditions: Sequence[Condition], limit: int) -> tuple[str, list[str]]:
    parts: list[str] = []
    given: list[str] = []
    for text, values in conditions:
        if text:
            for number in range(len(given) + 1, len(given) + len(values) + 1):
                text = text.replace("$#", f"${number}", 1)
            parts.append(text)
            given += values
    parts += [f"t.{names.quoted(column.name)} IS NOT NULL" for column in way.columns if not column.not_null]
    where = f" WHERE {' AND '.join(parts)}" if parts else ""
    select = ", ".join(column.read_sql for column in way.columns)
    order = ", ".join(f"t.{names.quoted(column.name)}" for column in way.columns)
    return f"SELECT {select} FROM {way.info.sql} AS t{where} ORDER BY {order} LIMIT {limit}", given
