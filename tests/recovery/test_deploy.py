"""A changed mapping becomes a new build beside the live one, and takes its place."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

import lockstep as ls
from lockstep.agreement.report import Progress
from lockstep.cli.main import cli
from lockstep.engine import service
from lockstep.errors import Disagreement, Refused, StateInUse, TargetReplaced, UsageError
from lockstep.guard.policy import HeldBack
from lockstep.operations.status import status
from lockstep.operations.verify import verify
from lockstep.recovery.deploy import deploy
from lockstep.recovery.following import follow
from lockstep.recovery.retire import retire
from lockstep.recovery.rollback import rollback
from tests.recovery.world import RecoveryWorld, soon

STEPS = ["build-begun", "created", "build-hinted", "written", "settled", "build-filled", "build-agreed"]
SWAP = ["build-live", "build-pointed"]


@pytest.fixture
def world(tmp_path: Path) -> RecoveryWorld:
    made = RecoveryWorld(tmp_path)
    made.fill()
    made.run()
    return made


def _deploy(world: RecoveryWorld) -> object:
    world.code = "2"
    return deploy(world.pipeline())


def test_the_new_build_takes_the_place_of_the_old(world: RecoveryWorld) -> None:
    world.code = "2"
    done = deploy(world.pipeline())
    assert (done.generation, done.before, done.kept) == (2, 1, 1)
    assert done.alone
    assert done.changed == ("people",)
    assert world.searched() == 2
    assert world.build(2) == world.derived()
    world.do("UPDATE users SET email = 'later@example.com' WHERE id = 7")
    world.run()
    assert world.build(2) == world.derived()
    assert verify(world.pipeline(), "people", method="deep").agreement


def test_both_builds_follow_while_the_old_run_goes_on(world: RecoveryWorld) -> None:
    with world.running():
        world.do("UPDATE users SET email = 'before@example.com' WHERE id = 1")
        other = world.copy("2")
        done = deploy(other.pipeline())
        assert not done.alone
        (unfollowed,) = status(other.pipeline()).ills
        assert unfollowed.kind == "unfollowed"
        assert "nobody follows generation 2" in unfollowed.problem
        world.do("UPDATE users SET email = 'after@example.com' WHERE id = 2")
        soon(lambda: world.build(1)[2]["email"] == "after@example.com")
        back = rollback(other.pipeline())
        assert (back.how, back.generation, back.before) == ("at once", 1, 2)
        assert world.searched() == 1
        assert status(other.pipeline()).ready
        world.do("UPDATE users SET email = 'last@example.com' WHERE id = 3")
        soon(lambda: world.build(1) == world.derived())


def test_a_run_of_the_same_code_goes_on_with_the_new_build(world: RecoveryWorld) -> None:
    """As after a change of the index's settings alone."""
    with world.running():
        assert deploy(world.copy("1").pipeline()).generation == 2
        world.do("UPDATE users SET email = 'after@example.com' WHERE id = 2")
        soon(lambda: world.build(2)[2]["email"] == "after@example.com")
    assert world.build(2) == world.derived()


def test_a_change_during_the_build_is_in_it(world: RecoveryWorld) -> None:
    changed = False

    def change(now: object) -> None:
        nonlocal changed
        if not changed:
            changed = True
            world.do(
                "UPDATE users SET email = 'meanwhile@example.com' WHERE id = 9",
                "DELETE FROM users WHERE id = 8",
            )

    world.code = "2"
    deploy(world.pipeline(), on_progress=change)
    assert changed
    assert world.build(2) == world.derived()
    assert 8 not in world.build(2)


@pytest.mark.parametrize("point", [*STEPS, *SWAP])
def test_killed_at_any_step_it_goes_on(world: RecoveryWorld, point: str) -> None:
    assert world.killed(_deploy, point)
    assert world.searched() == 1 or point in SWAP
    world.code = "2"
    if point in SWAP:
        world.run()  # whoever starts next points the readers to what is live
    else:
        assert deploy(world.pipeline()).generation == 2
    assert world.searched() == 2
    assert world.build(2) == world.derived()
    assert sorted(world.builds()) == [1, 2]


def test_what_another_code_left_half_built_is_removed(world: RecoveryWorld) -> None:
    assert world.killed(_deploy, "build-filled")
    world.code = "3"
    assert deploy(world.pipeline()).generation == 3
    assert sorted(world.builds()) == [1, 3]
    assert world.build(3) == world.derived()


def test_a_build_that_does_not_agree_is_not_made_live(world: RecoveryWorld) -> None:
    world.do("UPDATE users SET email = 'poison' WHERE id in (4, 5)")
    world.code = "2"
    with pytest.raises(Disagreement, match="failed"):
        deploy(world.pipeline())
    assert world.searched() == 1
    world.do("UPDATE users SET email = 'mended@example.com' WHERE id in (4, 5)")
    assert deploy(world.pipeline()).generation == 2
    assert world.build(2) == world.derived()


def test_wiped_while_the_next_build_is_filled(world: RecoveryWorld) -> None:
    wiped = False

    def wipe(now: Progress) -> None:
        nonlocal wiped
        if now.stage == "filling" and not wiped and (world.root / "search" / "people-g2").exists():
            wiped = True
            (world.root / "search").rename(world.root / "gone")

    world.code = "2"
    with pytest.raises(TargetReplaced):
        deploy(world.pipeline(), on_progress=wipe)
    assert wiped
    assert deploy(world.pipeline()).generation == 3, "the live build is gone too, and that does not hinder"
    assert world.build(3) == world.derived()
    with pytest.raises(UsageError, match="no build"):
        rollback(world.pipeline())


def test_a_code_by_which_most_keys_fail_is_given_up(world: RecoveryWorld) -> None:
    world.code = "broken"
    with pytest.raises(Disagreement, match="fail"):
        deploy(world.pipeline())
    assert world.searched() == 1
    world.code = "2"
    assert deploy(world.pipeline()).generation == 3
    assert world.build(3) == world.derived()


def test_keys_that_are_stuck_already_do_not_hinder(world: RecoveryWorld) -> None:
    world.do("UPDATE users SET email = 'poison' WHERE id = 4")
    world.run()
    world.code = "2"
    assert deploy(world.pipeline()).generation == 2
    assert 4 not in world.build(2)


def test_a_build_that_holds_far_less_is_refused(world: RecoveryWorld) -> None:
    world.do("DELETE FROM users WHERE id > 150")
    world.code = "2"
    with pytest.raises(Refused, match="holds 150 records, where there were 300"):
        deploy(world.pipeline())
    assert world.searched() == 1
    assert deploy(world.pipeline(), fewer=True).records == 150
    assert world.searched() == 2


def test_the_kept_build_catches_up_with_its_own_code(world: RecoveryWorld) -> None:
    _deploy(world)
    world.do("UPDATE users SET email = 'since@example.com' WHERE id = 11")
    with pytest.raises(Refused, match="filled by other code"):
        rollback(world.pipeline())
    assert world.searched() == 2
    world.code = "1"
    assert rollback(world.pipeline()).how == "caught up"
    assert world.searched() == 1
    assert world.build(1) == world.derived()
    world.do("UPDATE users SET email = 'again@example.com' WHERE id = 12")
    world.run()
    assert world.build(1) == world.derived()


def test_what_a_run_may_be_working_is_not_caught_up_beside_it(world: RecoveryWorld) -> None:
    _deploy(world)
    world.run()
    with world.running():
        world.do("UPDATE users SET email = 'since@example.com' WHERE id = 11")
        soon(lambda: world.build(2)[11]["address"] == "SINCE@EXAMPLE.COM")
        with pytest.raises(Refused, match="1 hints behind"):
            rollback(world.copy("1").pipeline())
    assert world.searched() == 2


def test_an_old_run_that_starts_during_the_swap_leaves_the_new_build_alone(
    world: RecoveryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked before the swap, found the new build live after it, and had it derived by the old code."""
    new = world.copy("2")
    deploy(new.pipeline(), following=True)
    monkeypatch.setattr(service, "take_over", lambda store, lease: None)  # it was not live yet
    with new.state() as store:
        store.follow_lock.take()
        with world.running(patience=3.0):
            world.do("UPDATE users SET email = 'again@example.com' WHERE id = 5")
            time.sleep(1.0)
        (live,) = store.generations.consumers()
    assert (live.number, live.version) == (2, "2")
    assert "address" in world.build(2)[5]


def test_who_follows_what_it_deployed_hinders_no_rollback_and_asks_where_it_is_lost(
    world: RecoveryWorld,
) -> None:
    new = world.copy("2")
    stop = threading.Event()
    with world.running():
        deploy(new.pipeline(), following=True)
        thread = threading.Thread(target=follow, args=(new.pipeline(), new.target().name, stop))
        thread.start()
        try:
            world.do("UPDATE users SET email = 'both@example.com' WHERE id = 5")
            soon(lambda: world.build(2)[5]["address"] == "BOTH@EXAMPLE.COM")
            (followed,) = status(new.pipeline()).mappings
            assert (followed.generation, followed.state) == (2, "running")
            assert "which deployed it, follows it" in followed.reason
            assert rollback(new.pipeline()).how == "at once"
            assert rollback(new.pipeline()).generation == 2
            (world.root / "search" / "people-g2").rename(world.root / "gone")
            soon(lambda: world.holds() in (["target-gone"], ["target-replaced"]))
        finally:
            stop.set()
            thread.join()


def test_back_as_it_stands_and_forth_again(world: RecoveryWorld) -> None:
    _deploy(world)
    world.do("UPDATE users SET email = 'since@example.com' WHERE id = 11")
    world.run()
    back = rollback(world.pipeline(), as_it_stands=True)
    assert (back.how, back.behind) == ("as it stands", 1)
    assert world.searched() == 1
    assert rollback(world.pipeline()).generation == 2
    assert world.searched() == 2


@pytest.mark.parametrize("point", SWAP)
def test_a_rollback_that_is_killed_is_finished_by_the_next_run(world: RecoveryWorld, point: str) -> None:
    _deploy(world)
    world.code = "1"
    assert world.killed(_rollback, point)
    world.run()
    assert world.searched() == 1
    assert world.build(1) == world.derived()


def _rollback(world: RecoveryWorld) -> object:
    return rollback(world.pipeline())


def test_only_one_build_is_kept_and_it_can_be_removed(world: RecoveryWorld) -> None:
    _deploy(world)
    world.code = "3"
    deploy(world.pipeline())
    assert sorted(world.builds()) == [2, 3]
    assert [one.number for one in retire(world.pipeline())] == [2]
    assert sorted(world.builds()) == [3]
    with pytest.raises(UsageError, match="no build"):
        rollback(world.pipeline())


def test_two_deploys_do_not_get_in_each_others_way(world: RecoveryWorld) -> None:
    world.code = "2"
    told: list[str] = []

    def again(now: object) -> None:
        if not told:
            with pytest.raises(StateInUse) as caught:
                deploy(world.copy("2").pipeline())
            told.append(str(caught.value))

    deploy(world.pipeline(), on_progress=again)
    assert "another deploy" in told[0]


@pytest.mark.parametrize("lost", ["emptied", "gone"])
def test_nobody_is_pointed_to_a_kept_build_that_was_lost(world: RecoveryWorld, lost: str) -> None:
    newer = world.copy("2")
    deploy(newer.pipeline())
    if lost == "emptied":
        world.empty(1)
    else:
        shutil.rmtree(world.root / "search" / "people-g1")
    with pytest.raises(Refused, match="nobody is pointed to it"):
        rollback(newer.pipeline(), as_it_stands=True)
    assert world.searched() == 2
    retire(newer.pipeline())  # and the verbs after it are not stuck with it
    newer.run()
    assert newer.build(2) == newer.derived()


def test_what_the_guard_holds_of_a_kept_build_is_shown_by_its_build(world: RecoveryWorld) -> None:
    world.do("DELETE FROM users WHERE id <= 200")
    with pytest.raises(HeldBack):
        world.run()
    (hold,) = ls.holds(world.root / "state")
    assert (hold.state, hold.build, hold.holding) == ("open", None, True)
    deploy(world.copy("2").pipeline(), fewer=True)
    (hold,) = ls.holds(world.root / "state")
    assert (hold.state, hold.build, hold.holding) == ("open", (1, "kept"), False)
    shown = CliRunner().invoke(cli, ["--state", str(world.root / "state"), "holds"])
    assert f"{hold.id}  people, build 1 (kept): " in shown.output
    assert shown.exit_code == 0, "it holds nothing of the live build"
    assert ls.status(world.root / "state").holds == ()
    assert ls.reject(world.root / "state", hold.id, why="no", by="ada").state == "rejected"
