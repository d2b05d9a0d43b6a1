"""A target that already holds records of others is taken over, and what is equal is not rewritten."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

import lockstep as ls
from lockstep.agreement.cause import ADOPTED
from lockstep.errors import Declined, NothingYet
from tests.pairs.world import World

KILLED = ("created", "intended:2", "written:1", "written:3", "settled:2")


Do = Callable[..., list[tuple[Any, ...]]]


@contextlib.contextmanager
def table_of(world: World) -> Iterator[tuple[Do, str]]:
    """What somebody else does to the target's database, and the table's name there."""
    kind, where, name = world.target.split("|")
    connection: Any = sqlite3.connect(where) if kind == "sql" else psycopg.connect(where)

    def do(statement: str, *values: object) -> list[tuple[Any, ...]]:
        if kind == "postgres":
            cursor = connection.execute(statement.replace("?", "%s").encode(), values or None)
            return list(cursor.fetchall()) if cursor.description else []
        return list(connection.execute(statement, values).fetchall())

    with contextlib.closing(connection):
        yield do, f"out.{name}" if kind == "postgres" else name
        connection.commit()


def filled(world: World) -> None:
    """What an importer of somebody else's left: most of it right, in its own words, with a column more; every
    write from now on is counted."""
    with table_of(world) as (do, name):
        kinds = ("jsonb", "json") if name.startswith("out.") else ("JSON", "JSON")
        do(
            f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, email TEXT, company TEXT, tags {kinds[0]}, "
            f"threads {kinds[1]}, note TEXT)"
        )
        for key, one in world.expected().items():
            do(
                f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, 'theirs')",
                int(key),
                one["email"],
                one["company"],
                json.dumps(one["tags"], indent=1),
                json.dumps(one["threads"]),
            )
        do(f"UPDATE {name} SET email = 'wrong' WHERE id IN (5, 6)")
        do(f"DELETE FROM {name} WHERE id IN (7, 8, 9)")
        do(f"INSERT INTO {name} (id, email) VALUES (900, 'old'), (901, 'old')")
        counted(do, name)


def counted(do: Do, name: str) -> None:
    """From now on, the ids of rows that are written are in a table `touched`."""
    if name.startswith("out."):
        do("CREATE TABLE out.touched (id INTEGER)")
        do(
            "CREATE FUNCTION out.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO out.touched VALUES (coalesce(new.id, old.id)); RETURN NULL; END $$"
        )
        do(
            f"CREATE TRIGGER touched AFTER INSERT OR UPDATE OR DELETE ON {name} "
            "FOR EACH ROW EXECUTE FUNCTION out.touch()"
        )
        return
    do("CREATE TABLE touched (id INTEGER)")
    for what, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
        do(f"CREATE TRIGGER t{what} AFTER {what} ON {name} BEGIN INSERT INTO touched VALUES ({row}.id); END")


def touched(world: World) -> list[int]:
    with table_of(world) as (do, name):
        return sorted(row for (row,) in do(f"SELECT id FROM {'out.' * name.startswith('out.')}touched"))


FOUND = {"equal": 55, "different": 2, "source-only": 3, "target-only": 2}


@pytest.mark.parametrize("world", ["sql", "postgres"], indirect=True)
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
    left = {(one.kind, one.target_key or one.key) for one in deep.divergences}
    assert left == {("different", "5"), ("different", "6"), ("extra", "900"), ("extra", "901")}
    for report in (deep, ls.verify(world.pipeline(), "people")):
        assert report.counts == {"different": 2, "extra": 2}, "each record once"
        assert report.target_records == 62, "those that were left, and those of nobody, too"
        said = {one.key: ([field.path for field in one.fields], one.cause) for one in report.divergences}
        assert said["5"] == (["email"], ADOPTED)
    world.do("UPDATE users SET email = 'new' WHERE id = 6")
    world.run()
    assert touched(world) == [6, 7, 8, 9], "a change of the source writes what was left"
    world.do("UPDATE users SET last_seen = now() WHERE id = 5")
    world.run()
    world.do("DELETE FROM users WHERE id IN (5, 6)")
    world.run()
    assert touched(world) == [6, 6, 7, 8, 9], "what was left is not ours to remove"
    extra = ls.verify(world.pipeline(), "people")
    assert {(one.kind, one.target_key) for one in extra.divergences} == {
        ("extra", key) for key in ("5", "900", "901")
    }
    with pytest.raises(ls.Refused, match="taken over already"):
        ls.adopt(world.pipeline(), "people")


@pytest.mark.parametrize("world", ["sql", "postgres"], indirect=True)
def test_what_differs_is_written_where_asked(world: World) -> None:
    filled(world)
    ls.adopt(world.pipeline(), "people", take_different=True)
    assert touched(world) == []
    world.run()
    assert touched(world) == [5, 6, 7, 8, 9]
    assert world.actual() == world.expected()
    with table_of(world) as (do, name):
        assert do(f"SELECT note FROM {name} WHERE id = 5") == [("theirs",)]


@pytest.mark.parametrize("world", ["sql", "postgres"], indirect=True)
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


def another_programs_index(world: World) -> list[Path]:
    """Its files: one with a schema of its own, where Lockstep's first build would be."""
    tantivy = pytest.importorskip("tantivy")
    _, where, name = world.target.split("|")
    place = Path(where) / f"{name}-g1"
    place.mkdir(parents=True)
    schema = tantivy.SchemaBuilder().add_text_field("title", stored=True).build()
    writer = tantivy.Index(schema, path=str(place)).writer()
    writer.add_document(tantivy.Document(title="theirs"))
    writer.commit()
    writer.wait_merging_threads()
    return sorted(place.iterdir())


@pytest.mark.parametrize("world", ["tantivy", "sql", "postgres"], indirect=True)
def test_what_cannot_be_taken_over(world: World) -> None:
    if world.target.startswith("tantivy"):
        theirs = another_programs_index(world)
        with pytest.raises(Declined, match="its fields were fixed when it was made") as declined:
            ls.adopt(world.pipeline(), "people", dry_run=True)
        assert "a directory or name of its own" in declined.value.remedy
        said = [one for one in ls.check(world.pipeline()) if str(theirs[0].parent) in one.problem]
        assert [one.blocks for one in said] == [True]
        with pytest.raises(ls.Refused):
            world.run()
        assert [path.stat().st_mtime_ns for path in theirs] == [
            path.stat().st_mtime_ns for path in sorted(theirs[0].parent.iterdir())
        ]
        return
    assert ls.adopt(world.pipeline(), "people").outcome == "absent"
    assert not Path(world.state).exists()
    with table_of(world) as (do, name):
        do(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, email TEXT)")
        do(f"INSERT INTO {name} VALUES (1, 'x')")
    with pytest.raises(Declined, match="no column company"):
        ls.adopt(world.pipeline(), "people")


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_a_check_of_what_was_never_written_says_that(world: World) -> None:
    filled(world)
    with pytest.raises(ls.LockstepError):
        world.run()
    for method in ("fast", "deep", "sample"):
        with pytest.raises(NothingYet, match=r"nothing was written .* yet") as raised:
            ls.verify(world.pipeline(), "people", method=method)
        assert "lockstep check" in raised.value.remedy


class Person(ls.Model, table="people"):
    id: int = ls.key()
    email: str


def test_it_can_be_checked_before_the_first_run_follows_its_source(tmp_path: Path) -> None:
    for name in ("app.db", "out.db"):
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as connection, connection:
            connection.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT NOT NULL)")
            connection.executemany("INSERT INTO people VALUES (?, ?)", [(n, f"u{n}") for n in range(1, 61)])
    with contextlib.closing(sqlite3.connect(tmp_path / "out.db")) as connection, connection:
        connection.execute("UPDATE people SET email = 'wrong' WHERE id = 7")
    pipeline = ls.Pipeline("early", state=tmp_path / "state")

    def person(one: Person) -> dict[str, object]:
        return {"email": one.email}

    target = ls.SQLite(tmp_path / "out.db").table("people", key=("id",))
    pipeline.mapping(ls.SQLite(tmp_path / "app.db"), to=target, name="people", version="1")(person)
    assert ls.adopt(pipeline, "people").counts == {"equal": 59, "different": 1}
    for method in ("fast", "deep"):
        assert ls.verify(pipeline, "people", method=method).counts == {"different": 1}
    ls.run(pipeline, once=True)
    assert ls.verify(pipeline, "people").counts == {"different": 1}
