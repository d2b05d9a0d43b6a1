"""A database of the state store as a SQLite file: in WAL mode with `synchronous=FULL`, so that what was
committed is there after a power cut."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa

from lockstep.database import Access, Database
from lockstep.database.migrations import Migration
from lockstep.errors import StateError

BUSY_MS = 60_000


class FileDatabase(Database):
    """A SQLite file. Only a run makes it."""

    def __init__(self, path: Path, migrations: Sequence[Migration], access: Access = Access.RUN) -> None:
        self.path = path
        mode = "ro" if access is Access.LOOK else "rw"
        if access is Access.LOOK and not os.access(path.parent, os.W_OK) and not _wal(path).exists():
            mode = "ro&immutable=1"  # nobody can write there, and without a WAL no file is needed beside
        engine = sa.create_engine(
            "sqlite://",
            creator=lambda: sqlite3.connect(
                f"file:{quote(os.fspath(path.absolute()))}?mode={mode}", uri=True, check_same_thread=False
            ),
            poolclass=sa.QueuePool,
            pool_size=16,
            max_overflow=32,
            pool_use_lifo=True,  # each has a cache of its own, so few are better than all in turn
        )
        sa.event.listen(engine, "connect", _look_pragmas if access is Access.LOOK else _pragmas)
        sa.event.listen(engine, "begin", _begin)
        try:
            if access is Access.RUN and not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            elif access is Access.RUN:
                self._check(engine)
            super().__init__(str(path), engine, migrations, access)
        except OSError as error:
            raise StateError(
                f"the state store {path} cannot be made: {error.strerror}",
                f"Let this user write to {path.parent}, or free some space on its disk.",
            ) from error
        except BaseException:
            engine.dispose()
            raise

    def _check(self, engine: sa.Engine) -> None:
        """Raises where the file is damaged; a large one shows it where it is read."""
        if self.path.stat().st_size > _CHECKED:
            return
        try:
            with engine.connect() as connection:
                found = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()
        except sa.exc.DBAPIError as error:
            raise self.error(error) from error
        if found != "ok":
            raise self._damaged(str(found).replace("\n", " "))

    def _damaged(self, words: str) -> StateError:
        remedy = _MENDS.get(self.path.name, "Put back a copy of it.")
        return StateError(
            f"the state store {self.path} failed: {words}",
            remedy.format(path=self.path, place=self.path.parent),
        )

    @contextlib.contextmanager
    def _alone(self, connection: sa.Connection) -> Iterator[None]:
        with connection.execution_options(immediate=True).begin():
            yield

    def error(self, error: sa.exc.DBAPIError) -> StateError:
        words = str(error.orig)
        place = self.path.parent
        if "full" in words or "disk I/O" in words:
            remedy = f"Free some space on the disk of {place}; nothing committed is lost."
        elif "malformed" in words or "not a database" in words:
            return self._damaged(words)
        elif "locked" in words:
            remedy = f"Another process holds {self.path} for over a minute; `lockstep status` says which run."
        elif "readonly" in words or "unable to open" in words:
            remedy = f"Let this user write to {place}."
        else:
            remedy = f"Look at {self.path} with `sqlite3 {self.path} 'pragma integrity_check'`."
        return StateError(f"the state store {self.path} failed: {words}", remedy)

    def given(self, connection: sa.Connection, column: sa.Column[Any]) -> int:
        statement = sa.text("SELECT max(seq) FROM sqlite_sequence WHERE name = :name")
        return int(connection.scalar(statement, {"name": column.table.name}) or 0)


_CHECKED = 256 << 20
"""The largest file that is read through at a start; it takes a second."""


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


_MENDS = {
    "journal.db": "{path} is damaged. Stop the run, move it away (with its -wal and -shm) and start again: "
    "every key is then derived and compared with the target. Nothing is lost.",
    "ledger.db": "{path} is damaged. Stop the run and put back a copy of it, or move it away (with its -wal "
    "and -shm), and start again: what the targets hold is read, every key is derived and compared with it.",
}


def _pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event says when, not the driver
    for pragma in (
        f"busy_timeout={BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "cache_size=-4000",  # of each connection: more is no faster, as the system keeps the file anyway
        "wal_autocheckpoint=4000",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _look_pragmas(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")


def _begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
