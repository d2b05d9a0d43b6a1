"""The ledger, span by span: where spans are cut, what its rows of each add up to, and the rows themselves.

Each span is a read along the primary key, and few are read in one transaction, so that none lasts, however
large the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from lockstep.forms.canonical import joined64
from lockstep.state import schema
from lockstep.state.books import Books
from lockstep.state.rows import Row, from_columns
from lockstep.values import Key, Span

_32: sa.ColumnElement[int] = sa.literal_column(
    "32"
)  # a parameter would be a bigint, by which PostgreSQL shifts nothing
_LOW = (1 << 32) - 1
_TOGETHER = 20
"""Spans in one transaction."""


class Sums(NamedTuple):
    """What the rows of a span add up to, modulo 2^64 and signed.

    rows     keys that the ledger knows
    numbers  the sum of their source sums
    records  target records they own; None where some row has its records in the long form
    sent     the sum of the fingerprints sent
    unknown  rows that are void, or whose source sum is not known
    """

    rows: int
    numbers: int
    records: int | None
    sent: int
    unknown: int


def _within(statement: Any, *bounds: str) -> Any:
    """The rows of a consumer after `after` and up to `upto`, or without one of the bounds."""
    table = schema.ledger
    statement = statement.where(table.c.consumer == sa.bindparam("consumer", type_=sa.Integer))
    if "after" in bounds:
        statement = statement.where(table.c.key > sa.bindparam("after", type_=sa.LargeBinary))
    if "upto" in bounds:
        statement = statement.where(table.c.key <= sa.bindparam("upto", type_=sa.LargeBinary))
    return statement


def _sums() -> Any:
    table = schema.ledger
    halves = [
        half
        for column in (table.c.sum, table.c.sent)
        for half in (column.op(">>")(_32), column.op("&")(sa.literal_column(str(_LOW))))
    ]
    return sa.select(
        sa.func.count(),
        *(sa.func.sum(half) for half in halves),
        sa.func.count(table.c.sent),
        sa.func.count(table.c.targets),
        sa.func.sum(sa.case((sa.or_(table.c.void, table.c.sum.is_(None)), 1), else_=0)),
    )


# Made once: to make and to look up such a statement takes longer than the database takes to add up a span.
_SUMS: dict[tuple[str, ...], Any] = {
    bounds: _within(_sums(), *bounds) for bounds in ((), ("after",), ("upto",), ("after", "upto"))
}
_NEXT: dict[tuple[str, ...], Any] = {
    bounds: _within(sa.select(schema.ledger.c.key), *bounds)
    .order_by(schema.ledger.c.key)
    .offset(sa.bindparam("skipped", type_=sa.Integer))
    .limit(sa.literal_column("1"))
    for bounds in ((), ("after",))
}


class LedgerSpans:
    """One consumer's rows, for who compares them."""

    def __init__(self, database: Books, consumer: int) -> None:
        self._database = database
        self._consumer = consumer

    def cuts(self, each: int, most: int) -> list[Key]:
        """Keys that divide the rows into spans of `each`, into `most` spans where there are more rows."""
        table, count = schema.ledger, sa.select(sa.func.count())
        with self._database.reading() as connection:
            # All rows are counted by the pages they fill, those of one consumer by reading them.
            rows = connection.scalar(count.select_from(table)) or 0
            if rows > each * most:
                rows = connection.scalar(count.where(table.c.consumer == self._consumer)) or 0
        each = max(each, -(-rows // most))
        found: list[Key] = []
        while True:
            with self._database.reading() as connection:
                for _ in range(_TOGETHER):
                    given = self._given(Span(found[-1] if found else None))
                    key = connection.scalar(_NEXT[_bounds(given)], {**given, "skipped": each - 1})
                    if key is None:
                        return found
                    found.append(Key(bytes(key)))

    def sums(self, spans: Sequence[Span]) -> list[Sums]:
        """What the rows of each span add up to."""
        found: list[Sums] = []
        for start in range(0, len(spans), _TOGETHER):
            with self._database.reading() as connection:
                found += [self._sums(connection, span) for span in spans[start : start + _TOGETHER]]
        return found

    def _sums(self, connection: sa.Connection, span: Span) -> Sums:
        given = self._given(span)
        rows, *parts, sent, several, unknown = connection.execute(_SUMS[_bounds(given)], given).one()
        high, low, sent_high, sent_low = (int(part or 0) for part in parts)
        return Sums(
            rows,
            joined64(high, low),
            None if several else sent,
            joined64(sent_high, sent_low),
            int(unknown or 0),
        )

    def rows(self, span: Span, limit: int) -> Iterator[list[Row]]:
        """The rows of a span in key order, in pages."""
        table = schema.ledger
        after = span.after
        while True:
            given = self._given(Span(after, span.upto))
            statement = _within(sa.select(table), *_bounds(given)).order_by(table.c.key).limit(limit)
            with self._database.reading() as connection:
                page = [from_columns(values) for values in connection.execute(statement, given)]
            if page:
                yield page
                after = page[-1].key
            if len(page) < limit:
                return

    def _given(self, span: Span) -> dict[str, Any]:
        """The values of a statement that `_within` made."""
        bounds = {"after": span.after, "upto": span.upto}
        return {"consumer": self._consumer} | {
            name: bytes(bound) for name, bound in bounds.items() if bound is not None
        }


def _bounds(given: dict[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in ("after", "upto") if name in given)
