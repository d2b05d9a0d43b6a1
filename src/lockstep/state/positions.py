"""Positions: how far each consumer has settled what it reads. A batch's commit with its ledger rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from lockstep.database import upsert
from lockstep.state import schema
from lockstep.state.books import Books
from lockstep.values import PARTITIONS, Lane, Stream, source_stream

Offsets = Mapping[tuple[Stream, Lane], Mapping[int, int]]
"""Per stream and lane: the offset up to which each partition is settled."""


class Positions:
    """One store's positions."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def of(self, consumer: int) -> dict[tuple[Stream, Lane], dict[int, int]]:
        """How far a consumer has settled, per stream, lane and partition."""
        table = schema.positions
        found: dict[tuple[Stream, Lane], dict[int, int]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(sa.select(table).where(table.c.consumer == consumer)):
                found.setdefault((Stream(row.stream), Lane(row.lane)), {})[row.partition] = row.offset
        return found

    def place(self, epoch: int, consumer: int, positions: Offsets) -> None:
        """Sets a consumer's positions without settling anything: where a new one begins."""
        with self._database.under(epoch) as connection:
            upsert(connection, schema.positions, position_rows(consumer, positions))

    def begin_at(self, epoch: int, consumer: int, source: str, offset: int) -> None:
        """Places a new consumer: hints of its source up to an offset are not its business."""
        place = dict.fromkeys(range(PARTITIONS), offset)
        self.place(epoch, consumer, {(source_stream(source), lane): place for lane in Lane})

    def forget(self, epoch: int, consumer: int) -> None:
        """A consumer's positions are of a journal that is not there any more."""
        with self._database.under(epoch) as connection:
            connection.execute(schema.positions.delete().where(schema.positions.c.consumer == consumer))


def settled_to(positions: Offsets, stream: Stream, lane: Lane) -> int:
    """The offset up to which all is settled. The journal is read in one order, so nothing is left before the
    newest, whatever partition that lies in."""
    return max(positions.get((stream, lane), {}).values(), default=0)


def position_rows(consumer: int, positions: Offsets) -> list[dict[str, Any]]:
    """Positions as rows of their table."""
    return [
        {
            "consumer": consumer,
            "stream": stream,
            "lane": lane.value,
            "partition": partition,
            "offset": offset,
        }
        for (stream, lane), partitions in positions.items()
        for partition, offset in partitions.items()
    ]
