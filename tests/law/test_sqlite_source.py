"""SQLite under the laws of sources, in WAL mode and with a rollback journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockstep.systems.sqlite import SQLite
from lockstep.testing.feed_law import FeedLaw
from lockstep.testing.reader_law import ReaderLaw
from lockstep.testing.source_world import World
from lockstep.testing.ways import way

SQLITE_WAYS = (
    way("replace under the key", "users", "REPLACE INTO users(id, company_id) VALUES (4, 3)"),
    way(
        "replace under another unique index",
        "accounts",
        "INSERT OR REPLACE INTO accounts(id, login, owner) VALUES (9, 'ann', 4)",
    ),
    way(
        "replace two rows by one",
        "accounts",
        "INSERT OR REPLACE INTO accounts(id, login, owner) VALUES (2, 'ann', 4)",
    ),
    way("replace with a key that SQLite gives", "accounts", "REPLACE INTO accounts VALUES (NULL, 'ann', 4)"),
    way("update or replace", "accounts", "UPDATE OR REPLACE accounts SET login = 'ann' WHERE id = 3"),
    way("update or replace by the key", "accounts", "UPDATE OR REPLACE accounts SET id = 1 WHERE id = 3"),
    way("update or replace by rowid", "accounts", "UPDATE OR REPLACE accounts SET rowid = 1 WHERE id = 3"),
    way("update or replace every key", "accounts", "UPDATE OR REPLACE accounts SET id = id + 1"),
    way(
        "replace what is referred to",
        "tags, users_tags",
        "INSERT OR REPLACE INTO tags(id, name) VALUES (1, 'new')",
    ),
    way("insert or ignore", "accounts", "INSERT OR IGNORE INTO accounts VALUES (8, 'ann', 1), (9, 'new', 1)"),
    way("insert with a key that SQLite gives", "tags", "INSERT INTO tags(name) VALUES ('x')"),
    way("insert of defaults", "tags", "INSERT INTO tags DEFAULT VALUES"),
    way("insert of rowid", "tags", "INSERT INTO tags(rowid, name) VALUES (77, 'x')"),
    way("update from", "users", "UPDATE users SET name = t.name FROM tags AS t WHERE t.id = users.id"),
    way("insert returning", "tags", "INSERT INTO tags(name) VALUES ('x') RETURNING id"),
)


def world_in(directory: Path, journal: str) -> World:
    path = directory / "app.db"
    app = sqlite3.connect(path, check_same_thread=False)
    app.execute(f"PRAGMA journal_mode = {journal}")
    app.execute("PRAGMA foreign_keys = ON")
    return World(SQLite(path), app)


class TestSQLiteReader(ReaderLaw):
    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[World]:
        with world_in(tmp_path, "wal") as world:
            yield world


class TestSQLiteFeed(FeedLaw):
    own_ways = SQLITE_WAYS

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[World]:
        with world_in(tmp_path, "wal") as world:
            yield world


class TestSQLiteFeedWithRollbackJournal(FeedLaw):
    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[World]:
        with world_in(tmp_path, "delete") as world:
            yield world
