"""Follows one table of a SQLite file and asks whether its hints tell of every difference.

The oracle is SQLite itself, asked by plain SQL: neither the reader nor a list of what each statement does.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lockstep.forms import keys
from lockstep.ports import Capture
from lockstep.systems.sqlite.feed import SQLiteFeed
from lockstep.values import EVERYTHING, FeedMark, Hint, Key, Table

Image = dict[Key, dict[str, Key | None]]

T = Table("t", ("id", "j"), ("id",), ("j",))
DDL = "CREATE TABLE t(id INTEGER PRIMARY KEY, j, u UNIQUE); INSERT INTO t VALUES (1, 1, 1), (2, 2, 2);"


class Captured:
    """A database with one followed table. Key and join columns must be of plain types."""

    def __init__(self, path: Path, ddl: str, table: Table, *, pragmas: Iterable[str] = ()) -> None:
        self.path = path
        self.table = table
        self.app = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for pragma in pragmas:
            self.app.execute(f"PRAGMA {pragma}")
        self.app.executescript(ddl)
        self.feed = SQLiteFeed(path)
        self.capture: Capture = self.feed.prepare([table], None)
        self.position = self.capture.position

    @property
    def mark(self) -> FeedMark:
        return FeedMark("app", self.position, self.capture.identity)

    def image(self) -> Image:
        """The join columns of every row by its key."""
        names = (*self.table.key, *self.table.joins)
        columns = ", ".join(f'"{name}"' for name in names)
        found: Image = {}
        for row in self.app.execute(f'SELECT {columns} FROM "{self.table.name}"'):
            key, joins = row[: len(self.table.key)], row[len(self.table.key) :]
            if None not in key:
                found[keys.encode(key)] = dict(
                    zip(self.table.joins, map(keys.encode_one, joins), strict=True)
                )
        return found

    def catch(self) -> list[Hint]:
        goal = self.feed.reached()
        hints: list[Hint] = []
        stream = self.feed.follow(self.position)
        for caught in stream:
            hints += caught.hints
            assert caught.position is not None
            self.position = caught.position
            if self.feed.passed(caught.position, goal):
                break
        stream.close()  # type: ignore[attr-defined]
        return hints

    def run(self, sql: str, *values: Any) -> list[Hint]:
        """Runs a statement, which may fail, and asserts that its hints tell of everything it did."""
        before = self.image()
        with contextlib.suppress(sqlite3.IntegrityError):
            self.app.execute(sql, values).fetchall()
        hints = self.catch()
        self.assert_told(before, self.image(), hints, sql)
        return hints

    def assert_told(self, before: Image, after: Image, hints: list[Hint], what: str) -> None:
        for key in before.keys() | after.keys():
            old, new = before.get(key), after.get(key)
            if old == new:
                continue  # other columns may differ, which the laws look at
            mine = [hint for hint in hints if hint.key == key]
            assert mine, f"no hint of {keys.text(key)} after {what}"
            if old is not None:
                assert any(hint.before == old for hint in mine), f"{keys.text(key)} before: {what}"
            if new is not None:
                assert any(hint.after == new for hint in mine), f"{keys.text(key)} after: {what}"

    def keys(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The keys that are hinted after a statement, each once, in order."""
        hinted = {hint.key for hint in self.run(sql, *values) if hint.key is not None}
        return [keys.decode(key) for key in sorted(hinted)]

    def close(self) -> None:
        self.feed.close()
        self.app.close()


def whole(hints: list[Hint]) -> list[str]:
    """The tables that were hinted in full."""
    return [hint.table for hint in hints if hint.span == EVERYTHING]


def prepared(path: Path, mark: FeedMark | None, *tables: Table) -> Capture:
    feed = SQLiteFeed(path)
    try:
        return feed.prepare(tables or [T], mark)
    finally:
        feed.close()


def change(one: Captured, times: int = 1) -> None:
    for _ in range(times):
        one.app.execute("UPDATE t SET j = coalesce(j, 0) + 1 WHERE id = 1")


def backup(one: Captured, to: Path) -> None:
    copy = sqlite3.connect(to)
    one.app.backup(copy)
    copy.close()
