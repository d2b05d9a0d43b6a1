"""A target that is gone, replaced or emptied is noticed within seconds, and is not filled again unasked."""

from __future__ import annotations

import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

import lockstep as ls
from lockstep.engine.holds import asking
from tests.guard.test_holds import agrees, filled, held, standing
from tests.pairs.world import Following, World, until

SECONDS = 5.0
"""From wipe to hold, with default settings."""


class Target:
    """The target of a world, for who does it harm."""

    def __init__(self, world: World) -> None:
        self.kind, self.where, self.name = world.target.split("|")
        self.index = f"{self.where}/{self.name}-g1"
        self._kept: Any = None

    def sql(self, *statements: str) -> None:
        if self.kind == "postgres":
            with psycopg.connect(self.where) as connection:
                for statement in statements:
                    connection.execute(statement.format(f"out.{self.name}").encode())
            return
        lite = sqlite3.connect(self.where, timeout=30)
        with lite:
            for statement in statements:
                lite.execute(statement.format(self.name))
        lite.close()

    def ask(self, method: str, path: str = "", **json: Any) -> Any:
        answer = httpx.request(method, self.index + path, json=json or None, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def wipe(self, how: str) -> None:
        match how:
            case "index deleted":
                self.ask("DELETE")
            case "index made again by another":
                known = self.ask("GET")[f"{self.name}-g1"]
                self.ask("DELETE")
                self.ask("PUT", aliases=known["aliases"], mappings={"properties": {"a": {"type": "long"}}})
            case "all documents deleted":
                self.ask("POST", "/_delete_by_query?conflicts=proceed", query={"match_all": {}})
            case "half of them deleted":
                ids = [
                    hit["_id"] for hit in self.ask("GET", "/_search?size=250&_source=false")["hits"]["hits"]
                ]
                lines = "".join(f'{{"delete":{{"_id":"{one}"}}}}\n' for one in ids)
                head = {"Content-Type": "application/x-ndjson"}
                done = httpx.post(f"{self.index}/_bulk", content=lines, headers=head, timeout=30)
                assert not done.json()["errors"]
            case "directory removed":
                shutil.rmtree(self.where)
            case _:
                self.sql(how)


SQL = ["DROP TABLE {0}", "DELETE FROM {0}", "DELETE FROM {0} WHERE id % 2 = 0"]
INDEX = [
    *("index deleted", "index made again by another"),
    *("all documents deleted", "half of them deleted"),
]
WIPES = [
    *(("opensearch", how) for how in INDEX),
    *(("postgres", how) for how in (*SQL, "TRUNCATE {0}")),
    *(("sql", how) for how in SQL),
    ("tantivy", "directory removed"),
]
POLICY = {
    **dict.fromkeys(("index deleted", "directory removed", "DROP TABLE {0}"), "target-gone"),
    "index made again by another": "target-replaced",
}


def at_work(world: World) -> None:
    """Until the run writes what changes: by then it has looked at the target."""
    world.do("UPDATE users SET email = 'at work' WHERE id = 1")
    until(lambda: world.actual() == world.expected())


@pytest.mark.parametrize(("world", "how"), WIPES, indirect=["world"])
def test_a_wiped_target_is_held_within_seconds(world: World, how: str) -> None:
    filled(world)
    with Following(world):
        at_work(world)
        begun = time.monotonic()
        Target(world).wipe(how)
        one = held(world)
        took = time.monotonic() - begun
        assert (one.policy, one.kinds) == (POLICY.get(how, "target-emptied"), ("refill",))
        assert took < SECONDS, f"{took:.1f} s"
        assert "`lockstep restore" in one.reason
        assert one.expected == (250 if "half" in how or "%" in how else 500)
        until(lambda: ls.status(Path(world.state)).mappings[0].state == "held")
        world.do("UPDATE users SET email = 'new' WHERE id < 4")
        until(lambda: ls.status(Path(world.state)).mappings[0].waiting_live > 0, 10)  # the source is followed
        with pytest.raises(ls.LockstepError) as raised:  # a second run of it, by mistake
            world.run()
        assert "in use" in str(raised.value)


@pytest.mark.parametrize("world", ["opensearch", "postgres", "tantivy"], indirect=True)
def test_a_target_that_was_lost_is_filled_again_once_a_person_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LOOK_AGAIN", 1.0)
    filled(world)
    target = Target(world)
    with Following(world):
        how = {"opensearch": "index deleted", "postgres": "DROP TABLE {0}", "tantivy": "directory removed"}
        target.wipe(how[target.kind])
        one = held(world)
    with Following(world):  # it survives a restart
        until(lambda: standing(world)[0].seen_at > one.seen_at)
        assert (standing(world)[0].id, standing(world)[0].state) == (one.id, "open")
        assert world.actual_or_none() == {}, "nothing has come into being"
        world.do("UPDATE users SET email = 'meanwhile' WHERE id = 1")
        ls.approve(Path(world.state), one.id, why="there is no snapshot", by="ada")
        until(lambda: world.actual_or_none() == world.expected())
        agrees(world)
        until(lambda: standing(world) == [])
        (closed,) = ls.holds(Path(world.state), closed=True)
        assert (closed.decided_by, closed.used) in (("ada", 499), ("ada", 500)), "one of them was a change"
        target.wipe(how[target.kind])  # what was allowed was that once
        assert held(world).id != one.id


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_a_target_that_is_itself_again_needs_nobodys_word(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LOOK_AGAIN", 1.0)
    filled(world)
    target = Target(world)
    with Following(world):
        target.sql("CREATE TABLE kept AS SELECT * FROM {0}", "DELETE FROM {0}")
        held(world)
        world.do("UPDATE users SET email = 'meanwhile' WHERE id = 1", "DELETE FROM users WHERE id = 2")
        target.sql("INSERT INTO {0} SELECT * FROM kept")
        agrees(world)
        until(lambda: standing(world) == [])
    (closed,) = ls.holds(Path(world.state), closed=True)
    assert (closed.state, closed.decided_by) == ("closed", None)
    with sqlite3.connect(Path(world.state) / "ledger.db") as ledger:
        noted = ledger.execute("SELECT kind FROM events WHERE kind LIKE 'target-%'").fetchall()
    assert noted == [("target-emptied",)], "once, not each time that it was looked at"


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_no_more_is_filled_again_than_a_person_has_allowed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LOOK_AGAIN", 1.0)
    filled(world)
    with Following(world):
        Target(world).wipe("DELETE FROM {0}")
        one = held(world)
        ls.approve(Path(world.state), one.id, why="some", by="ada", most=100)
        until(lambda: any(other.id != one.id for other in standing(world)))
        assert world.actual() == {}, "a batch passes whole or not at all"
        ls.approve(Path(world.state), standing(world)[0].id, why="all", by="ada")
        agrees(world)


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_a_repair_of_an_emptied_target_is_held(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although nobody has looked at the target since it was emptied."""
    monkeypatch.setattr("lockstep.engine.holds.target_watch.LOOK_EVERY", 3600.0)
    filled(world)
    with Following(world):
        at_work(world)
        Target(world).wipe("DELETE FROM {0} WHERE id > 20")
        ls.backfill(world.pipeline(), "people", trust_target=True)
        assert held(world).policy == "target-emptied"
        assert len(world.actual()) == 20
