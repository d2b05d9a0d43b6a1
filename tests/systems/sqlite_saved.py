"""A world with saved states of SQLite tables, for the tests of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lockstep.forms.keys import encode
from lockstep.systems.sqlite import SQLite
from lockstep.testing.writer_hooks import change, write
from lockstep.values import Record, version

TABLE = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT COLLATE NOCASE, email TEXT UNIQUE, boss INTEGER)"
)


class World:
    """A database with a table of users, saved as `good`."""

    def __init__(self, root: Path, made: str = TABLE, columns: dict[str, str] | None = None) -> None:
        self.path, self.place = root / "app.db", root / "saved"
        self.do(made)
        self.users = SQLite(self.path, snapshots=self.place).table("users", columns=columns)
        with closing(self.users.open(1)) as writer:
            writer.create("m")
        self.repository = self.users.repository()

    def do(self, *statements: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("PRAGMA foreign_keys = ON")
            for statement in statements:
                found = connection.execute(statement).fetchall()
        return found

    def put(self, records: dict[int, Record | None], epoch: int = 1) -> None:
        with closing(self.users.open(1)) as writer:
            write(
                writer,
                *(change(encode((n,)), one, version(epoch, n + 1)) for n, one in records.items()),
            )

    def rows(self, table: str = "users") -> list[tuple[Any, ...]]:
        return self.do(f"SELECT * FROM {table} ORDER BY 1")


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.put({n: {"name": f"user {n}", "email": f"{n}@x.org"} for n in range(1, 21)})
    world.repository.save(1, "good")
    return world
