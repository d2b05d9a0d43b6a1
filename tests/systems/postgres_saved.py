"""A world with saved states of PostgreSQL tables, for the tests of them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lockstep.forms.keys import encode
from lockstep.systems.postgres import Postgres
from lockstep.systems.sql.target import SQLTarget
from lockstep.testing.writer_hooks import change, write
from lockstep.values import Record, version

USERS = "CREATE TABLE users (id bigint PRIMARY KEY, name text, email text UNIQUE, boss bigint)"


class World:
    """A database with a table of users, which can be saved."""

    def __init__(self, url: str, root: Path, made: str = USERS) -> None:
        self.url, self.place = url, root / "saved"
        self.do(made)
        self.users = self.target(url)
        with closing(self.users.open(1)) as writer:
            writer.create("m")
        self.repository = self.users.repository()

    def target(self, url: str) -> SQLTarget:
        return Postgres(url, snapshots=self.place).table("users")

    def do(self, *statements: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                found = cursor.fetchall() if cursor.description else []
        return found

    def put(self, records: dict[int, Record | None], epoch: int = 1) -> None:
        with closing(self.users.open(1)) as writer:
            write(
                writer,
                *(change(encode((n,)), one, version(epoch, n + 1)) for n, one in records.items()),
            )

    def rows(self, table: str = "users") -> list[tuple[Any, ...]]:
        return self.do(f"SELECT t::text FROM {table} AS t ORDER BY 1")

    def marker(self, generation: int = 1) -> str | None:
        with closing(self.users.open(generation)) as writer:
            found = writer.identity()
            return None if found is None else found.marker


@pytest.fixture
def world(postgres_url: str, tmp_path: Path) -> World:
    world = World(postgres_url, tmp_path)
    world.put({n: {"name": f"user {n}", "email": f"{n}@x.org"} for n in range(1, 21)})
    world.repository.save(1, "good")
    return world
