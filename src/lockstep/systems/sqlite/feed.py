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
from lockstep.systems.sqlite import install, position, walk
from lockstep.systems.sqlite.changes import Decoder, decoder
from lockstep.systems.sqlite.client import connect, file_of, is_busy, mapped
from lockstep.systems.sqlite.trim import Trimmer
from lockstep.systems.sqlite.triggers import LOG, MARKER
from lockstep.values import EVERYTHING, FeedMark, Hint, Table

POLL_SECONDS = 0.025
IDLE_SECONDS = 0.5
BATCH = 5000
BUSY_SECONDS = 0.4
LOCKED_SECONDS = 60.0
"""How long the database may be locked before following gives up."""


class SQLiteFeed:
    """See `lockstep.ports.Feed`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wanted: dict[str, install.Wanted] = {}
        self._decoders: dict[int, Decoder] = {}
        self._announced = 0  # markers up to here were told by `prepare`
        self._missing: set[str] = set()
        self._closed = threading.Event()
        self._followed: str | None = None
        self._trimmer = Trimmer(path)

    def prepare(self, tables: Sequence[Table], mark: FeedMark | None) -> Capture:
        wanted = install.merged(tables)
        with self._connection() as connection, mapped(self._path):
            install.install(connection, wanted.values())
            self._wanted = wanted
            self._missing.clear()
            identity = install.identity(connection)
            end = position.end(connection)
            self._announced = end.n
            hole = None if mark is None else position.hole(connection, identity, mark)
            if mark is None or hole is not None:
                started = tuple(one.table for one in wanted.values())
                return Capture(identity, started, None, end.text, hole)
            started = self._begun(connection, position.place_of(mark.position).n)
        return Capture(identity, started, None, mark.position, None)

    def _begun(self, connection: sqlite3.Connection, after: int) -> tuple[str, ...]:
        """The wanted tables whose capture began after a place: what the log says, so a crash loses none."""
        layouts = install.layouts(connection)
        found = connection.execute(
            f"SELECT DISTINCT layout FROM {LOG} WHERE n > ? AND operation = {MARKER}", (after,)
        ).fetchall()
        begun = {layouts[number].wanted.table.lower() for (number,) in found if number in layouts}
        return tuple(one.table for name, one in self._wanted.items() if name in begun)

    @contextlib.contextmanager
    def _connection(self, busy: float = 5.0) -> Iterator[sqlite3.Connection]:
        connection = connect(self._path, busy=busy)
        try:
            yield connection
        finally:
            connection.close()

    def follow(self, after: str) -> Iterator[Caught]:
        if not self._wanted:
            raise Refused("the feed was not prepared", "Call `prepare` with the tables first.")
        file = file_of(self._path)
        place = position.place_of(after)
        self._followed = after
        with self._connection(BUSY_SECONDS) as connection:
            connection.text_factory = walk.lenient_text
            seen: tuple[int, ...] = ()
            schema = -1
            spoke = heard = time.monotonic()
            while not self._closed.is_set():
                caught: Caught | None = None
                now = time.monotonic()
                if file_of(self._path) != file:
                    raise Unreachable(
                        f"{self._path} was moved away or replaced while it was followed",
                        "Lockstep opens it again and looks whether it is the same database.",
                    )
                try:
                    version = connection.execute("PRAGMA data_version").fetchone()
                    if version != seen:
                        (current,) = connection.execute("PRAGMA schema_version").fetchone()
                        hints = [] if current == schema else self._reinstalled(connection)
                        more, last, full = self._read(connection, place)
                        hints += more
                        if last is not None:
                            place = last
                        if current == schema and not full:
                            seen = version
                        schema = current
                        if hints:
                            caught = Caught(hints, place.text)
                    heard = now
                except sqlite3.Error as error:
                    if not is_busy(error) or now - heard > LOCKED_SECONDS:
                        with mapped(self._path):
                            raise
                if caught is None and now - spoke >= IDLE_SECONDS:
                    caught = Caught([], place.text)
                if caught is not None:
                    spoke = now
                    self._followed = place.text
                    yield caught
                elif version == seen:
                    self._closed.wait(POLL_SECONDS)

    def _reinstalled(self, connection: sqlite3.Connection) -> list[Hint]:
        """Makes triggers anew where a table changed. Its marker in the log hints it; one that went is hinted here."""
        install.install(connection, self._wanted.values(), missing_ok=True)
        self._decoders.clear()
        found = {name for (name,) in connection.execute("SELECT lower(name) FROM sqlite_master")}
        gone = self._wanted.keys() - found
        hints = [
            Hint(self._wanted[name].table, span=EVERYTHING, reason="table dropped", at=time.time())
            for name in sorted(gone - self._missing)
        ]
        self._missing = set(gone)
        return hints

    def _read(
        self, connection: sqlite3.Connection, after: position.Place
    ) -> tuple[list[Hint], position.Place | None, bool]:
        """The hints of the next changes, the last of these, and whether there may be more."""
        if not self._decoders:
            self._decoders = {
                number: decoder(layout, self._wanted[layout.wanted.table.lower()].joins)
                for number, layout in install.layouts(connection).items()
                if layout.wanted.table.lower() in self._wanted
            }
        width = max((len(one.columns) for one in self._decoders.values()), default=0)
        columns = "".join(f", {side}{at}" for side in "ba" for at in range(width))
        rows = connection.execute(
            f"SELECT layout, n, token, at, operation{columns} FROM {LOG} WHERE n > ? ORDER BY n LIMIT {BATCH}",
            (after.n,),
        ).fetchall()
        hints: list[Hint] = []
        for layout, *change in rows:
            one = self._decoders.get(layout)
            if one is None or (change[3] == MARKER and change[0] <= self._announced):
                continue
            hints += one.hints(self._cut(change, width, len(one.columns)))
        return hints, position.Place(rows[-1][1], rows[-1][2]) if rows else None, len(rows) == BATCH

    @staticmethod
    def _cut(change: list[object], width: int, own: int) -> list[object]:
        return change if own == width else change[:4] + change[4 : 4 + own] + change[4 + width : 4 + width + own]

    def acknowledge(self, position: str) -> None:
        self._trimmer.acknowledge(position)

    def reached(self) -> str:
        with self._connection() as connection, mapped(self._path):
            return position.end(connection).text

    def passed(self, position_: str, goal: str) -> bool:
        return position.place_of(position_).n >= position.place_of(goal).n

    def lag(self) -> FeedLag:
        with self._connection() as connection, mapped(self._path):
            end = position.end(connection).n
            after = self._followed and position.place_of(self._followed).n
        return FeedLag(None if after is None else max(end - after, 0), "changes", self._followed)

    def close(self) -> None:
        self._closed.set()
        self._trimmer.close()
