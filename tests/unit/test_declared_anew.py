"""A pipeline that changed between two runs: another target, another source, a mapping taken out and back."""

from __future__ import annotations

import shutil
import socket
import sqlite3
import time
from pathlib import Path

import pytest

import lockstep as ls
from tests.support.world import PEOPLE, World, people


def declared(world: World, source: str, target: str) -> ls.Pipeline:
    made = ls.Pipeline("world", state=world.root / "state")
    to = ls.SQLite(world.root / "out.db").table(target, columns=PEOPLE)
    made.mapping(ls.SQLite(world.root / source), to=to, name="people", version="1")(people)
    return made


def agrees(pipeline: ls.Pipeline) -> int:
    assert ls.run(pipeline, once=True).stopped == {}
    report = ls.verify(pipeline, "people", method="deep")
    assert report.agreement, report.divergences[:3]
    return report.records_compared


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, claims=False)
    made.do(
        "INSERT INTO companies VALUES (1, 'Bolt')",
        "INSERT INTO users VALUES (1, 1, NULL, 'a', 0), (2, 1, 1, 'b', 0)",
    )
    return made


def test_another_target_is_filled_from_the_start(world: World) -> None:
    assert agrees(declared(world, "app.db", "one")) == 2
    assert agrees(declared(world, "app.db", "two")) == 2
    (status,) = ls.status(world.root / "state").mappings
    assert status.target.endswith("two")


def test_back_to_the_first_target_after_changes(world: World) -> None:
    agrees(declared(world, "app.db", "one"))
    agrees(declared(world, "app.db", "two"))
    world.do("DELETE FROM users WHERE id = 2", "UPDATE users SET email = 'c' WHERE id = 1")
    assert agrees(declared(world, "app.db", "two")) == 1
    assert agrees(declared(world, "app.db", "one")) == 1


def test_another_source_takes_over_the_records_of_the_first(world: World) -> None:
    agrees(declared(world, "app.db", "one"))
    shutil.copy(world.root / "app.db", world.root / "other.db")
    other = sqlite3.connect(world.root / "other.db")
    with other:
        other.execute("DELETE FROM users WHERE id = 1")
        other.execute("INSERT INTO users VALUES (3, 1, NULL, 'd', 0)")
    other.close()
    assert agrees(declared(world, "other.db", "one")) == 2


def test_once_does_not_wait_for_ever_for_a_target(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockstep.engine.consumers.patience._PATIENCE", 0.5)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    pipeline = ls.Pipeline("world", state=world.root / "state")
    to = ls.OpenSearch(url).index("people")
    pipeline.mapping(ls.SQLite(world.app), to=to, name="people", version="1")(people)
    begun = time.monotonic()
    with pytest.raises(ls.Unreachable):
        ls.run(pipeline, once=True)
    assert time.monotonic() - begun < 20
