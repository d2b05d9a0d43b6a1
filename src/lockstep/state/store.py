"""The state store of one pipeline: two files in a directory that only its owner can read.

.lockstep/journal.db   hints
.lockstep/ledger.db    everything else
.lockstep/run.lock     held by the one `run`; says who
"""

from __future__ import annotations

import time
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from lockstep.database import Database, upsert
from lockstep.errors import StateError
from lockstep.journal.sql import SqlJournal
from lockstep.state import schema
from lockstep.state.generations import Generations
from lockstep.state.ledger import Ledger
from lockstep.state.lock import RunLock, whoami
from lockstep.state.runs import Backfills, Runs
from lockstep.state.settling import fence
from lockstep.state.stuck import StuckKeys
from lockstep.values import PARTITIONS, Lane, Stream, consumer_stream

TOMBSTONES_KEPT = 7 * 86_400.0
"""Seconds. Later, as long as the oldest snapshot that could bring the record back."""


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
        self.generations = Generations(self._database)
        self.stuck = StuckKeys(self._database)
        self.backfills = Backfills(self._database)
        self.runs = Runs(self._database)
        self.lock = RunLock(directory)
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
        self.lock.close()

    def journal_hole(self, source: str) -> str | None:
        """Why journal and ledger do not belong together, as far as a source goes, in words."""
        with self._database.reading() as connection:
            names = (f"journal:{source}", f"pair:{source}")
            found = connection.execute(sa.select(schema.meta).where(schema.meta.c.name.in_(names)))
            known = {row.name: row.value for row in found}
        noted, pairs = (known.get(name) for name in names)
        pair = self.journal.pair(source)
        if pair is not None and pair not in (pairs or "").split():
            return "the ledger is older than the journal: it was restored"
        if noted is None:
            return None
        if noted != self.journal.identity:
            return "the journal is another one than before"
        reached = [
            offset
            for consumer in self.generations.consumers()
            if consumer.source == source
            for offsets in self.ledger.positions(consumer.id).values()
            for offset in offsets.values()
        ]
        if max(reached, default=0) > self.journal.end():
            return "the journal is older than the ledger: it was restored, or lost its end"
        return None

    def note_journal(self, source: str) -> None:
        """The journal that a source's hints are appended to from now on.

        Both files keep a word that is new each time, the ledger first; with it the one that the journal has
        until it takes the new one.
        """
        pair = uuid4().hex
        noted = {
            f"journal:{source}": self.journal.identity,
            f"pair:{source}": f"{pair} {self.journal.pair(source) or ''}",
        }
        with self._database.writing() as connection:
            upsert(connection, schema.meta, [{"name": k, "value": v} for k, v in noted.items()])
        self.journal.note_pair(source, pair)

    def draw_epoch(self, at_least: int = 0, held: int | None = None) -> int:
        """A new epoch over all partitions, above every earlier one and above `at_least`.

        `held`: the epoch that the lease to be renewed has. Raises LeaseLost when a newer one was drawn.
        """
        table = schema.leases
        with self._database.writing() as connection:
            newest = connection.scalar(sa.select(sa.func.max(table.c.epoch))) or 0
            if held is not None:
                fence(connection, held)
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

    def trim(self, keep: float = 86_400.0) -> int:
        """Forgets hints older than `keep` seconds that whoever reads them has settled; how many entries."""
        lowest: dict[tuple[Stream, Lane], int] = {}
        for consumer in self.generations.consumers("running", "stopped"):
            for place, offsets in self.ledger.positions(consumer.id).items():
                newest = max(offsets.values(), default=0)
                lowest[place] = min(lowest.get(place, newest), newest)
        before = time.time() - keep
        for consumer in self.generations.consumers("retired"):  # nobody reads what is addressed to it
            lowest.update({(consumer_stream(consumer.id), lane): self.journal.end() for lane in Lane})
        self.ledger.forget_tombstones(time.time() - TOMBSTONES_KEPT)
        return sum(self.journal.trim(*place, upto, before) for place, upto in lowest.items())
