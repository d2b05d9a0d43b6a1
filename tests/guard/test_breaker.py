"""A mapping of which most keys fail is held, tries a few again after a while, and goes on by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.engine.holds import asking, breaker
from tests.guard.test_holds import agrees, filled, held, standing
from tests.pairs.world import Following, World, until

pytestmark = pytest.mark.parametrize("world", ["sql"], indirect=True)
EVERYBODY = "UPDATE users SET email = 'poison'"
MENDED = "UPDATE users SET email = 'U' || id || '@example.com'"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    def until_half_open(seconds: float) -> None:
        monkeypatch.setattr(breaker, "FIRST_WAIT", seconds)

    monkeypatch.setattr(asking, "LOOK_AGAIN", 0.5)
    until_half_open(1.0)
    return until_half_open


def stuck(world: World) -> int:
    return ls.status(Path(world.state)).mappings[0].stuck


def test_it_opens_and_closes_by_itself(world: World, patient: object) -> None:
    filled(world)
    with Following(world):
        world.do(EVERYBODY)
        one = held(world)
        assert (one.policy, one.kinds, one.state) == ("error-share", (), "open")
        assert (one.numbers["tried"], one.numbers["failed"]) == (500, 500)
        assert "500 of the last 500 keys failed, such as key " in one.reason
        assert "this address is poison" in one.reason
        until(lambda: ls.status(Path(world.state)).mappings[0].state == "held")
        until(lambda: standing(world)[0].seen_at > one.seen_at)  # half open, and opened again
        assert [other.id for other in standing(world)] == [one.id]
        world.do(MENDED)
        until(lambda: standing(world) == [])
        agrees(world)
        assert stuck(world) == 0


def test_where_nothing_is_hinted_stuck_keys_are_tried(world: World, patient: object) -> None:
    """The code is mended, as it were: no row changes, and nobody starts anything."""
    filled(world)
    pipeline = world.pipeline()
    mapping, mended = pipeline.mappings["people"], pipeline.mappings["people"].function

    def fails(user: object) -> dict[str, object]:
        raise ValueError("nonsense")

    mapping.function = fails
    with Following(world, pipeline):
        world.do("UPDATE users SET email = 'new-' || id")
        held(world)
        time.sleep(1.5)
        assert len(standing(world)) == 1
        mapping.function = mended
        until(lambda: standing(world) == [])
        ls.retry(world.pipeline(), "people")
        agrees(world)


def test_half_open_lets_a_few_through(world: World, patient: object) -> None:
    filled(world)
    pipeline, tried = world.pipeline(), 0

    def fails(user: object) -> dict[str, object]:
        nonlocal tried
        tried += 1
        raise ValueError("nonsense")

    pipeline.mappings["people"].function = fails
    with Following(world, pipeline):
        world.do("UPDATE users SET email = 'new-' || id")
        one = held(world)
        before = tried
        until(lambda: standing(world)[0].seen_at > one.seen_at)
        assert 0 < tried - before <= breaker.PROBE


def test_a_restart_tries_a_few_first(world: World, patient: Callable[[float], None]) -> None:
    patient(3600.0)
    filled(world)
    with Following(world):
        world.do(EVERYBODY)
        one = held(world)
    world.do(MENDED)
    with Following(world):
        agrees(world)
        until(lambda: standing(world) == [])
    (closed,) = ls.holds(Path(world.state), closed=True)
    assert (closed.id, closed.decided_by) == (one.id, None)


def test_a_person_may_say_that_it_is_mended(world: World, patient: Callable[[float], None]) -> None:
    patient(3600.0)
    filled(world)
    with Following(world):
        world.do(EVERYBODY)
        one = held(world)
        ls.approve(Path(world.state), one.id, why="mended, I think", by="ada")
        until(lambda: standing(world)[0].id != one.id)  # it was not
        world.do(MENDED)
        ls.approve(Path(world.state), standing(world)[0].id, why="now", by="ada")
        agrees(world)
        until(lambda: standing(world) == [])


def test_a_run_that_is_to_end_does_not_wait(world: World, patient: object) -> None:
    filled(world)
    world.do(EVERYBODY)
    with pytest.raises(ls.MappingStopped, match="500 of the last 500 keys failed"):
        world.run()
