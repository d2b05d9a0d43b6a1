"""A target of two mappings that was lost: it is one loss, and one decision."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.engine.holds import asking
from tests.crash.test_shared_target import companies, held, pipeline, users
from tests.pairs.world import until
from tests.support.world import World, run_quickly

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) "


@pytest.mark.parametrize("running", [False, True], ids=["while nothing ran", "while it ran"])
@pytest.mark.parametrize("how", ["DROP TABLE shared", "DELETE FROM shared"])
def test_one_word_is_enough_for_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, running: bool
) -> None:
    monkeypatch.setattr(asking, "LOOK_AGAIN", 1.0)
    world, stop, state = World(tmp_path), threading.Event(), tmp_path / "state"
    world.do(
        f"{NUMBERS.format(400)} INSERT INTO users (id, email) SELECT i, 'u' || i FROM n",
        f"{NUMBERS.format(40)} INSERT INTO companies SELECT i, 'c' || i FROM n",
    )
    both = pipeline(tmp_path, users, companies)
    run_quickly(both)
    before = held(tmp_path)
    assert len(before) == 440

    def wipe() -> None:
        with sqlite3.connect(tmp_path / "out.db", timeout=30) as out:
            out.execute(how)

    if not running:
        wipe()
    thread = threading.Thread(target=lambda: ls.run(both, stop=stop))
    thread.start()
    try:
        if running:
            until(lambda: ls.status(state).running is not None)
            wipe()
        until(lambda: len(ls.holds(state)) == 2)
        assert {one.mapping for one in ls.holds(state)} == {"users", "companies"}
        world.do("UPDATE users SET email = 'new' WHERE id = 1")
        ls.approve(state, ls.holds(state)[0].id, why="no snapshot", by="ada")
        assert {one.decided_by for one in ls.holds(state)} == {"ada"}
        until(lambda: ls.holds(state) == [])
        assert held(tmp_path) == {**{k: v for k, v in before.items() if k != "u1"}, "new": "user 1"}
    finally:
        stop.set()
        thread.join(60)
