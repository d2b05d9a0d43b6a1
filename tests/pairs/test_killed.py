"""kill -9 at every stage: a restart converges, nothing is lost and nothing doubled."""

from __future__ import annotations

import pytest

from tests.pairs.changes import CHANGES
from tests.pairs.world import World, until


@pytest.mark.parametrize("world", ["opensearch", "tantivy"], indirect=True)
@pytest.mark.parametrize("point", ["taken", "intended", "written", "settled", "journalled", "acknowledged"])
def test_kill_at_every_stage(world: World, point: str) -> None:
    """Killed there while it loads, and again while it follows changes; then it converges."""
    if point in ("taken", "intended", "written", "settled"):
        killed = world.spawn(crash=f"{point}:1")
        assert killed.wait(60) == -9
    world.run()
    for at, statements in enumerate(CHANGES.values()):
        world.do(*statements)
        if at == 2:
            killed = world.spawn(crash=point)
            assert killed.wait(60) == -9
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
