"""The state store of one pipeline: two files in a directory that only its owner can read.

.lockstep/journal.db   hints
.lockstep/ledger.db    everything else
.lockstep/run.lock     held by the one `run`; says who
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from msgspec import Struct

from lockstep.errors import StateError, StateInUse
from lockstep.journal.sql import SqlJournal
from lockstep.state import schema
from lockstep.state.database import Database, upsert
from lockstep.state.ledger import Ledger
from lockstep.values import PARTITIONS, Key, Lane, Stream


class Consumer(Struct, frozen=True):
    """A mapping following one generation of its target."""

    id: int
    mapping: str
    source: str
    version: str
    recipe: str
    state: str
    reason: str | None
    generation: int
    number: int
    target: str
    marker: str
    identity: str | None


class Stuck(Struct, frozen=True):
    """A key whose derivation or write failed, and why."""

    mapping: str
    key: Key
    stage: str
    error: str
    remedy: str
    claim: Key | None
    attempts: int
    first_at: float
    last_at: float
    retry_at: float | None


class Backfill(Struct, frozen=True):
    """A pass over all keys of a root."""

    id: int
    consumer: int
    reason: str
    total: int
    done: int
    started_at: float
    finished_at: float | None


class Run(Struct, frozen=True):
    """One `lockstep run`, and what it showed of itself when last seen."""

    id: int
    holder: str
    epoch: int
    started_at: float
    seen_at: float
    ended_at: float | None
    outcome: str | None
    gauges: dict[str, Any]


class Store:
    """Opens, or makes, the state store in a directory.

    Raises StateError when it cannot be used.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            directory.chmod(0o700)
        except OSError as error:
            raise StateError(
                f"the state directory {directory} cannot be made: {error.strerror}",
                "Name another with --state DIR, or let this user write there.",
            ) from error
        self.journal = SqlJournal(directory / "journal.db")
        self._database = Database(directory / "ledger.db", schema.migrations)
        self.ledger = Ledger(self._database)
        self._lock: int | None = None
        with self._database.writing() as connection:
            if (
                connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.name == "identity"))
                is None
            ):
                connection.execute(
                    schema.meta.insert(),
                    [
                        {"name": "identity", "value": uuid4().hex},
                        {"name": "partitions", "value": str(PARTITIONS)},
                    ],
                )

    @property
    def identity(self) -> str:
        with self._database.reading() as connection:
            return str(
                connection.scalar(sa.select(schema.meta.c.value).where(schema.meta.c.name == "identity"))
            )

    def close(self) -> None:
        self.journal.close()
        self._database.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    # The one run

    def lock(self) -> None:
        """Takes the right to run. The kernel gives it back when the process dies, however it dies.

        Raises StateInUse that says who holds it.
        """
        handle = os.open(self.directory / "run.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 400).decode(errors="replace").strip() or "another process"
            os.close(handle)
            raise StateInUse(
                f"{self.directory} is in use by {holder}",
                "Stop that run first, or work with it: `lockstep status`.",
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, whoami().encode(), 0)
        self._lock = handle

    def running(self) -> str | None:
        """Who runs now, None when nobody does."""
        path = self.directory / "run.lock"
        if self._lock is not None or not path.exists():
            return None
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(400).decode(errors="replace").strip() or "another process"
            return None

    def draw_epoch(self, at_least: int = 0) -> int:
        """A new epoch over all partitions, above every earlier one and above `at_least`."""
        table = schema.leases
        with self._database.writing() as connection:
            newest = connection.scalar(sa.select(sa.func.max(table.c.epoch))) or 0
            epoch = max(newest, at_least) + 1
            connection.execute(table.delete())
            connection.execute(
                table.insert(),
                [
                    {"partition": number, "epoch": epoch, "holder": whoami(), "until": 0.0}
                    for number in range(PARTITIONS)
                ],
            )
        return epoch

    # Generations and consumers

    def consumers(self, *states: str) -> list[Consumer]:
        """Every consumer of a live generation; with `states`, those in one of them."""
        consumer, generation = schema.consumers, schema.generations
        statement = (
            sa.select(
                consumer.c.id,
                consumer.c.mapping,
                consumer.c.source,
                consumer.c.version,
                consumer.c.recipe,
                consumer.c.state,
                consumer.c.reason,
                consumer.c.generation,
                generation.c.number,
                generation.c.target,
                generation.c.marker,
                generation.c.identity,
            )
            .join(generation, generation.c.id == consumer.c.generation)
            .where(generation.c.state == "live")
            .order_by(consumer.c.id)
        )
        if states:
            statement = statement.where(consumer.c.state.in_(states))
        with self._database.reading() as connection:
            return [Consumer(**row._mapping) for row in connection.execute(statement)]

    def consumer(self, mapping: str) -> Consumer | None:
        """The consumer of a mapping's live generation."""
        found = [consumer for consumer in self.consumers() if consumer.mapping == mapping]
        return found[-1] if found else None

    def generation(self, target: str) -> tuple[int, int, str, str | None] | None:
        """The live generation of a target: (id, number, marker, identity)."""
        table = schema.generations
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(table.c.id, table.c.number, table.c.marker, table.c.identity).where(
                    table.c.target == target, table.c.state == "live"
                )
            ).first()
        return (row.id, row.number, row.marker, row.identity) if row else None

    def begin_generation(self, target: str) -> tuple[int, int, str]:
        """A new live generation of a target, in place of an older one: (id, number, marker)."""
        table = schema.generations
        with self._database.writing() as connection:
            number = (
                connection.scalar(sa.select(sa.func.max(table.c.number)).where(table.c.target == target)) or 0
            ) + 1
            connection.execute(
                table.update()
                .where(table.c.target == target, table.c.state == "live")
                .values(state="retired")
            )
            marker = uuid4().hex
            made = connection.execute(
                table.insert(),
                {
                    "target": target,
                    "number": number,
                    "state": "live",
                    "marker": marker,
                    "created_at": time.time(),
                },
            )
            assert made.inserted_primary_key is not None
            return made.inserted_primary_key[0], number, marker

    def know_identity(self, generation: int, identity: str) -> None:
        """Records which physical target a generation is."""
        table = schema.generations
        with self._database.writing() as connection:
            connection.execute(table.update().where(table.c.id == generation).values(identity=identity))

    def begin_consumer(self, mapping: str, generation: int, source: str, version: str, recipe: str) -> int:
        """A new consumer; its id. It has no positions yet."""
        with self._database.writing() as connection:
            made = connection.execute(
                schema.consumers.insert(),
                {
                    "mapping": mapping,
                    "generation": generation,
                    "source": source,
                    "version": version,
                    "recipe": recipe,
                    "state": "running",
                    "created_at": time.time(),
                },
            )
            assert made.inserted_primary_key is not None
            return int(made.inserted_primary_key[0])

    def set_consumer(self, consumer: int, **values: Any) -> None:
        """Changes `state`, `reason`, `version` or `recipe` of a consumer."""
        table = schema.consumers
        with self._database.writing() as connection:
            connection.execute(table.update().where(table.c.id == consumer).values(**values))

    def claims(self, consumer: int) -> bool:
        """Whether everything that a consumer owns is claimed."""
        table = schema.meta
        with self._database.reading() as connection:
            return (
                connection.scalar(sa.select(table.c.value).where(table.c.name == f"claims:{consumer}")) == "1"
            )

    def note_claims(self, consumer: int, claims: bool) -> None:
        """Records whether a consumer claims its target keys."""
        with self._database.writing() as connection:
            upsert(connection, schema.meta, [{"name": f"claims:{consumer}", "value": str(int(claims))}])

    # Stuck keys

    def stuck(self, consumer: int, keys: Sequence[Key] | None = None, limit: int = 1000) -> list[Stuck]:
        """A consumer's stuck keys, the longest stuck first."""
        table = schema.stuck
        statement = (
            sa.select(table, schema.consumers.c.mapping)
            .join(schema.consumers, schema.consumers.c.id == table.c.consumer)
            .where(table.c.consumer == consumer)
            .order_by(table.c.first_at)
            .limit(limit)
        )
        if keys is not None:
            statement = statement.where(table.c.key.in_(list(keys)))
        with self._database.reading() as connection:
            return [
                Stuck(
                    row.mapping,
                    row.key,
                    row.stage,
                    row.error,
                    row.remedy,
                    row.claim,
                    row.attempts,
                    row.first_at,
                    row.last_at,
                    row.retry_at,
                )
                for row in connection.execute(statement)
            ]

    def stuck_count(self, consumer: int) -> int:
        table = schema.stuck
        with self._database.reading() as connection:
            return connection.scalar(sa.select(sa.func.count()).where(table.c.consumer == consumer)) or 0

    def due_retries(self, consumer: int, now: float, limit: int) -> list[Key]:
        """Stuck keys whose time to try again has come. Each is named once: hint them."""
        table = schema.stuck
        with self._database.reading() as connection:
            keys = list(
                connection.scalars(
                    sa.select(table.c.key)
                    .where(table.c.consumer == consumer, table.c.retry_at <= now)
                    .order_by(table.c.retry_at)
                    .limit(limit)
                )
            )
        if keys:
            with self._database.writing() as connection:
                connection.execute(
                    table.update()
                    .where(table.c.consumer == consumer, table.c.key.in_(keys))
                    .values(retry_at=now + 600)  # should the hint be lost, it comes again
                )
        return keys

    def retry_all(self, consumer: int) -> int:
        """Makes every stuck key of a consumer due now; how many. The run hints them."""
        table = schema.stuck
        with self._database.writing() as connection:
            return connection.execute(
                table.update().where(table.c.consumer == consumer).values(retry_at=time.time())
            ).rowcount

    # Backfills

    def begin_backfill(self, consumer: int, reason: str, total: int) -> None:
        """A pass over all keys begins; an unfinished one of the consumer is taken over."""
        table = schema.backfills
        now = time.time()
        with self._database.writing() as connection:
            connection.execute(
                table.update()
                .where(table.c.consumer == consumer, table.c.finished_at.is_(None))
                .values(finished_at=now)
            )
            connection.execute(
                table.insert(),
                {"consumer": consumer, "reason": reason, "total": total, "done": 0, "started_at": now},
            )

    def finish_backfill(self, consumer: int) -> None:
        """The pass under way, if there is one, has come to its end."""
        table = schema.backfills
        known = self.backfill(consumer)
        if known is None or known.finished_at is not None:
            return
        with self._database.writing() as connection:
            connection.execute(
                table.update()
                .where(table.c.consumer == consumer, table.c.finished_at.is_(None))
                .values(finished_at=time.time())
            )

    def backfill(self, consumer: int) -> Backfill | None:
        """The newest pass of a consumer."""
        table = schema.backfills
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(table).where(table.c.consumer == consumer).order_by(table.c.id.desc()).limit(1)
            ).first()
        return None if row is None else Backfill(*row)

    # Runs

    def begin_run(self, epoch: int) -> int:
        now = time.time()
        with self._database.writing() as connection:
            made = connection.execute(
                schema.runs.insert(),
                {"holder": whoami(), "epoch": epoch, "started_at": now, "seen_at": now, "gauges": "{}"},
            )
            assert made.inserted_primary_key is not None
            return int(made.inserted_primary_key[0])

    def trim(self, keep: float = 86_400.0) -> int:
        """Forgets hints older than `keep` seconds that whoever reads them has settled; how many entries."""
        lowest: dict[tuple[Stream, Lane], int] = {}
        for consumer in self.consumers("running", "stopped"):
            for place, offsets in self.ledger.positions(consumer.id).items():
                least = min(offsets.values(), default=0)
                lowest[place] = min(lowest.get(place, least), least)
        before = time.time() - keep
        return sum(self.journal.trim(*place, upto, before) for place, upto in lowest.items())

    def see_run(self, run: int, gauges: Mapping[str, Any], outcome: str | None = None) -> None:
        """Leaves what a run shows of itself; with an outcome, that it has ended."""
        now = time.time()
        values: dict[str, Any] = {"seen_at": now, "gauges": json.dumps(gauges)}
        if outcome is not None:
            values |= {"ended_at": now, "outcome": outcome}
        with self._database.writing() as connection:
            connection.execute(schema.runs.update().where(schema.runs.c.id == run).values(**values))

    def last_run(self) -> Run | None:
        with self._database.reading() as connection:
            row = connection.execute(
                sa.select(schema.runs).order_by(schema.runs.c.id.desc()).limit(1)
            ).first()
        if row is None:
            return None
        return Run(
            row.id,
            row.holder,
            row.epoch,
            row.started_at,
            row.seen_at,
            row.ended_at,
            row.outcome,
            json.loads(row.gauges or "{}"),
        )


def whoami() -> str:
    """user@host, process id: as shown to whoever finds the lock held."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"
