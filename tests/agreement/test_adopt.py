"""A target that already holds records of others is taken over, and what is equal is not rewritten."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lockstep as ls
from tests.pairs.world import World

KILLED = ("created", "intended:2", "written:1", "written:3", "settled:2")


@contextlib.contextmanager
def table_of(world: World) -> Iterator[tuple[sqlite3.Connection, str]]:
    _, where, name = world.target.split("|")
    with contextlib.closing(sqlite3.connect(where)) as connection:
        yield connection, name
        connection.commit()


def filled(world: World) -> None:
    """What an importer of somebody else's left: most of it right, in its own words, with a column more; every
    write from now on is counted."""
    with table_of(world) as (connection, name):
        connection.execute(
            f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, email TEXT, company TEXT, tags JSON, "
            "threads JSON, note TEXT)"
        )
        connection.executemany(
            f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, 'theirs')",
            [
                (
                    int(key),
                    one["email"],
                    one["company"],
                    json.dumps(one["tags"], indent=1),
                    json.dumps(one["threads"]),
                )
                for key, one in world.expected().items()
            ],
        )
        connection.execute(f"UPDATE {name} SET email = 'wrong' WHERE id IN (5, 6)")
        connection.execute(f"DELETE FROM {name} WHERE id IN (7, 8, 9)")
        connection.execute(f"INSERT INTO {name} (id, email) VALUES (900, 'old'), (901, 'old')")
        connection.execute("CREATE TABLE touched (id INTEGER)")
        for what, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            connection.execute(
                f"CREATE TRIGGER t{what} AFTER {what} ON {name} "
                f"BEGIN INSERT INTO touched VALUES ({row}.id); END"
            )


def touched(world: World) -> list[int]:
    with table_of(world) as (connection, _):
        return sorted(row for (row,) in connection.execute("SELECT id FROM touched"))


FOUND = {"equal": 55, "different": 2, "source-only": 3, "target-only": 2}


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_what_is_equal_is_taken_over_and_what_differs_is_left(world: World) -> None:
    filled(world)
    plan = ls.adopt(world.pipeline(), "people", dry_run=True)
    assert (plan.outcome, plan.counts) == ("planned", FOUND)
    shown = {one.target_key: [field.path for field in one.fields] for one in plan.examples}
    assert shown == {"5": ["email"], "6": ["email"], "7": [], "8": [], "9": [], "900": [], "901": []}
    assert not Path(world.state).exists(), "a plan makes no state"
    done = ls.adopt(world.pipeline(), "people")
    assert (done.outcome, done.counts) == ("adopted", FOUND)
    assert touched(world) == []
    world.run()
    assert touched(world) == [7, 8, 9]
    deep = ls.verify(world.pipeline(), "people", method="deep")
    left = {one.target_key or one.key for one in deep.divergences}
    assert left == {"5", "6", "900", "901"}
    assert {one.kind for one in deep.divergences} <= {"different", "extra"}
    world.do("UPDATE users SET email = 'new' WHERE id = 6")
    world.run()
    assert touched(world) == [6, 7, 8, 9], "a change of the source writes what was left"
    with pytest.raises(ls.Refused, match="taken over already"):
        ls.adopt(world.pipeline(), "people")


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_what_differs_is_written_where_asked(world: World) -> None:
    filled(world)
    ls.adopt(world.pipeline(), "people", take_different=True)
    assert touched(world) == []
    world.run()
    assert touched(world) == [5, 6, 7, 8, 9]
    assert world.actual() == world.expected()
    with table_of(world) as (connection, name):
        assert connection.execute(f"SELECT note FROM {name} WHERE id = 5").fetchone() == ("theirs",)


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_killed_at_any_moment_it_goes_on(world: World) -> None:
    world.do("INSERT INTO users SELECT i, 1, 'many' || i FROM generate_series(1000, 4999) i")
    filled(world)
    for crash in KILLED:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LOCKSTEP_CRASH": crash}
        given = [str(world.root), world.url, world.target]
        code = (
            "import sys; from pathlib import Path; import lockstep as ls\n"
            "from tests.pairs.world import World\n"
            "ls.adopt(World(Path(sys.argv[1]), *sys.argv[2:]).pipeline(), 'people')"
        )
        killed = subprocess.run(
            [sys.executable, "-c", code, *given], env=environment, timeout=120, check=False
        )
        assert killed.returncode == -9, crash
        with pytest.raises(ls.Refused, match="half taken over"):
            world.run()
        assert touched(world) == []
    done = ls.adopt(world.pipeline(), "people")
    assert done.counts == {**FOUND, "equal": 4055}
    world.run()
    assert touched(world) == [7, 8, 9]


@pytest.mark.parametrize("world", ["tantivy", "sql"], indirect=True)
def test_what_cannot_be_taken_over(world: World) -> None:
    if world.target.startswith("tantivy"):
        with pytest.raises(ls.Refused, match="cannot be taken over"):
            ls.adopt(world.pipeline(), "people", dry_run=True)
        return
    assert ls.adopt(world.pipeline(), "people").outcome == "nothing"
    assert not Path(world.state).exists()
    with table_of(world) as (connection, name):
        connection.execute(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, email TEXT)")
        connection.execute(f"INSERT INTO {name} VALUES (1, 'x')")
    with pytest.raises(ls.Refused, match="no column company"):
        ls.adopt(world.pipeline(), "people")
