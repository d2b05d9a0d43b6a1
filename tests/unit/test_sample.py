"""Code that changed beside a mapping's own module is noticed at the next start."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.declaration.mapping import Clock
from lockstep.engine.holds import sample
from lockstep.operations.run import run
from lockstep.state.store import Store
from tests.support.world import PEOPLE, Person, User, World, run_quickly

SAID = "the code has changed"


class Helper:
    """What stands in another module: `shown` is the code that somebody edits."""

    shown: Callable[[str], str] = str.lower


def declared(world: World) -> ls.Pipeline:
    made = ls.Pipeline("world", state=world.root / "state")
    target = ls.SQLite(world.out).table("people", columns=PEOPLE)

    @made.mapping(ls.SQLite(world.app), to=target, version="1", guard=ls.Guard(in_place=10_000))
    def people(user: Person) -> dict[str, object]:
        return {
            "id": user.id,
            "email": Helper.shown(user.email),
            "company": user.company and user.company.name,
        }

    return made


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(Helper, "shown", str.lower)
    made = World(tmp_path, claims=False)
    made.do(
        "INSERT INTO companies VALUES (1, 'Bolt')",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
        "INSERT INTO users SELECT i, 1, NULL, 'User' || i, 0 FROM n",
    )
    run_quickly(declared(made))
    return made


def emails(world: World) -> list[str]:
    return [one["email"] for one in world.actual()["people"]]


def test_another_helper_is_another_meaning(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Helper, "shown", str.upper)
    with caplog.at_level(logging.INFO, "lockstep"):
        run_quickly(declared(world))
    assert SAID in caplog.text
    assert set(emails(world)) == {f"USER{i}" for i in range(1, 1001)}
    caplog.clear()
    with caplog.at_level(logging.INFO, "lockstep"):
        run_quickly(declared(world))
    assert SAID not in caplog.text, "it means the same as before"


def test_a_change_that_concerns_the_end_of_the_keys_is_met(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One record in forty, all of them in one place."""
    late = {f"User{i}" for i in range(950, 975)}
    monkeypatch.setattr(Helper, "shown", lambda email: "late" if email in late else email.lower())
    run_quickly(declared(world))
    assert emails(world).count("late") == 25


def test_a_helper_that_raises_now_is_another_meaning(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(email: str) -> str:
        if email.endswith("7"):
            raise ValueError(email)
        return email.lower()

    monkeypatch.setattr(Helper, "shown", raising)
    run_quickly(declared(world))
    assert len(ls.stuck(world.root / "state", "people")) == 100
    monkeypatch.setattr(Helper, "shown", str.lower)


def test_what_changed_in_the_source_meanwhile_is_no_change_of_code(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.do("UPDATE users SET email = 'Other'", "UPDATE companies SET name = 'Nut'")
    with caplog.at_level(logging.INFO, "lockstep"):
        run_quickly(declared(world))
    assert SAID not in caplog.text
    assert set(emails(world)) == {"other"}


def test_a_date_that_has_come_is_no_change_of_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, claims=False)
    world.do("INSERT INTO users VALUES (1, NULL, NULL, 'a', 0)")
    begins = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=1.5)
    made = ls.Pipeline("world", state=world.root / "state")

    @made.mapping(ls.SQLite(world.app), to=ls.SQLite(world.out).table("people", columns=PEOPLE), version="1")
    def people(user: User, clock: Clock) -> dict[str, object]:
        return {"id": user.id, "email": "late" if clock.reached(begins) else "early"}

    run_quickly(made)
    assert emails(world) == ["early"]
    monkeypatch.setattr("time.time", lambda: begins.timestamp() + 1)
    with caplog.at_level(logging.INFO, "lockstep"):
        run_quickly(made)
    assert SAID not in caplog.text
    assert emails(world) == ["late"]


def test_a_spread_is_from_all_over_the_keys(world: World) -> None:
    store = Store(world.root / "state")
    found = [row.key for row in store.ledger.spread(1, 200)]
    every = store.ledger.keys(1, None, None, 10_000)
    store.close()
    assert len(found) == len(set(found)) <= 200
    tenths = [sum(key in found for key in every[at : at + 100]) for at in range(0, 1000, 100)]
    assert min(tenths) > 5, tenths


def test_a_slow_mapping_is_tried_on_fewer_keys_from_all_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def slow(email: str) -> str:
        tried.append(email)
        time.sleep(0.05)
        return email.lower()

    monkeypatch.setattr(Helper, "shown", slow)
    monkeypatch.setattr(sample, "LONGEST", 1.0)
    run_quickly(declared(world))
    assert 10 < len(tried) < 40, "all 200 take ten seconds"
    thirds = {int(email.removeprefix("User")) * 3 // 1_001 for email in tried}
    assert thirds == {0, 1, 2}


def test_a_mapping_that_does_not_return_holds_up_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried at the start; the log is followed meanwhile, and so are the other mappings."""
    pipeline = declared(world)
    to = ls.SQLite(world.out).table("others", columns={"id": "INTEGER", "email": "TEXT"})

    @pipeline.mapping(ls.SQLite(world.app), to=to, version="1")
    def others(user: User) -> dict[str, object]:
        return {"id": user.id, "email": user.email}

    run_quickly(pipeline)
    returns, reached, stop = threading.Event(), threading.Event(), threading.Event()

    def hanging(email: str) -> str:
        reached.set()
        returns.wait(60)
        return email.lower()

    monkeypatch.setattr(Helper, "shown", hanging)
    following = threading.Thread(target=lambda: run(pipeline, stop=stop))
    following.start()
    try:
        assert reached.wait(20)
        world.do("UPDATE users SET email = 'Other' WHERE id = 1")
        end = time.monotonic() + 20
        with contextlib.closing(sqlite3.connect(world.out)) as target:
            while target.execute("SELECT email FROM others WHERE id = 1").fetchone() != ("Other",):
                assert time.monotonic() < end, "the other mapping waits for this one"
                time.sleep(0.05)
        assert not returns.is_set()
    finally:
        returns.set()
        stop.set()
        following.join(60)
    run_quickly(pipeline)
    assert emails(world)[0] == "other"
