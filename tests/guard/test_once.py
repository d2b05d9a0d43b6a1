"""What is told of a mapping whose run was to end and could not wait for a person, and by the run after it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("tantivy")

import lockstep as ls
from lockstep.operations.standing import Ill
from tests.recovery.world import RecoveryWorld, soon, wipe


@pytest.fixture
def world(tmp_path: Path) -> RecoveryWorld:
    made = RecoveryWorld(tmp_path)
    made.fill()
    made.run()
    return made


def ills(world: RecoveryWorld) -> list[Ill]:
    return [one for one in ls.status(world.root / "state").ills if one.subject == "mapping people"]


def seen(world: RecoveryWorld) -> str:
    (mapping,) = ls.status(world.root / "state").mappings
    return mapping.state


def test_a_lost_target_is_named_once(world: RecoveryWorld) -> None:
    wipe(world)
    with pytest.raises(ls.TargetReplaced):
        world.run()
    assert [one.kind for one in ills(world)] == ["held"]


def test_what_the_guard_holds_is_named_once(world: RecoveryWorld) -> None:
    world.do("DELETE FROM users")
    with pytest.raises(ls.HeldBack):
        world.run()
    assert [one.kind for one in ills(world)] == ["held"]


def test_what_stopped_for_another_reason_is_named_beside_the_hold(world: RecoveryWorld) -> None:
    wipe(world)
    with pytest.raises(ls.TargetReplaced):
        world.run()
    with world.state() as store:
        store.lock.take()
        (consumer,) = store.generations.consumers()
        store.generations.set_consumer(store.draw_epoch(), consumer.id, reason="a defect of Lockstep: x")
    assert [one.kind for one in ills(world)] == ["stopped", "held"]


def test_the_next_run_does_not_show_it_as_stopped(world: RecoveryWorld) -> None:
    """It waits for the target, or for a person: to restart it would not help."""
    wipe(world)
    with pytest.raises(ls.TargetReplaced):
        world.run()
    assert seen(world) == "stopped"
    with world.running():
        soon(lambda: seen(world) == "held")
        assert [one.kind for one in ills(world)] == ["held"]
    assert seen(world) != "stopped"
