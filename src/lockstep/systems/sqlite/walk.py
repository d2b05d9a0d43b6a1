"""The keys of a span, page after page, in the order that an index serves.

The order of the index is key order where every key column is a number, text or blob, texts compare by
bytes, and the index runs through the columns as the key does. Otherwise (NOCASE, a DESC column, dates and
uuids, whose misfits sort elsewhere) the walk follows the index and remembers where it stands in a cursor.

What SQL is asked for is never less than the span; what is more is left out here, by key bytes. So bounds
that do not fit the columns cost time, never a key.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lockstep.errors import Refused
from lockstep.forms import keys
from lockstep.ports import KeyPage
from lockstep.systems.sqlite import cells
from lockstep.systems.sqlite.client import names, quoted
from lockstep.systems.sqlite.schema import Column, TableInfo
from lockstep.values import Key, Span

LOOKED_AT = 20_000
"""How many keys of an unordered walk one page looks at, however few of them are in the span."""


@dataclass(frozen=True)
class Step:
    """A column of the walk: its SQL with the index's collation, and whether the index descends."""

    column: Column
    sql: str
    descending: bool


@dataclass(frozen=True)
class Way:
    """How a table's keys are walked. `places` leads from the index's columns to the key's."""

    info: TableInfo
    steps: tuple[Step, ...]
    places: tuple[int, ...]
    ordered: bool
    select: str
    label: str

    def key_of(self, row: Sequence[Any]) -> Key | None:
        """The key of the index's columns, None where one is null."""
        found = [cells.key_value(step.column, part) for step, part in zip(self.steps, row, strict=True)]
        return None if None in found else keys.encode([found[at] for at in self.places])


def way(connection: sqlite3.Connection, info: TableInfo, key: tuple[str, ...]) -> Way:
    """How the keys of a table are walked. Raises Refused where no unique index leads through them."""
    columns = [info.column(name) for name in key]
    if info.is_alias(key):
        parts = [(columns[0], "BINARY", False)]
    else:
        index = info.unique_over(column.name for column in columns)
        if index is None:
            raise Refused(
                f"({', '.join(key)}) is no key of {info.name}: no PRIMARY KEY or UNIQUE index is over it",
                f"CREATE UNIQUE INDEX … ON {quoted(info.name)}({names(key)}), or mark another key.",
            )
        parts = [(info.column(part.column or ""), part.collation, part.descending) for part in index.parts]
    (encoding,) = connection.execute("PRAGMA encoding").fetchone()
    ordered = [column for column, _, _ in parts] == columns and all(
        column.kind.ordered
        and not descending
        and (column.affinity != "text" or (collation == "BINARY" and encoding == "UTF-8"))
        for column, collation, descending in parts
    )
    steps = tuple(
        Step(column, quoted(column.name) + ("" if _plain(info, collation) else f" COLLATE {collation}"), down)
        for column, collation, down in parts
    )
    places = tuple([column for column, _, _ in parts].index(column) for column in columns)
    sql = f"SELECT {names([step.column.name for step in steps])} FROM {quoted(info.name)}"
    label = hashlib.blake2b(repr((info.name, steps)).encode(), digest_size=6).hexdigest()
    return Way(info, steps, places, ordered, sql, label)


def _plain(info: TableInfo, collation: str) -> bool:
    return collation == "BINARY" and not info.collated


def page(connection: sqlite3.Connection, way: Way, span: Span, limit: int) -> KeyPage:
    """At most `limit` keys of a span."""
    text_factory = connection.text_factory
    connection.text_factory = lenient_text
    try:
        return (
            _ordered(connection, way, span, limit) if way.ordered else _by_index(connection, way, span, limit)
        )
    finally:
        connection.text_factory = text_factory


def lenient_text(stored: bytes) -> str:
    """Text that need not be UTF-8: a row with such a key must have one, to be stuck under it."""
    return stored.decode("utf-8", "surrogateescape")


def _ordered(connection: sqlite3.Connection, way: Way, span: Span, limit: int) -> KeyPage:
    found: list[Key] = []
    for row in _after(connection, way, *_bound(way, span.after)):
        key = way.key_of(row)
        if key is None or (span.after is not None and key <= span.after):
            continue
        if span.upto is not None and key > span.upto:
            break
        if len(found) == limit:
            return KeyPage(found, Span(found[-1] if found else span.after, span.upto))
        found.append(key)
    return KeyPage(found, None)


def _bound(way: Way, key: Key | None) -> tuple[list[Any], bool]:
    """Where the walk begins, and whether that place belongs to it.

    Exactly at the key where its values fit the columns, before it where only the first few do.
    """
    fitting: list[Any] = []
    given = () if key is None else keys.decode(key)
    for step, value in zip(way.steps, given, strict=False):
        forms = cells.stored(step.column, value)
        if len(forms) != 1:
            break
        fitting.append(forms[0])
    return fitting, not len(fitting) == len(given) == len(way.steps)


def _by_index(connection: sqlite3.Connection, way: Way, span: Span, limit: int) -> KeyPage:
    found: list[Key] = []
    rows = _after(connection, way, _stand(way, span.cursor), False)
    for looked_at, row in enumerate(rows, 1):
        key = way.key_of(row)
        if key is not None and _within(key, span):
            found.append(key)
        if len(found) == limit or looked_at == LOOKED_AT:
            rest = Span(span.after, span.upto, _cursor(way, row), span.walk)
            return KeyPage(found, None if next(rows, None) is None else rest, False)
    return KeyPage(found, None, False)


def _within(key: Key, span: Span) -> bool:
    return (span.after is None or key > span.after) and (span.upto is None or key <= span.upto)


def _after(
    connection: sqlite3.Connection, way: Way, stand: list[Any], inclusive: bool
) -> Iterator[tuple[Any, ...]]:
    """The rows of the index that come after a place in it, and those at it if `inclusive`.

    One search after the other: a = ? AND b > ?, then a > ?. Each begins in the index where its rows do;
    a single (a, b) > (?, ?) would not, where a collation is named or a column descends.
    """
    conditions: list[tuple[str, list[Any]]] = []
    same = [f"{step.sql} = {_mark(value)}" for step, value in zip(way.steps, stand, strict=False)]
    if inclusive or not stand:
        conditions.append((" AND ".join(same), stand))
    for at in reversed(range(len(stand))):
        step = way.steps[at]
        further = f"{step.sql} {'<' if step.descending else '>'} {_mark(stand[at])}"
        conditions.append((" AND ".join([*same[:at], further]), stand[: at + 1]))
    present = [f"{quoted(step.column.name)} IS NOT NULL" for step in way.steps if step.column.nullable]
    order = ", ".join(step.sql + (" DESC" if step.descending else "") for step in way.steps)
    for condition, given in conditions:
        where = " AND ".join([*([condition] if condition else []), *present])
        sql = f"{way.select}{f' WHERE {where}' if where else ''} ORDER BY {order}"
        rows = connection.execute(sql, [_handed(value) for value in given])
        try:
            yield from rows
        finally:
            rows.close()


def _mark(value: Any) -> str:
    """The place of a value in SQL. Text that is no UTF-8 can only be handed over as bytes."""
    return "CAST(? AS TEXT)" if type(value) is str and not value.isascii() and _broken(value) else "?"


def _broken(text: str) -> bool:
    return any("\udc80" <= sign <= "\udcff" for sign in text)


def _handed(value: Any) -> Any:
    return value if _mark(value) == "?" else value.encode("utf-8", "surrogateescape")


def _cursor(way: Way, row: Sequence[Any]) -> str:
    parts = [
        value.hex()
        if isinstance(value, float | bytes)
        else str(value).encode("utf-8", "surrogateescape").hex()
        for value in row
    ]
    return json.dumps(
        [way.label, *([type(value).__name__[0], part] for value, part in zip(row, parts, strict=True))]
    )


def _stand(way: Way, cursor: str | None) -> list[Any]:
    """Where a walk stands; at the start if the index is another one than when the cursor was made."""
    if cursor is None:
        return []
    label, *parts = json.loads(cursor)
    if label != way.label:
        return []
    stand: list[Any] = []
    for kind, text in parts:
        if kind == "f":
            stand.append(float.fromhex(text))
            continue
        raw = bytes.fromhex(text)
        stand.append(
            raw if kind == "b" else int(raw) if kind == "i" else raw.decode("utf-8", "surrogateescape")
        )
    return stand
