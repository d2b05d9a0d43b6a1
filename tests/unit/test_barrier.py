"""The barrier of a check: how long it waits for what is on its way, and what it says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.agreement.barrier import Barrier, barrier
from lockstep.database import Access
from lockstep.operations.beside import Beside, Whereabouts
from lockstep.operations.opened import existing
from tests.support.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, claims=False)
    made.do("INSERT INTO users VALUES (1, NULL, NULL, 'u', NULL)")
    made.run()
    return made


def test_what_it_gave_up_on_is_waited_for_a_tenth(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody works what waits, as while the guard holds the mapping; each page of a check asks again."""
    mapping = world.pipeline().named("people")
    feed = mapping.source.feed()
    with existing(world.pipeline(), Access.CHANGE) as store:
        consumer = store.generations.consumer("people", mapping.target.name)
        assert consumer is not None
        standing = Beside(store, Whereabouts(None, None), lambda: True)
        wait = barrier(standing, feed, consumer, 1.0)
        assert wait() is None
        world.do("UPDATE users SET email = 'new' WHERE id = 1")
        said, took = timed(wait)
        assert said == "the source's log is not followed to its end, after 1 seconds"
        assert took >= 1.0
        said, took = timed(wait)
        assert said is not None
        assert took < 0.9
        world.run()
        assert wait() is None
        ls.backfill(world.pipeline(), "people")
        monkeypatch.setattr(Beside, "hold", lambda self, _: 7)
        said, took = timed(wait)
        assert said is not None
        assert "hints of this mapping wait to be worked, and the guard holds it (hold 7" in said
        assert took >= 1.0, "what was on its way had arrived in between"
    feed.close()


def timed(wait: Barrier) -> tuple[str | None, float]:
    began = time.monotonic()
    said = wait()
    return said, time.monotonic() - began
