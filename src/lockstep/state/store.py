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

from lockstep.database import Database
from lockstep.errors import StateError
from lockstep.journal.sql import SqlJournal
from lockstep.state import schema
from lockstep.state.generations import Generations
from lockstep.state.ledger import Ledger
from lockstep.state.lock import RunLock, whoami
from lockstep.state.runs import Backfills, Runs
from lockstep.state.stuck import StuckKeys
from lockstep.values import PARTITIONS, Lane, Stream


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

    def trim(self, keep: float = 86_400.0) -> int:
        """Forgets hints older than `keep` seconds that whoever reads them has settled; how many entries."""
        lowest: dict[tuple[Stream, Lane], int] = {}
        for consumer in self.generations.consumers("running", "stopped"):
            for place, offsets in self.ledger.positions(consumer.id).items():
                newest = max(offsets.values(), default=0)
                lowest[place] = min(lowest.get(place, newest), newest)
        before = time.time() - keep
        return sum(self.journal.trim(*place, upto, before) for place, upto in lowest.items())
