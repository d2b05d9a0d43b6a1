"""A build that is removed after the books said it is live, and before readers were pointed to it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lockstep.errors import Refused, UsageError
from lockstep.operations.verify import verify
from lockstep.recovery import pointing
from lockstep.recovery.deploy import deploy
from lockstep.recovery.restore import restore
from lockstep.recovery.rollback import rollback
from tests.recovery.world import RecoveryWorld, saved_world, soon, wipe


@pytest.fixture
def world(tmp_path: Path) -> RecoveryWorld:
    """Deployed once: generation 2 is live, 1 is kept."""
    made = saved_world(tmp_path)
    deploy(made.pipeline())
    return made


def removed(world: RecoveryWorld, generation: int) -> None:
    shutil.rmtree(world.root / "search" / f"people-g{generation}")


def test_what_readers_see_is_live_again_and_the_error_says_so(
    world: RecoveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at(point: str) -> None:
        if point == "build-live":
            removed(world, 1)

    monkeypatch.setattr(pointing, "passing", at)
    with pytest.raises(Refused) as caught:
        rollback(world.pipeline())
    assert "generation 1 of" in str(caught.value)
    assert "is not live" in str(caught.value)
    assert caught.value.remedy == "Generation 2 is live as before, and readers see it."
    with pytest.raises(UsageError, match="is kept to go back to"):
        rollback(world.pipeline())
    assert len([one for one in world.happened("target-gone") if "is not live" in one]) == 1
    world.do("UPDATE users SET email = 'after@example.com' WHERE id = 7")
    world.run()
    assert world.searched() == 2
    assert world.build(2) == world.derived()
    assert verify(world.pipeline(), "people", method="deep").agreement


def test_a_run_goes_on_with_what_readers_see(world: RecoveryWorld) -> None:
    assert world.killed(_rollback, "build-live")
    removed(world, 1)
    with world.running():
        soon(lambda: world.holds() == ["target-gone"])
        with pytest.raises(Refused, match="stands and holds what it should"):
            restore(world.copy("1").pipeline())
        world.do("UPDATE users SET email = 'after@example.com' WHERE id = 7")
        soon(lambda: world.build(2)[7]["email"] == "after@example.com")
    assert world.holds() == []


def test_a_restore_begins_anew_where_what_it_had_brought_back_is_gone(world: RecoveryWorld) -> None:
    wipe(world)
    assert world.killed(_restore, "build-live")
    wipe(world)
    done = restore(world.pipeline())
    assert (done.generation, world.searched()) == (4, 4)
    assert world.build(4) == world.derived()


def _rollback(world: RecoveryWorld) -> object:
    return rollback(world.pipeline())


def _restore(world: RecoveryWorld) -> object:
    return restore(world.pipeline())
