"""What the guard counts: what is usual, what came back, and a clock that jumps."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import lockstep as ls
from tests.guard.test_holds import BACK, agrees, filled, run_held, standing
from tests.pairs.world import Following, World, until

pytestmark = pytest.mark.parametrize("world", ["sql"], indirect=True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the clock of this process so many seconds ahead of the real one, or behind."""
    real = time.time

    def jump(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: real() + seconds)

    return jump


def delete(world: World, first: int, last: int) -> None:
    world.do(f"DELETE FROM users WHERE id BETWEEN {first} AND {last}")


def history(world: World, removes: int) -> None:
    """As if each hour of the last two days so many had been removed."""
    minute = int(time.time() // 60)
    with sqlite3.connect(Path(world.state) / "ledger.db") as ledger:
        rows = [(1, minute - 60 * hour - 61, 0, removes) for hour in range(48)]
        ledger.executemany("INSERT INTO writes VALUES (?, ?, ?, ?)", rows)


def test_removals_as_on_any_day_are_not_held(world: World) -> None:
    filled(world)
    history(world, removes=60)
    delete(world, 1, 115)
    world.run()
    agrees(world)
    delete(world, 116, 125)
    run_held(world)


def test_what_comes_back_counts_no_more(world: World) -> None:
    """A job that removes rows and inserts them again, five times an hour."""
    filled(world)
    with Following(world):
        for _ in range(5):
            delete(world, 1, 60)
            until(lambda: len(world.actual()) == 440)
            world.do(BACK)
            until(lambda: len(world.actual()) == 500)
    assert standing(world) == []
    delete(world, 1, 101)  # what is removed and stays away counts as ever
    run_held(world)


def test_a_key_that_comes_back_is_netted_once(world: World) -> None:
    filled(world)
    delete(world, 1, 60)
    world.run()
    world.do(BACK)
    world.run()
    world.do("UPDATE users SET email = 'x' WHERE id <= 60")
    world.run()
    delete(world, 101, 160)
    world.run()
    delete(world, 201, 241)
    run_held(world)


def test_a_thousand_small_deletions_below_every_limit_of_a_batch(world: World) -> None:
    """One by one, each settled before the next."""
    world.do("INSERT INTO users SELECT i, 1, 'U' || i FROM generate_series(1001, 3000) i")
    world.run()
    held_at = None
    with Following(world):
        for key in range(1001, 2001):
            delete(world, key, key)
            if key % 25 == 0:
                until(lambda key=key: len(world.actual()) == 3060 - key or bool(standing(world)))  # type: ignore[misc]
                if standing(world):
                    held_at = key
                    break
    assert held_at is not None
    assert standing(world)[0].policy == "removals"
    assert 2060 - 206 <= len(world.actual()) <= 2060 - 181, "a tenth, and no more"


def test_a_clock_that_was_set_back_forgets_nothing_and_keeps_nothing_for_ever(
    world: World, clock: Callable[[float], None]
) -> None:
    filled(world)
    clock(10 * 86_400.0)
    delete(world, 1, 80)
    world.run()
    clock(0.0)
    delete(world, 81, 105)
    run_held(world)  # eighty were removed, whenever that was
    world.do("INSERT INTO users SELECT * FROM saved s WHERE s.id BETWEEN 81 AND 105")
    world.run()
    assert standing(world) == []
    delete(world, 81, 85)
    world.run()
    clock(2 * 3_600.0)
    delete(world, 86, 150)
    world.run()  # two hours later they do not count any more


def test_a_clock_that_jumps_ends_an_allowance(world: World, clock: Callable[[float], None]) -> None:
    filled(world)
    delete(world, 201, 500)
    run_held(world)
    for jump in (2 * 3_600.0, -86_400.0):
        clock(0.0)
        ls.approve(Path(world.state), standing(world)[0].id, why="gone", by="ada", within=3_600.0)
        clock(jump)
        run_held(world)
        assert [one.state for one in standing(world)] == ["open"], jump
        assert len(world.actual()) == 500
    clock(0.0)
    ls.approve(Path(world.state), standing(world)[0].id, why="gone", by="ada", within=3_600.0)
    world.run()
    agrees(world)


def test_what_the_target_does_not_hold_is_no_removal(world: World) -> None:
    """Keys whose records went long ago are compared again: the harmless deletes of them are nobody's loss."""
    filled(world)
    world.do("DELETE FROM users WHERE id > 100")
    run_held(world)
    (hold,) = standing(world)
    ls.approve(Path(world.state), hold.id, why="trials", by="ada")
    world.run()
    ls.redrive_keys(world.pipeline(), "people", (f"{number}\n" for number in range(101, 501)))
    world.run()
    assert not standing(world)
    agrees(world)
