"""A row that a hundred thousand roots share changes: in bounded memory, and never before what is fresh."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from lockstep.engine.consumers.loop import AT_ONCE
from tests.pairs.world import Following, World, until

ROOTS = 100_000


def told(world: World, condition: str) -> int:
    """How many records the target holds of which that is true."""
    table = world.target.rpartition("|")[2]
    with contextlib.closing(sqlite3.connect(world.root / "out", timeout=30)) as target:
        (found,) = target.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()
    return int(found)


def following(world: World) -> bool:
    with world.connect() as connection:
        active = "SELECT count(*) FROM pg_replication_slots WHERE active AND database = current_database()"
        return connection.execute(active.encode()).fetchone() == (1,)


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_a_row_that_a_hundred_thousand_share(world: World) -> None:
    world.do(
        "TRUNCATE users, users_tags, conversations, messages",
        f"INSERT INTO users SELECT i, 1, 'U' || i FROM generate_series(1, {ROOTS}) i",
    )
    load = world.peak()
    world.do("UPDATE companies SET name = 'second' WHERE id = 1")
    assert world.peak() < 1.3 * load, "what depends on one row is not held at once"
    assert told(world, "company = 'second'") == ROOTS
    with Following(world):
        until(lambda: following(world))
        world.do("UPDATE companies SET name = 'third' WHERE id = 1")
        until(lambda: told(world, "company = 'third'") > 0)
        before = told(world, "company = 'third'")
        world.do(f"UPDATE users SET email = 'fresh' WHERE id = {ROOTS}")
        until(lambda: told(world, f"id = {ROOTS} AND email = 'fresh'") == 1)
        meanwhile = told(world, "company = 'third'") - before
        assert meanwhile <= 5 * AT_ONCE, "a few batches, not all"
        until(lambda: told(world, "company = 'third'") == ROOTS)
