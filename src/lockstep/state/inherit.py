"""What a restored build inherits from the ledger of the build that its saved state was made of.

A row that was last written before the saved state began speaks of the restored record as well. What was
written since, or is in doubt, becomes a void row: those keys are to be hinted, and those removed since too.

So an heir's ledger speaks of that saved state, and of older ones, for as long as it lives: a row of a lower
version was not written since, whoever wrote it. It *covers* them, and the ledger before it may be forgotten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import msgspec
import sqlalchemy as sa

from lockstep.database import upsert
from lockstep.state import schema
from lockstep.state.books import Books
from lockstep.state.rows import COLUMNS
from lockstep.values import PARTITIONS, Key, Lane, Stream, Version, consumer_stream

_PAGE = 20_000


class Inheritance:
    """From one consumer's part of the ledger to another's, its *heir*, which knows nothing so far."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def floor(self, consumer: int) -> Version:
        """The lowest version that a write not yet settled can have: batches are settled in their order."""
        with self._database.reading() as connection:
            highest = [
                connection.scalar(sa.select(sa.func.max(table.c.version)).where(table.c.consumer == consumer))
                for table in (schema.ledger, schema.tombstones)
            ]
        return Version(max((one or 0) for one in highest) + 1)

    def positions(self, consumer: int) -> dict[tuple[Stream, Lane], int]:
        """How far a consumer has settled each stream."""
        table = schema.positions
        query = (
            sa.select(table.c.stream, table.c.lane, sa.func.max(table.c.offset))
            .where(table.c.consumer == consumer)
            .group_by(table.c.stream, table.c.lane)
        )
        with self._database.reading() as connection:
            return {(Stream(stream), Lane(lane)): int(at) for stream, lane, at in connection.execute(query)}

    def place(self, epoch: int, heir: int, positions: Mapping[tuple[Stream, Lane], int]) -> None:
        """The heir begins here, and at the beginning of what is addressed to it."""
        rows = [
            {"consumer": heir, "stream": stream, "lane": lane.value, "partition": number, "offset": at}
            for (stream, lane), at in positions.items()
            if not stream.startswith(consumer_stream(0)[:-1])
            for number in range(PARTITIONS)
        ]
        with self._database.under(epoch) as connection:
            connection.execute(schema.positions.delete().where(schema.positions.c.consumer == heir))
            if rows:
                connection.execute(schema.positions.insert(), rows)

    def rows(self, epoch: int, consumer: int, heir: int, since: Version) -> Iterator[list[Key]]:
        """Copies the rows, page by page; yields the keys of each that are in doubt, once it is durable. Safe
        to begin again."""
        table = schema.ledger
        doubtful = sa.or_(table.c.void, table.c.version >= since)
        same = [table.c[name] for name in COLUMNS if name not in ("consumer", "void")]
        copied = [sa.literal(heir), sa.case((doubtful, sa.true()), else_=sa.false()), *same]
        after: Key | None = None
        while True:
            page = [] if after is None else [table.c.key > after]
            ahead = sa.select(table.c.key).where(table.c.consumer == consumer, *page).order_by(table.c.key)
            with self._database.under(epoch) as connection:
                last = connection.scalar(ahead.offset(_PAGE - 1).limit(1))
                if last is not None:
                    page.append(table.c.key <= last)
                mine = sa.and_(table.c.consumer == consumer, *page)
                connection.execute(table.delete().where(table.c.consumer == heir, *page))
                connection.execute(
                    table.insert().from_select(
                        ["consumer", "void", *(column.name for column in same)],
                        sa.select(*copied).where(mine),
                    )
                )
                wanted = connection.scalars(sa.select(table.c.key).where(mine, doubtful)).all()
            yield [Key(bytes(key)) for key in wanted]
            if last is None:
                return
            after = Key(bytes(last))

    def claims(self, epoch: int, consumer: int, heir: int, generation: int) -> None:
        """Claims for the heir, in its generation, what the other one has claimed."""
        table = schema.claims
        with self._database.under(epoch) as connection:
            connection.execute(table.delete().where(table.c.consumer == heir))
            connection.execute(
                table.insert().from_select(
                    ["generation", "target_key", "consumer", "key"],
                    sa.select(
                        sa.literal(generation), table.c.target_key, sa.literal(heir), table.c.key
                    ).where(table.c.consumer == consumer),
                )
            )

    def buried(self, epoch: int, consumer: int, heir: int, since: Version) -> None:
        """Copies what is known of keys that were removed before: older saved states have their records."""
        table = schema.tombstones
        same = [table.c.key, table.c.version, table.c.at]
        before = sa.select(sa.literal(heir), *same).where(
            table.c.consumer == consumer, table.c.version < since
        )
        with self._database.under(epoch) as connection:
            connection.execute(table.delete().where(table.c.consumer == heir))
            names = ["consumer", *(column.name for column in same)]
            connection.execute(table.insert().from_select(names, before))

    def note_covered(self, epoch: int, consumer: int, snapshots: Collection[int]) -> None:
        """The ledger of a consumer covers these saved states from now on."""
        row = {"name": covered_by(consumer), "value": msgspec.json.encode(sorted(snapshots)).decode()}
        with self._database.under(epoch) as connection:
            upsert(connection, schema.meta, [row])

    def covered(self, consumer: int) -> frozenset[int]:
        """The saved states, by number, that an heir's ledger covers. Those of its own build are not named."""
        noted = self._database.noted(covered_by(consumer))
        return frozenset() if noted is None else msgspec.json.decode(noted, type=frozenset[int])

    def removed(self, consumer: int, since: Version) -> Iterator[list[Key]]:
        """Keys whose record was removed since, in pages."""
        table = schema.tombstones
        query = sa.select(table.c.key).where(table.c.consumer == consumer, table.c.version >= since)
        after: Key | None = None
        while True:
            page = query if after is None else query.where(table.c.key > after)
            with self._database.reading() as connection:
                found = connection.scalars(page.order_by(table.c.key).limit(_PAGE)).all()
            if found:
                yield [Key(bytes(key)) for key in found]
                after = Key(bytes(found[-1]))
            if len(found) < _PAGE:
                return


def covered_by(consumer: int) -> str:
    """The name under which it is noted what a consumer's ledger covers."""
    return f"covered:{consumer}"
