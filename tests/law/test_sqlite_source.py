"""SQLite under the laws of sources, in WAL mode and with a rollback journal."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockstep.systems.sqlite import SQLite
from lockstep.testing.reader_law import ReaderLaw
from lockstep.testing.source_world import World


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
