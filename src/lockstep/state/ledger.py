"""The ledger: what Lockstep last made true. Also intents and claims, which commit with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter

import sqlalchemy as sa

from lockstep.database import among, upsert, upsert_rows
from lockstep.state import counted, schema
from lockstep.state.books import Books, Unfenced
from lockstep.state.counted import FREE, Reserved, Window
from lockstep.state.inherit import covered_by
from lockstep.state.intents import noted, touched, void
from lockstep.state.lookup import rows_of
from lockstep.state.places import evenly
from lockstep.state.positions import position_rows
from lockstep.state.rows import (
    COLUMNS,
    Claimed,
    Intent,
    Row,
    Settlement,
    from_columns,
    to_columns,
)
from lockstep.state.settling import (
    came_late,
    claim,
    delete_keys,
    make_due,
    owners_of,
    record_failures,
    release,
    remove,
    stand,
)
from lockstep.values import Key, Version

_PAGE = 5_000

Reserve = Callable[[Window], Reserved]
"""Judges a batch by what was counted lately, within the transaction of its intent: what it counts as."""

_RUN = 5
"""Rows after each place of a sample."""


class Ledger:
    """One store's ledger. Every write names the epoch it is made under, and fails under an older one."""

    def __init__(self, database: Books) -> None:
        self._database = database

    def rows(self, consumer: int, keys: Sequence[Key]) -> dict[Key, Row]:
        """What the ledger says of these keys; a key it does not know is not in the answer."""
        with self._database.reading() as connection:
            return rows_of(connection, consumer, keys)

    def keys(self, consumer: int, after: Key | None, upto: Key | None, limit: int) -> list[Key]:
        """The keys it knows with after < key <= upto, in order."""
        column = schema.ledger.c.key
        statement = sa.select(column).where(schema.ledger.c.consumer == consumer)
        if after is not None:
            statement = statement.where(column > after)
        if upto is not None:
            statement = statement.where(column <= upto)
        with self._database.reading() as connection:
            return list(connection.scalars(statement.order_by(column).limit(limit)))

    def page(self, consumer: int, after: Key | None, limit: int) -> list[Row]:
        """The next rows after a key, in key order."""
        table = schema.ledger
        statement = sa.select(table).where(table.c.consumer == consumer)
        if after is not None:
            statement = statement.where(table.c.key > after)
        with self._database.reading() as connection:
            return [
                from_columns(values)
                for values in connection.execute(statement.order_by(table.c.key).limit(limit))
            ]

    def spread(self, consumer: int, limit: int) -> list[Row]:
        """About so many rows, from all over the keys: a few after each of evenly spaced places."""
        column = schema.ledger.c.key
        # Apart: SQLite finds each by the index, and reads all rows for both in one.
        ends = [
            sa.select(end(column)).where(schema.ledger.c.consumer == consumer).scalar_subquery()
            for end in (sa.func.min, sa.func.max)
        ]
        statement = sa.select(*ends)
        with self._database.reading() as connection:
            first, last = connection.execute(statement).one()
        if first is None:
            return []
        found = {row.key: row for row in self.page(consumer, None, _RUN)}
        for place in evenly(first, last, limit // _RUN):
            found.update((row.key, row) for row in self.page(consumer, place, _RUN))
        return list(found.values())

    def count(self, consumer: int) -> int:
        """How many keys it has a record for."""
        table = schema.ledger
        statement = sa.select(sa.func.count()).where(table.c.consumer == consumer, table.c.sent.is_not(None))
        with self._database.reading() as connection:
            return connection.scalar(statement) or 0

    def owed(self, generation: int) -> int:
        """How many records a target should hold, as far as the ledger knows: of all its mappings, those that
        are being removed left out. A key with several records counts as one."""
        with self._database.reading() as connection:
            return counted.owed(connection, generation)

    # Intents

    def intend(
        self,
        epoch: int,
        generation: int,
        consumer: int,
        version: Version,
        intents: Sequence[Intent],
        *,
        claiming: bool,
        reserve: Reserve | None = None,
        window: float = 3600.0,
    ) -> dict[Key, Claimed]:
        """Makes a batch's list of source and target keys durable, before it is sent.

        `reserve` says what it counts as, from what was counted in `window` seconds; what it raises leaves
        nothing behind. With `claiming`, each target key to be put is claimed in the same transaction. A
        source key that wants one which another owns comes back with its owner: it claims nothing, and may
        only remove.
        """
        refused: dict[Key, Claimed] = {}
        with self._database.under(epoch) as connection:
            reserved = FREE
            if reserve is not None:
                reserved = reserve(counted.window(connection, generation, consumer, window))
            if claiming:
                refused = claim(connection, generation, consumer, intents)
            noted(connection, consumer, version, intents, refused, reserved)
        return refused

    def intended(self, consumer: int) -> list[Key]:
        """The source keys of every intent that stands."""
        with self._database.reading() as connection:
            return list(touched(connection, consumer))

    def void_intents(self, epoch: int, consumer: int, default: Callable[[Key], Key]) -> None:
        """Turns the keys of every intent found into void rows. They must be hinted, before or again.

        `default` gives the target key of a row in short form.
        """
        with self._database.under(epoch) as connection:
            found = touched(connection, consumer)
            void(connection, consumer, self.rows(consumer, list(found)), found, default)
            connection.execute(schema.intents.delete().where(schema.intents.c.consumer == consumer))

    def adopt(
        self,
        epoch: int,
        generation: int,
        consumer: int,
        found: Mapping[Key, Iterable[Key]],
        default: Callable[[Key], Key],
        *,
        claiming: bool,
    ) -> None:
        """Enters target keys that were found in the target, by source key, as void rows: hint them."""
        with self._database.under(epoch) as connection:
            void(connection, consumer, self.rows(consumer, list(found)), found, default)
            if claiming:
                claim(
                    connection, generation, consumer, [Intent(key, list(of), ()) for key, of in found.items()]
                )

    def claim_standing(
        self, epoch: int, generation: int, consumer: int, default: Callable[[Key], Key]
    ) -> None:
        """Claims what a consumer owns now, for one whose target keys needed no claims until now.

        Claims it made before that are stale, and dropped; but for those of an intent that a crash left: the
        target may hold what the ledger does not know yet. What is another's by now is void in its ledger.
        """
        page = self.page(consumer, None, _PAGE)
        open_keys = self.intended(consumer)
        claims = schema.claims
        with self._database.under(epoch) as connection:
            connection.execute(
                claims.delete().where(claims.c.consumer == consumer, claims.c.key.not_in(open_keys))
            )
            stand(connection, generation, consumer, page, default)
        while page and (page := self.page(consumer, page[-1].key, _PAGE)):
            with self._database.under(epoch) as connection:
                stand(connection, generation, consumer, page, default)

    def claimed(self, generation: int, target_keys: Iterable[Key]) -> dict[Key, Claimed]:
        """Who owns these target keys, of those that are claimed by a mapping at work."""
        with self._database.reading() as connection:
            owners, resting = owners_of(connection, generation, target_keys)
        return {key: owner for key, owner in owners.items() if owner.consumer not in resting}

    # Settling

    def settle(self, epoch: int, generation: int, done: Settlement) -> list[tuple[int, Key]]:
        """Ledger, positions, stuck keys, claims and intent of a batch, in one transaction.

        Returns the (consumer, source key) pairs that waited for a claim released here: hint them.
        Raises LeaseLost under an older epoch.
        """
        now = time.time()
        ledger = schema.ledger
        with self._database.under(epoch) as connection:
            in_order = sorted(done.rows, key=attrgetter("key"))  # neighbours lie in one page of the table
            upsert_rows(connection, ledger, COLUMNS, [to_columns(done.consumer, row) for row in in_order])
            if done.came:
                counted.came_back(connection, generation, done.consumer, done.came)
            if done.removed:
                remove(connection, done, now)
            if done.cleared:
                delete_keys(connection, schema.stuck, done.consumer, done.cleared)
            record_failures(connection, done, now)
            waiting = release(connection, generation, done.consumer, done.released)
            waiting += came_late(connection, generation, done)
            make_due(connection, waiting, now)
            upsert(connection, schema.positions, position_rows(done.consumer, done.positions))
            if done.backfilled:
                connection.execute(
                    schema.backfills.update()
                    .where(
                        schema.backfills.c.consumer == done.consumer,
                        schema.backfills.c.finished_at.is_(None),
                    )
                    .values(done=schema.backfills.c.done + done.backfilled)
                )
            counted.settled(connection, generation, done.consumer, done.version)
        return list(dict.fromkeys(waiting))

    def forget(self, consumer: int) -> int:
        """Forgets what is kept of a consumer that never comes back, some rows at a time; how many."""
        gone = 0
        for table in (schema.ledger, schema.tombstones, schema.stuck, schema.check_keys):
            some = sa.select(table.c.key).where(table.c.consumer == consumer).limit(_PAGE)
            statement = table.delete().where(table.c.consumer == consumer, table.c.key.in_(some))
            count = _PAGE
            while count == _PAGE:
                with self._database.unfenced(Unfenced.DEAD) as connection:
                    count = connection.execute(statement).rowcount
                gone += count
        for rest in (schema.claims, schema.positions, schema.intents, schema.checks):
            with self._database.unfenced(Unfenced.DEAD) as connection:
                connection.execute(rest.delete().where(rest.c.consumer == consumer))
        with self._database.unfenced(Unfenced.DEAD) as connection:
            connection.execute(schema.meta.delete().where(schema.meta.c.name == covered_by(consumer)))
        return gone

    def forget_tombstones(self, before: float) -> None:
        """Forgets removed keys that no snapshot can bring back."""
        with self._database.unfenced(Unfenced.DEAD) as connection:
            connection.execute(schema.tombstones.delete().where(schema.tombstones.c.at < before))

    def due(self, epoch: int, consumer: int, now: float, limit: int) -> list[Key]:
        """Keys whose date has come. Each is named once: hint them."""
        table = schema.ledger
        with self._database.reading() as connection:
            keys = list(
                connection.scalars(
                    sa.select(table.c.key)
                    .where(table.c.consumer == consumer, table.c.due <= now)
                    .order_by(table.c.due)
                    .limit(limit)
                )
            )
        if keys:
            with self._database.under(epoch) as connection:
                for some in among(connection, table.c.key, keys):
                    connection.execute(
                        table.update()
                        .where(table.c.consumer == consumer, some)
                        .values(due=now + 600)  # should the hint be lost, it comes again
                    )
        return keys
