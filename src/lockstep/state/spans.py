"""The ledger, span by span: where spans are cut, what its rows of each add up to, and the rows themselves.

Each span is a read of its own along the primary key, so that no transaction lasts, however large the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from lockstep.canonical import wrap64
from lockstep.database import Database
from lockstep.state import schema
from lockstep.state.rows import Row, from_columns
from lockstep.values import Key, Span

_32: sa.ColumnElement[int] = sa.literal_column(
    "32"
)  # a parameter would be a bigint, by which PostgreSQL shifts nothing
_LOW = (1 << 32) - 1


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


class LedgerSpans:
    """One consumer's rows, for who compares them."""

    def __init__(self, database: Database, consumer: int) -> None:
        self._database = database
        self._consumer = consumer

    def cuts(self, each: int, most: int) -> list[Key]:
        """Keys that divide the rows into spans of `each`, into `most` spans where there are more rows."""
        table = schema.ledger
        with self._database.reading() as connection:
            count = connection.scalar(sa.select(sa.func.count()).where(table.c.consumer == self._consumer))
        each = max(each, -(-(count or 0) // most))
        found: list[Key] = []
        while True:
            statement = self._within(sa.select(table.c.key), Span(found[-1] if found else None))
            with self._database.reading() as connection:
                key = connection.scalar(statement.order_by(table.c.key).offset(each - 1).limit(1))
            if key is None:
                return found
            found.append(Key(bytes(key)))

    def sums(self, span: Span) -> Sums:
        """What the rows of a span add up to."""
        table = schema.ledger
        halves = [
            half
            for column in (table.c.sum, table.c.sent)
            for half in (column.op(">>")(_32), column.op("&")(_LOW))
        ]
        statement = self._within(
            sa.select(
                sa.func.count(),
                *(sa.func.sum(half) for half in halves),
                sa.func.count(table.c.sent),
                sa.func.count(table.c.targets),
                sa.func.sum(sa.case((sa.or_(table.c.void, table.c.sum.is_(None)), 1), else_=0)),
            ),
            span,
        )
        with self._database.reading() as connection:
            rows, *parts, sent, several, unknown = connection.execute(statement).one()
        high, low, sent_high, sent_low = (int(part or 0) for part in parts)
        return Sums(
            rows,
            wrap64((high << 32) + low),
            None if several else sent,
            wrap64((sent_high << 32) + sent_low),
            int(unknown or 0),
        )

    def rows(self, span: Span, limit: int) -> Iterator[list[Row]]:
        """The rows of a span in key order, in pages."""
        table = schema.ledger
        after = span.after
        while True:
            statement = self._within(sa.select(table), Span(after, span.upto))
            with self._database.reading() as connection:
                found = connection.execute(statement.order_by(table.c.key).limit(limit))
                page = [from_columns(values) for values in found]
            if page:
                yield page
                after = page[-1].key
            if len(page) < limit:
                return

    def _within(self, statement: Any, span: Span) -> Any:
        table = schema.ledger
        statement = statement.where(table.c.consumer == self._consumer)
        if span.after is not None:
            statement = statement.where(table.c.key > span.after)
        if span.upto is not None:
            statement = statement.where(table.c.key <= span.upto)
        return statement
