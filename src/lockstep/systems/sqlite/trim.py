"""Deletes acknowledged changes, seldom and in small transactions.

A SQLite file has one write lock, and the application wants it: the log is trimmed once many changes have
gathered or some seconds have passed, and whoever holds the lock is not waited for long. The last
acknowledged change stays: by it a restored file is told from the one that was followed.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

from lockstep.errors import Refused, Unreachable
from lockstep.systems.sqlite.client import connect, is_busy, mapped
from lockstep.systems.sqlite.position import place_of
from lockstep.systems.sqlite.triggers import LOG

GATHERED = 10_000
SECONDS = 5.0
AT_ONCE = 2_000
BUSY_SECONDS = 0.1


class Trimmer:
    """Of one feed. Any thread may acknowledge."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._acknowledged = 0
        self._trimmed = 0
        self._at = time.monotonic()

    def acknowledge(self, position: str) -> None:
        with self._lock:
            self._acknowledged = max(self._acknowledged, place_of(position).n)
            gathered = self._acknowledged - self._trimmed
            waited = time.monotonic() - self._at
            if gathered and (gathered >= GATHERED or waited >= SECONDS):
                self._trim()

    def _trim(self) -> None:
        self._at = time.monotonic()
        with mapped(self._path):
            try:
                if self._connection is None:
                    self._connection = connect(self._path, busy=BUSY_SECONDS)
                deleted = AT_ONCE
                while deleted == AT_ONCE:
                    deleted = self._connection.execute(
                        f"DELETE FROM {LOG} WHERE n < ?"
                        f" AND n IN (SELECT n FROM {LOG} ORDER BY n LIMIT {AT_ONCE})",
                        (self._acknowledged,),
                    ).rowcount
                self._trimmed = self._acknowledged
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise  # else the application writes: the next acknowledgement tries again

    def close(self) -> None:
        """Trims what has gathered, if nobody is in the way."""
        with self._lock:
            if self._acknowledged > self._trimmed and self._path.is_file():
                with contextlib.suppress(Refused, Unreachable):  # the log is gone, or later will do
                    self._trim()
            if self._connection is not None:
                self._connection.close()
                self._connection = None
