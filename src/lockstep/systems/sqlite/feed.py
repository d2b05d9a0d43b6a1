"""Follows a SQLite file: its triggers write a log, which is read by number.

SQLite has no way to be told of a commit in another process, so the feed asks `PRAGMA data_version` every
few milliseconds, which reads no page of the database. Another file in the place of this one is noticed, and
so are tables that were dropped or altered: their triggers are made anew, and the whole table is hinted.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lockstep.errors import Refused, Unreachable
from lockstep.ports import Capture, Caught, FeedLag
from lockstep.systems.sqlite import install, meeting
from lockstep.systems.sqlite import position as positions
from lockstep.systems.sqlite.client import connect, error_of, file_of, is_busy, mapped
from lockstep.systems.sqlite.follow import Follower
from lockstep.systems.sqlite.triggers import LOG, MARKER
from lockstep.systems.sqlite.trim import Trimmer
from lockstep.values import FeedMark, Hint, Table

POLL_SECONDS = 0.025
IDLE_SECONDS = 0.5
BUSY_SECONDS = 0.4
"""How long one look waits for a lock."""
LOCKED_SECONDS = 60.0
"""How long the database may be locked before following gives up."""


class SQLiteFeed:
    """See `lockstep.ports.Feed`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wanted: dict[str, install.Wanted] = {}
        self._identity = ""  # of the log that was prepared
        self._announced = 0  # markers up to here were told by `prepare`
        self._closed = threading.Event()
        self._woken = threading.Event()
        self._followed: str | None = None
        self._trimmer = Trimmer(path)

    def prepare(self, tables: Sequence[Table], mark: FeedMark | None) -> Capture:
        wanted = install.merged(tables)
        with self._connection() as connection, mapped(self._path):
            install.install(connection, wanted.values())
            self._wanted = wanted
            self._identity = identity = install.identity(connection)
            end = positions.end(connection)
            self._announced = end.n
            hole = None if mark is None else positions.hole(connection, identity, mark)
            held = {table.name: why for table in tables if (why := meeting.held(connection, table))}
            if mark is None or hole is not None:
                started = tuple(one.table for one in wanted.values())
                return Capture(identity, started, None, end.text, hole, held)
            started = self._begun(connection, positions.place_of(mark.position).n)
        return Capture(identity, started, None, mark.position, None, held)

    def _begun(self, connection: sqlite3.Connection, after: int) -> tuple[str, ...]:
        """The wanted tables whose capture began after a place: what the log says, so a crash loses none."""
        layouts = install.layouts(connection)
        found = connection.execute(
            f"SELECT DISTINCT layout FROM {LOG} WHERE n > ? AND operation = {MARKER}", (after,)
        ).fetchall()
        begun = {layouts[number].wanted.table.lower() for (number,) in found if number in layouts}
        return tuple(one.table for name, one in self._wanted.items() if name in begun)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = connect(self._path)
        try:
            yield connection
        finally:
            connection.close()

    def follow(self, after: str) -> Iterator[Caught]:
        if not self._wanted:
            raise Refused("the feed was not prepared", "Call `prepare` with the tables first.")
        file = file_of(self._path)
        self._followed = after
        self._woken.clear()
        with self._connection() as connection:
            # Not before it is open, which has no second try: a look has one every few milliseconds.
            connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")
            place = positions.place_of(after)
            follower = Follower(connection, self._wanted, place, self._announced, self._identity)
            spoke = looked = time.monotonic()
            told = ""  # the first look is answered at once, even if it finds nothing
            while not self._closed.is_set():
                if file_of(self._path) != file:
                    raise Unreachable(
                        f"{self._path} was moved away or replaced while it was followed",
                        "Lockstep opens it again and looks whether it is the same database.",
                    )
                hints: list[Hint] = []
                try:
                    hints = follower.look()
                    looked = time.monotonic()
                except sqlite3.Error as error:
                    if not is_busy(error) or time.monotonic() - looked > LOCKED_SECONDS:
                        raise error_of(error, self._path) from error
                at = follower.place.text
                due = self._woken.is_set() or time.monotonic() - spoke >= IDLE_SECONDS
                if hints or at != told or due:
                    self._woken.clear()
                    self._followed = told = at
                    yield Caught(hints, at)
                    spoke = time.monotonic()
                elif not follower.behind:
                    self._closed.wait(POLL_SECONDS)

    def acknowledge(self, position: str) -> None:
        self._trimmer.acknowledge(position)

    def wake(self) -> None:
        self._woken.set()

    def reached(self) -> str:
        with self._connection() as connection, mapped(self._path):
            found = positions.end(connection) if positions.made(connection) else positions.BEGINNING
            return found.text

    def passed(self, position: str, goal: str) -> bool:
        return positions.place_of(position).n >= positions.place_of(goal).n

    def lag(self) -> FeedLag:
        with self._connection() as connection, mapped(self._path):
            end = positions.end(connection)
        if self._followed is None:
            return FeedLag(None, "changes", None)
        behind = max(end.n - positions.place_of(self._followed).n, 0)
        return FeedLag(behind, "changes", self._followed, behind, end=end.text)

    def close(self) -> None:
        self._closed.set()
        self._trimmer.close()
