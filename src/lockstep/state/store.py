"""The state store of one pipeline: two files in a directory that only its owner can read, or two schemas of a
PostgreSQL database.

.lockstep/journal.db   lockstep_journal   hints
.lockstep/ledger.db    lockstep_ledger    everything else
.lockstep/run.lock     a session's lock   held by the one `run`; says who
.lockstep/build.lock   a session's lock   held by who fills a build beside it: deploy, restore, drill;
                                          follow.lock by who follows what it deployed, snapshot.lock
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec
import sqlalchemy as sa

from lockstep.database import Access, Database, insert, upsert
from lockstep.database.files import FileDatabase
from lockstep.errors import StateError
from lockstep.journal import tables as journals
from lockstep.journal.sql import SqlJournal
from lockstep.place import KEPT, Place, StateUrl
from lockstep.state import migrations, schema
from lockstep.state.books import Books, Unfenced, fence
from lockstep.state.builds import Build, Builds
from lockstep.state.checks import Checks
from lockstep.state.drills import Drills
from lockstep.state.events import Events
from lockstep.state.generations import Generations
from lockstep.state.holds import Holds
from lockstep.state.inherit import Inheritance
from lockstep.state.ledger import Ledger
from lockstep.state.lock import RunLock, whoami
from lockstep.state.notes import TargetNotes
from lockstep.state.positions import Positions
from lockstep.state.recorded import Recorded
from lockstep.state.reports import Reports
from lockstep.state.reserving import Reservations
from lockstep.state.runs import Backfills, Runs
from lockstep.state.settling import Scope
from lockstep.state.snapshots import Snapshots
from lockstep.state.spans import LedgerSpans
from lockstep.state.stuck import StuckKeys
from lockstep.values import PARTITIONS, Lane, Stream, Table, consumer_stream

if TYPE_CHECKING:
    from lockstep.state.session_lock import SessionLock

    Lock = RunLock | SessionLock

TOMBSTONES_KEPT = 7 * 86_400.0
"""Seconds; longer where a saved state that could bring the record back is older."""


def exists(place: Place) -> bool:
    """Whether some run made a state store there. Makes nothing."""
    if isinstance(place, Path):
        return (place / "ledger.db").exists()
    from lockstep.database import postgres

    session = postgres.connect(place, f"{place.schema}_ledger")
    try:
        row = session.execute("SELECT to_regclass('migrations') IS NOT NULL").fetchone()
        return bool(row and row[0])
    finally:
        session.close()


class Store:
    """Opens the state store in a directory or a database; only a run makes it, or brings it up to date.

    Raises StateError when it cannot be used.
    """

    def __init__(self, place: Place, access: Access = Access.RUN) -> None:
        self.place = place
        journal, ledger = _opened(place, access)
        self._database = Books(ledger)
        self.lock, self.build_lock, self.follow_lock, self.snapshot_lock = (
            _lock(place, name) for name in ("run", "build", "follow", "snapshot")
        )
        self.journal = SqlJournal(journal)
        self.ledger = Ledger(self._database)
        self.reservations = Reservations(self._database)
        self.positions = Positions(self._database)
        self.generations = Generations(self._database)
        self.stuck = StuckKeys(self._database)
        self.backfills = Backfills(self._database)
        self.runs = Runs(self._database)
        self.reports = Reports(self._database)
        self.checks = Checks(self._database)
        self.holds = Holds(self._database)
        self.events = Events(self._database)
        self.recorded = Recorded(self._database)
        self.builds = Builds(self._database)
        self.snapshots = Snapshots(self._database)
        self.drills = Drills(self._database)
        self.notes = TargetNotes(self._database)
        self.inheritance = Inheritance(self._database)
        if self._database.noted("identity") is None:
            with self._database.unfenced(Unfenced.DRAWS) as connection:
                made = {"identity": uuid4().hex, "partitions": str(PARTITIONS)}
                upsert(connection, schema.meta, [{"name": k, "value": v} for k, v in made.items()])

    @property
    def identity(self) -> str:
        return str(self._database.noted("identity"))

    @property
    def directory(self) -> Path:
        """Of a state store in files."""
        assert isinstance(self.place, Path)
        return self.place

    def close(self) -> None:
        self.events.close()
        self.journal.close()
        self._database.close()
        for lock in (self.lock, self.build_lock, self.follow_lock, self.snapshot_lock):
            lock.close()

    def at_work(self, build: Build) -> str | None:
        """Who works a live build beside the run; None where the run may."""
        if build.worker is None:
            return None
        return (self.follow_lock if build.worker == Scope.FOLLOW else self.build_lock).holder()

    def spans(self, consumer: int) -> LedgerSpans:
        """A consumer's part of the ledger, span by span."""
        return LedgerSpans(self._database, consumer)

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
            for offsets in self.positions.of(consumer.id).values()
            for offset in offsets.values()
        ]
        if max(reached, default=0) > self.journal.end():
            return "the journal is older than the ledger: it was restored, or lost its end"
        return None

    def generation_of(self, epoch: int, target: str) -> tuple[int, int, str]:
        """The live generation of a target; one that the journal remembers where the ledger was lost; else a
        new one."""
        known = self.generations.live(target)
        if known is not None:
            return known[:3]
        kept = self.journal.kept_generation(target)
        if kept is None:
            return self.generations.begin(epoch, target)
        return self.generations.adopt(epoch, target, *kept)

    def followed(self, source: str) -> list[Table]:
        """The tables of a source whose changes come into the journal, as they were last asked for."""
        known = self._database.noted(f"followed:{source}")
        return [] if known is None else msgspec.json.decode(known, type=list[Table])

    def note_journal(self, epoch: int, source: str, followed: Sequence[Table]) -> None:
        """The journal that a source's hints are appended to from now on, and the tables they are of.

        Both files keep a word that is new each time, the ledger first; with it the one that the journal has
        until it takes the new one.
        """
        pair = uuid4().hex
        noted = {
            f"journal:{source}": self.journal.identity,
            f"pair:{source}": f"{pair} {self.journal.pair(source) or ''}",
            f"followed:{source}": msgspec.json.encode(followed).decode(),
        }
        with self._database.under(epoch) as connection:
            upsert(connection, schema.meta, [{"name": k, "value": v} for k, v in noted.items()])
        self.journal.keep_generations(self.generations.all_live())
        self.journal.note_pair(source, pair)

    def require_newest(self, epoch: int) -> None:
        """Raises LeaseLost when this epoch is over."""
        with self._database.reading() as connection:
            fence(connection, epoch)

    def draw_epoch(self, at_least: int = 0, held: int | None = None, scope: Scope = Scope.RUN) -> int:
        """A new epoch over all partitions, above every earlier one and above `at_least`. The one that this
        scope had is over; another scope's stands.

        `held`: the epoch that the lease to be renewed has. Raises LeaseLost when a newer one was drawn.
        """
        table = schema.leases
        with self._database.unfenced(Unfenced.DRAWS) as connection:
            newest = connection.scalar(sa.select(sa.func.max(table.c.epoch))) or 0
            if held is not None:
                fence(connection, held)
            epoch = max(newest, at_least) + 1
            connection.execute(table.delete().where(table.c.scope == scope))
            drawn = {"scope": scope.value, "epoch": epoch, "holder": whoami(), "until": 0.0}
            insert(connection, table, [{"partition": number, **drawn} for number in range(PARTITIONS)])
        return epoch

    def trim(self, keep: float = KEPT) -> int:
        """Forgets hints older than `keep` seconds that whoever reads them has settled; how many entries."""
        lowest: dict[tuple[Stream, Lane], int] = {}
        for consumer in (*self.generations.consumers("running", "stopped"), *self.generations.beside()):
            for place, offsets in self.positions.of(consumer.id).items():
                newest = max(offsets.values(), default=0)
                lowest[place] = min(lowest.get(place, newest), newest)
        before = time.time() - keep
        for consumer in self.generations.consumers("retired"):  # nobody reads what is addressed to it
            lowest.update({(consumer_stream(consumer.id), lane): self.journal.end() for lane in Lane})
        for replaced in self.generations.replaced():
            self.ledger.forget(replaced)
            lowest.update({(consumer_stream(replaced), lane): self.journal.end() for lane in Lane})
        oldest = time.time() - TOMBSTONES_KEPT
        self.ledger.forget_tombstones(min(self.snapshots.oldest() or oldest, oldest))
        self.events.prune()
        return sum(self.journal.trim(*place, upto, before) for place, upto in lowest.items())


def _lock(place: Place, name: str) -> Lock:
    if isinstance(place, StateUrl):
        from lockstep.state.session_lock import SessionLock

        return SessionLock(place, name)
    return RunLock(place, name)


def _opened(place: Place, access: Access) -> tuple[Database, Database]:
    """Journal and ledger."""
    if isinstance(place, StateUrl):
        from lockstep.database.postgres import PostgresDatabase

        journal: Database = PostgresDatabase(place, "journal", journals.migrations, access)
        with _closed_on_error(journal):
            return journal, PostgresDatabase(place, "ledger", migrations.LEDGER, access)
    if access is Access.RUN:
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.chmod(0o700)
        except OSError as error:
            if place.is_dir():  # nobody is told to name another: what this one knows would be missed
                raise StateError(
                    f"the state directory {place} cannot be written: {error.strerror}",
                    f"Let this user write to {place}, which must be its own and not be mounted read-only.",
                ) from error
            raise StateError(
                f"the state directory {place} cannot be made: {error.strerror}",
                "Name another with --state DIR, or let this user write there.",
            ) from error
    journal = FileDatabase(place / "journal.db", journals.migrations, access)
    with _closed_on_error(journal):
        return journal, FileDatabase(place / "ledger.db", migrations.LEDGER, access)


@contextlib.contextmanager
def _closed_on_error(database: Database) -> Iterator[None]:
    try:
        yield
    except BaseException:
        database.close()
        raise
