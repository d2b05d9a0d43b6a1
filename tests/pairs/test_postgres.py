"""PostgreSQL to every target: whatever changes, the documents follow."""

from __future__ import annotations

from pathlib import Path

import lockstep as ls
from tests.pairs.changes import CHANGES
from tests.pairs.world import Following, World, until


def test_every_level(world: World) -> None:
    result = world.run()
    assert result.stopped == {}
    world.assert_agreement()
    assert len(world.actual()) == 60
    for name, statements in CHANGES.items():
        world.do(*statements)
        assert world.actual() != world.expected(), name
        world.run()
        assert world.actual() == world.expected(), name
    world.assert_agreement()


def test_every_level_while_it_runs(world: World) -> None:
    with Following(world):
        until(lambda: len(world.actual_or_none()) == 60)
        for statements in CHANGES.values():
            world.do(*statements)
        until(lambda: world.actual() == world.expected())
    world.assert_agreement()


def test_commit_order_is_not_begin_order(world: World) -> None:
    """Two open transactions, and the first to begin commits last, long after the other was worked."""
    with Following(world), world.connect() as first, world.connect() as second:
        until(lambda: len(world.actual_or_none()) == 60)
        first.execute("BEGIN")
        first.execute("UPDATE users SET email = 'first' WHERE id = 30")
        second.execute("BEGIN")
        second.execute("UPDATE users SET email = 'second' WHERE id = 31")
        second.execute("COMMIT")
        until(lambda: world.actual()["31"]["email"] == "second")
        first.execute("COMMIT")
        until(lambda: world.actual()["30"]["email"] == "first")
    world.assert_agreement()


def test_poison_stops_nobody_and_clears_itself(world: World) -> None:
    world.do("UPDATE users SET email = 'poison' WHERE id IN (40, 41)")
    world.run()
    stuck = ls.stuck(world.pipeline().state or Path(), "people")
    assert (
        sorted(one.error.partition(" (")[0] for one in stuck)
        == ["the mapping raised ValueError: this address is poison"] * 2
    )
    assert world.actual() == world.expected()
    world.do("UPDATE users SET email = 'well' WHERE id = 40", "DELETE FROM users WHERE id = 41")
    world.run()
    assert ls.stuck(world.pipeline().state or Path(), "people") == []
    world.assert_agreement()
