"""kill -9 at every stage: a restart converges, nothing is lost and nothing doubled."""

from __future__ import annotations

import pytest

import lockstep as ls
from lockstep.engine.points import POINTS
from tests.pairs.changes import CHANGES
from tests.pairs.world import World, until

LOADING = ("begun", "hinted", "created", "taken", "drawn", "derived", "intended", "written", "settled")
FOLLOWING = ("caught", "journalled", "acknowledged", *LOADING[3:])
ELSEWHERE = ("recovered", "retrying", "appended", "released", "trimmed")
"""Points that take more than a load and some changes: in `tests/crash`, on embedded parts."""


def killed_at(world: World, point: str) -> None:
    killed = world.spawn(crash=f"{point}:1")
    assert killed.wait(60) == -9, f"it never came to {point}"


def test_every_point_is_here_or_elsewhere() -> None:
    assert {*LOADING, *FOLLOWING, *ELSEWHERE} == set(POINTS)


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_killed_at_every_stage_one_after_another(world: World) -> None:
    """While it loads, while it follows, and while what the last crash left is recovered."""
    for point in LOADING:
        killed_at(world, point)
    world.do("UPDATE users SET email = 'same'")
    world.run()
    world.assert_agreement()
    for at, point in enumerate(FOLLOWING):
        some = f"WHERE id % 7 = {at % 7}"
        world.do(f"UPDATE users SET email = 'other' {some}", *CHANGES["child" if at % 2 else "links"])
        killed_at(world, point)
        world.do(f"UPDATE users SET email = 'same' {some}", "DELETE FROM conversations WHERE id = 1000")
        if point == "written":
            killed_at(world, "recovered")
        world.run()
        world.assert_agreement()


@pytest.mark.parametrize("world", ["tantivy"], indirect=True)
@pytest.mark.parametrize("point", ["taken", "intended", "written", "settled", "journalled", "acknowledged"])
def test_kill_at_every_stage(world: World, point: str) -> None:
    """Killed there while it loads, and again while it follows changes; then it converges."""
    if point in LOADING:
        killed_at(world, point)
    world.run()
    for at, statements in enumerate(CHANGES.values()):
        world.do(*statements)
        if at == 2:
            killed_at(world, point)
    world.run()
    world.assert_agreement()


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_killed_while_a_new_generation_is_built(world: World) -> None:
    """The old one stands untouched meanwhile; what changes meanwhile is in the new one."""
    world.run()
    ls.backfill(world.pipeline(), "people", rebuild=True)
    before = world.actual()
    for at, point in enumerate(LOADING[2:]):
        world.do(
            f"UPDATE users SET email = 'meanwhile {at}' WHERE id % 5 = {at % 5}",
            f"DELETE FROM users WHERE id = {at + 1}",
        )
        killed_at(world, point)
    assert world.actual() == before
    world.generation = 2
    world.run()
    world.assert_agreement()


def test_killed_while_it_follows(world: World) -> None:
    process = world.spawn(once=False)
    until(lambda: len(world.actual_or_none()) == 60)
    process.kill()
    assert process.wait(30) == -9
    world.do(*CHANGES["child"])
    world.run()
    world.assert_agreement()
