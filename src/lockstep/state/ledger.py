"""The ledger: what Lockstep last made true. Also intents, claims and positions, which commit with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from lockstep.errors import LeaseLost
from lockstep.state import schema
from lockstep.state.database import Database, keep, upsert
from lockstep.values import PARTITIONS, Fingerprint, Key, Lane, Stream, Version, source_stream

_encode = msgspec.msgpack.Encoder().encode
_CHUNK = 900
_PAGE = 5_000


class Owned(Struct, frozen=True, array_like=True):
    """A target key that a source key owns, and the fingerprints sent and held; None is unknown."""

    key: Key
    sent: Fingerprint | None = None
    held: Fingerprint | None = None


class Row(Struct, frozen=True):
    """What the ledger says of one source key. See `state.schema.ledger`."""

    key: Key
    sent: int | None = None
    held: int | None = None
    targets: tuple[Owned, ...] | None = None
    sum: int | None = None
    version: Version = Version(0)
    void: bool = False
    due: float | None = None
    hint: bytes | None = None


def owns(row: Row, default: Callable[[Key], Key]) -> tuple[Owned, ...]:
    """The target keys of a row. One in short form has at most one, which follows from the source key."""
    if row.targets is not None:
        return row.targets
    if row.sent is None and not row.void:
        return ()
    sent = None if row.sent is None else Fingerprint(row.sent)
    return (Owned(default(row.key), sent, None if row.held is None else Fingerprint(row.held)),)


class Wrote(Struct, frozen=True, array_like=True):
    """The last hint that wrote: why, the source's position, when."""

    reason: str
    position: str | None
    at: float


class Failure(NamedTuple):
    """Why a key is stuck. `claim` is the target key it waits for."""

    key: Key
    stage: str
    error: str
    remedy: str
    claim: Key | None = None
    retriable: bool = True


class Settlement(NamedTuple):
    """Everything that one batch makes true, in one transaction."""

    consumer: int
    version: Version
    rows: Sequence[Row]
    removed: Sequence[Key]
    failures: Sequence[Failure]
    cleared: Sequence[Key]
    released: Sequence[tuple[Key, Key]]  # target key, and the source key that gives it up
    positions: Mapping[tuple[Stream, Lane], Mapping[int, int]]
    backfilled: int


class Intent(NamedTuple):
    """What is about to be written for one source key: target keys to put, and to remove."""

    key: Key
    puts: Sequence[Key]
    removes: Sequence[Key]


class Claimed(NamedTuple):
    """A target key that another source key owns."""

    target_key: Key
    consumer: int
    key: Key


_targets = msgspec.msgpack.Decoder(tuple[Owned, ...]).decode
_intent = msgspec.msgpack.Decoder(list[tuple[Key, list[Key]]]).decode


def decode_wrote(body: bytes | None) -> Wrote | None:
    return None if body is None else msgspec.msgpack.decode(body, type=Wrote)


def encode_wrote(wrote: Wrote) -> bytes:
    return _encode(wrote)


class Ledger:
    """One store's ledger. Every write names the epoch it is made under, and fails under an older one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rows(self, consumer: int, keys: Sequence[Key]) -> dict[Key, Row]:
        """What the ledger says of these keys; a key it does not know is not in the answer."""
        table = schema.ledger
        found: dict[Key, Row] = {}
        statement = sa.select(table).where(
            table.c.consumer == consumer, table.c.key.in_(sa.bindparam("keys", expanding=True))
        )
        with self._database.reading() as connection:
            for start in range(0, len(keys), _CHUNK):
                chunk = list(keys[start : start + _CHUNK])
                for values in connection.execute(statement, {"keys": chunk}):
                    row = _row(values)
                    found[row.key] = row
        return found

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
                _row(values) for values in connection.execute(statement.order_by(table.c.key).limit(limit))
            ]

    def count(self, consumer: int) -> int:
        """How many keys it has a record for."""
        table = schema.ledger
        statement = sa.select(sa.func.count()).where(table.c.consumer == consumer, table.c.sent.is_not(None))
        with self._database.reading() as connection:
            return connection.scalar(statement) or 0

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
    ) -> dict[Key, Claimed]:
        """Makes a batch's list of source and target keys durable, before it is sent.

        With `claiming`, each target key to be put is claimed in the same transaction. A source key that
        wants one which another owns comes back with its owner: it claims nothing, and may only remove.
        """
        refused: dict[Key, Claimed] = {}
        with self._database.writing() as connection:
            _fence(connection, epoch)
            if claiming:
                for intent in intents:
                    taken = _claim(connection, generation, consumer, intent)
                    if taken is not None:
                        refused[intent.key] = taken
            body = [
                (one.key, (*(() if one.key in refused else one.puts), *one.removes))
                for one in intents
                if one.key not in refused or one.removes
            ]
            if body:
                connection.execute(
                    schema.intents.insert(),
                    {"consumer": consumer, "version": version, "body": _encode(body), "at": time.time()},
                )
        return refused

    def intended(self, consumer: int) -> list[Key]:
        """The source keys of every intent that stands."""
        with self._database.reading() as connection:
            bodies = connection.scalars(
                sa.select(schema.intents.c.body).where(schema.intents.c.consumer == consumer)
            ).all()
        return list(dict.fromkeys(key for body in bodies for key, _ in _intent(body)))

    def void_intents(self, epoch: int, consumer: int, default: Callable[[Key], Key]) -> None:
        """Turns the keys of every intent found into void rows. They must be hinted, before or again.

        `default` gives the target key of a row in short form.
        """
        with self._database.writing() as connection:
            _fence(connection, epoch)
            found = connection.execute(
                sa.select(schema.intents).where(schema.intents.c.consumer == consumer)
            ).all()
            touched: dict[Key, set[Key]] = {}
            for intent in found:
                for key, target_keys in _intent(intent.body):
                    touched.setdefault(key, set()).update(target_keys)
            self._void(connection, consumer, touched, default)
            connection.execute(schema.intents.delete().where(schema.intents.c.consumer == consumer))

    def found(
        self, epoch: int, consumer: int, owned: Mapping[Key, Iterable[Key]], default: Callable[[Key], Key]
    ) -> None:
        """Enters target records that the ledger did not know, as void rows. They must be hinted."""
        with self._database.writing() as connection:
            _fence(connection, epoch)
            self._void(connection, consumer, owned, default)

    def _void(
        self,
        connection: sa.Connection,
        consumer: int,
        touched: Mapping[Key, Iterable[Key]],
        default: Callable[[Key], Key],
    ) -> None:
        known = self.rows(consumer, list(touched))
        voided = []
        for key, target_keys in touched.items():
            row = known.get(key, Row(key))
            targets = {owned.key: owned for owned in owns(row, default)}
            for target_key in target_keys:
                targets.setdefault(target_key, Owned(target_key))
            voided.append(
                _values(consumer, msgspec.structs.replace(row, void=True, targets=tuple(targets.values())))
            )
        upsert(connection, schema.ledger, voided)

    def claim_standing(
        self, epoch: int, generation: int, consumer: int, default: Callable[[Key], Key]
    ) -> None:
        """Claims what a consumer owns already, for one whose target keys needed no claims until now."""
        after: Key | None = None
        while page := self.page(consumer, after, _PAGE):
            rows = [
                {"generation": generation, "target_key": owned.key, "consumer": consumer, "key": row.key}
                for row in page
                for owned in owns(row, default)
            ]
            with self._database.writing() as connection:
                _fence(connection, epoch)
                keep(connection, schema.claims, rows)
            after = page[-1].key

    # Settling

    def settle(self, epoch: int, generation: int, done: Settlement) -> list[tuple[int, Key]]:
        """Ledger, positions, stuck keys, claims and intent of a batch, in one transaction.

        Returns the (consumer, source key) pairs that waited for a claim released here: hint them.
        Raises LeaseLost under an older epoch.
        """
        now = time.time()
        ledger = schema.ledger
        with self._database.writing() as connection:
            _fence(connection, epoch)
            upsert(connection, ledger, [_values(done.consumer, row) for row in done.rows])
            if done.removed:
                self._remove(connection, done, now)
            if done.cleared:
                _delete_keys(connection, schema.stuck, done.consumer, done.cleared)
            _record_failures(connection, done, now)
            waiting = _release(connection, generation, done.consumer, done.released)
            upsert(connection, schema.positions, list(_position_rows(done)))
            if done.backfilled:
                connection.execute(
                    schema.backfills.update()
                    .where(
                        schema.backfills.c.consumer == done.consumer,
                        schema.backfills.c.finished_at.is_(None),
                    )
                    .values(done=schema.backfills.c.done + done.backfilled)
                )
            connection.execute(
                schema.intents.delete().where(
                    schema.intents.c.consumer == done.consumer, schema.intents.c.version == done.version
                )
            )
        return waiting

    def _remove(self, connection: sa.Connection, done: Settlement, now: float) -> None:
        _delete_keys(connection, schema.ledger, done.consumer, done.removed)
        upsert(
            connection,
            schema.tombstones,
            [
                {"consumer": done.consumer, "key": key, "version": done.version, "at": now}
                for key in done.removed
            ],
        )

    def positions(self, consumer: int) -> dict[tuple[Stream, Lane], dict[int, int]]:
        """How far a consumer has settled, per stream, lane and partition."""
        table = schema.positions
        found: dict[tuple[Stream, Lane], dict[int, int]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(sa.select(table).where(table.c.consumer == consumer)):
                found.setdefault((Stream(row.stream), Lane(row.lane)), {})[row.partition] = row.offset
        return found

    def place(
        self, epoch: int, consumer: int, positions: Mapping[tuple[Stream, Lane], Mapping[int, int]]
    ) -> None:
        """Sets a consumer's positions without settling anything: where a new one begins."""
        blank = Settlement(consumer, Version(0), (), (), (), (), (), positions, 0)
        with self._database.writing() as connection:
            _fence(connection, epoch)
            upsert(connection, schema.positions, list(_position_rows(blank)))

    def begin_at(self, epoch: int, consumer: int, source: str, offset: int) -> None:
        """Places a new consumer: hints of its source up to an offset are not its business."""
        place = dict.fromkeys(range(PARTITIONS), offset)
        self.place(epoch, consumer, {(source_stream(source), lane): place for lane in Lane})

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
            with self._database.writing() as connection:
                _fence(connection, epoch)
                for start in range(0, len(keys), _CHUNK):
                    connection.execute(
                        table.update()
                        .where(table.c.consumer == consumer, table.c.key.in_(keys[start : start + _CHUNK]))
                        .values(due=now + 600)  # should the hint be lost, it comes again
                    )
        return keys


def _fence(connection: sa.Connection, epoch: int) -> None:
    newest = connection.scalar(sa.select(sa.func.max(schema.leases.c.epoch)))
    if newest is not None and newest > epoch:
        raise LeaseLost(
            f"epoch {epoch} is over: {newest} was drawn since",
            "Nothing is lost. Only one `lockstep run` may work a state store; end the other one.",
        )


def _row(values: Any) -> Row:
    return Row(
        values.key,
        values.sent,
        values.held,
        None if values.targets is None else _targets(values.targets),
        values.sum,
        values.version,
        bool(values.void),
        values.due,
        values.hint,
    )


def _values(consumer: int, row: Row) -> dict[str, Any]:
    return {
        "consumer": consumer,
        "key": row.key,
        "sent": row.sent,
        "held": row.held,
        "targets": None if row.targets is None else _encode(row.targets),
        "sum": row.sum,
        "version": row.version,
        "void": row.void,
        "due": row.due,
        "hint": row.hint,
    }


def _position_rows(done: Settlement) -> Iterable[dict[str, Any]]:
    for (stream, lane), partitions in done.positions.items():
        for partition, offset in partitions.items():
            yield {
                "consumer": done.consumer,
                "stream": stream,
                "lane": lane.value,
                "partition": partition,
                "offset": offset,
            }


def _delete_keys(connection: sa.Connection, table: sa.Table, consumer: int, keys: Sequence[Key]) -> None:
    for start in range(0, len(keys), _CHUNK):
        connection.execute(
            table.delete().where(table.c.consumer == consumer, table.c.key.in_(keys[start : start + _CHUNK]))
        )


def _claim(connection: sa.Connection, generation: int, consumer: int, intent: Intent) -> Claimed | None:
    """Claims what one source key is about to put: all of it, or nothing and who owns the first taken."""
    table = schema.claims
    free: list[Key] = []
    for target_key in intent.puts:
        owner = connection.execute(
            sa.select(table).where(table.c.generation == generation, table.c.target_key == target_key)
        ).first()
        if owner is None:
            free.append(target_key)
        elif (owner.consumer, owner.key) != (consumer, intent.key):
            return Claimed(target_key, owner.consumer, owner.key)
    if free:
        connection.execute(
            table.insert(),
            [
                {"generation": generation, "target_key": one, "consumer": consumer, "key": intent.key}
                for one in free
            ],
        )
    return None


def _release(
    connection: sa.Connection, generation: int, consumer: int, released: Sequence[tuple[Key, Key]]
) -> list[tuple[int, Key]]:
    waiting: list[tuple[int, Key]] = []
    for target_key, key in released:
        connection.execute(
            schema.claims.delete().where(
                schema.claims.c.generation == generation,
                schema.claims.c.target_key == target_key,
                schema.claims.c.consumer == consumer,
                schema.claims.c.key == key,
            )
        )
        for row in connection.execute(
            sa.select(schema.stuck.c.consumer, schema.stuck.c.key)
            .join(schema.consumers, schema.consumers.c.id == schema.stuck.c.consumer)
            .where(schema.stuck.c.claim == target_key, schema.consumers.c.generation == generation)
        ):
            waiting.append((row.consumer, row.key))
    return waiting


_FIRST_RETRY, _LONGEST_RETRY = 1.0, 300.0


def _record_failures(connection: sa.Connection, done: Settlement, now: float) -> None:
    table = schema.stuck
    for failure in done.failures:
        known = connection.execute(
            sa.select(table.c.attempts, table.c.first_at).where(
                table.c.consumer == done.consumer, table.c.key == failure.key
            )
        ).first()
        attempts = (known.attempts if known else 0) + 1
        wait = min(_FIRST_RETRY * 2 ** min(attempts - 1, 20), _LONGEST_RETRY)
        upsert(
            connection,
            table,
            [
                {
                    "consumer": done.consumer,
                    "key": failure.key,
                    "stage": failure.stage,
                    "error": failure.error,
                    "remedy": failure.remedy,
                    "claim": failure.claim,
                    "attempts": attempts,
                    "first_at": known.first_at if known else now,
                    "last_at": now,
                    "retry_at": now + wait if failure.retriable else None,
                }
            ],
        )
