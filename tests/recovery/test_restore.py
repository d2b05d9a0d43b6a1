"""A target that was lost comes back from its newest saved state, with all that changed since."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lockstep.agreement.report import Progress
from lockstep.cli import output
from lockstep.errors import Disagreement, Refused, StateInUse, TargetReplaced, UsageError
from lockstep.guard.policy import HeldBack
from lockstep.operations.verify import verify
from lockstep.recovery.deploy import deploy
from lockstep.recovery.drill import drill
from lockstep.recovery.restore import restore
from lockstep.recovery.retire import retire
from lockstep.recovery.snapshot import snapshot
from lockstep.values import PARTITIONS, Lane, consumer_stream
from tests.recovery.world import USERS, RecoveryWorld, saved_world, soon, wipe

SAVING = ["snapshot-begun", "snapshot-saved"]
RESTORING = [
    "build-begun",
    "build-restored",
    "build-inherited",
    "build-hinted",
    "build-filled",
    "build-agreed",
]
SWAP = ["build-live", "build-pointed"]
RECOVERY = {*SAVING, *RESTORING, *SWAP, "redriven"}


@pytest.fixture
def world(tmp_path: Path) -> RecoveryWorld:
    """Filled, saved, and gone on since."""
    made = saved_world(tmp_path)
    made.do(
        "UPDATE users SET email = 'since@example.com' WHERE id = 1",
        "DELETE FROM users WHERE id = 2",
        "INSERT INTO users (id, company_id, email) VALUES (1000, 1, 'new@example.com')",
    )
    made.run()
    return made


def test_only_what_changed_since_is_derived_again(world: RecoveryWorld) -> None:
    wipe(world)
    with pytest.raises(TargetReplaced):
        world.run()
    done = restore(world.pipeline())
    assert (done.records, done.redriven, done.generation, done.live) == (USERS, 3, 2, True)
    assert world.searched() == 2
    assert world.build(2) == world.derived()
    world.do("UPDATE users SET email = 'later@example.com' WHERE id = 3")
    world.run()
    assert world.build(2) == world.derived()
    assert verify(world.pipeline(), "people", method="deep").agreement


def test_changes_while_nobody_ran_are_found(world: RecoveryWorld) -> None:
    wipe(world)
    world.do(
        "UPDATE users SET email = 'meanwhile@example.com' WHERE id = 5", "DELETE FROM users WHERE id = 6"
    )
    done = restore(world.pipeline())
    assert (done.redriven, done.derived) == (3, 5)
    assert world.build(2) == world.derived()


def test_what_only_waited_is_told_as_that(tmp_path: Path) -> None:
    """Nothing was written since the saved state; what changed meanwhile waited in the source's log."""
    world = saved_world(tmp_path)
    world.do("UPDATE users SET email = 'meanwhile@example.com' WHERE id IN (5, 6)")
    rehearsed = drill(world.pipeline())
    assert (rehearsed.redriven, rehearsed.derived) == (0, 2)
    wipe(world)
    done = restore(world.pipeline())
    assert (done.redriven, done.derived) == (0, 2)
    said = "nothing was written since; 2 keys of changes that waited"
    assert output.redriven(done.redriven, done.derived) == said


@pytest.mark.parametrize(
    ("hinted", "derived", "said"),
    [
        (None, 4_000, "all keys: 4,000 derived and compared"),
        (3, 3, "3 keys, for what changed since"),
        (3, 1, "3 keys, for what changed since"),  # those before a crash are not counted
        (1, 3, "1 key, for what changed since, and 2 keys of changes that waited"),
    ],
)
def test_what_was_done_of_keys_is_said(hinted: int | None, derived: int, said: str) -> None:
    assert output.redriven(hinted, derived) == said


def test_it_needs_no_journal(world: RecoveryWorld) -> None:
    wipe(world)
    world.trim_all()
    assert restore(world.pipeline()).redriven == 3
    assert world.build(2) == world.derived()


def test_without_the_ledger_of_the_saved_build_everything_is_compared(world: RecoveryWorld) -> None:
    world.forget_ledger()
    wipe(world)
    assert restore(world.pipeline()).redriven is None
    assert world.searched() == 3
    assert world.build(3) == world.derived()


def test_the_friday_night(world: RecoveryWorld) -> None:
    """The run notices, holds, and after the restore follows what is live by then, without a word to it."""
    with world.running():
        wipe(world)
        soon(lambda: world.holds() == ["target-gone"], within=6.0)
        world.do("UPDATE users SET email = 'meanwhile@example.com' WHERE id = 6")
        done = restore(world.copy("1").pipeline())
        assert done.live
        assert world.holds() == []
        world.do("UPDATE users SET email = 'after@example.com' WHERE id = 7")
        soon(lambda: world.build(2)[7]["email"] == "after@example.com")
    assert world.build(2) == world.derived()
    world.run()
    assert verify(world.pipeline(), "people", method="deep").agreement


def test_wiped_while_it_is_filled(world: RecoveryWorld) -> None:
    wipe(world)
    wiped = False

    def again(now: Progress) -> None:
        nonlocal wiped
        if now.stage == "filling" and not wiped:
            wiped = True
            shutil.rmtree(world.root / "search" / "people-g2")

    with pytest.raises(TargetReplaced):
        restore(world.pipeline(), on_progress=again)
    assert wiped
    assert restore(world.pipeline()).generation == 3
    assert world.build(3) == world.derived()


def test_a_changed_mapping_is_derived_anew(world: RecoveryWorld) -> None:
    wipe(world)
    world.code = "2"
    assert restore(world.pipeline()).redriven is None
    assert world.build(2) == world.derived()


@pytest.mark.parametrize("point", SAVING)
def test_a_snapshot_that_is_killed_is_cleared_away(world: RecoveryWorld, point: str) -> None:
    assert world.killed(_save, point)
    kept = snapshot(world.pipeline())
    with world.state() as store:
        states = [one.state for one in store.snapshots.of()]
    assert states == ["whole", "failed", "whole"]
    assert kept.snapshot.records == USERS
    wipe(world)
    restore(world.pipeline())
    assert world.build(2) == world.derived()


@pytest.mark.parametrize("point", [*RESTORING, *SWAP])
def test_a_restore_that_is_killed_goes_on(world: RecoveryWorld, point: str) -> None:
    wipe(world)
    assert world.killed(_restore, point)
    if point in SWAP:
        world.run()
    else:
        assert restore(world.pipeline()).generation == 2
    assert world.searched() == 2
    assert world.build(2) == world.derived()


def test_wiped_again_while_it_is_restored(world: RecoveryWorld) -> None:
    wipe(world)
    assert world.killed(_restore, "build-filled")
    wipe(world)
    assert restore(world.pipeline()).generation == 3
    assert world.build(3) == world.derived()


def test_a_healthy_target_is_not_overwritten(world: RecoveryWorld) -> None:
    with pytest.raises(Refused, match="holds what it should"):
        restore(world.pipeline())
    assert world.builds() == [1]
    beside = restore(world.pipeline(), beside=True)
    assert (beside.live, world.searched(), world.builds()) == (False, 1, [1, 2])
    assert world.build(2) == world.derived(), "to look at, under the number of its generation"
    retire(world.pipeline(), unfinished=True)
    assert (world.searched(), world.builds()) == (1, [1])
    restore(world.pipeline(), beside=True)
    done = restore(world.pipeline(), replace=True)
    assert (done.generation, world.searched()) == (3, 3), "the one that stood beside"
    assert world.build(3) == world.derived()


def test_a_restore_has_nothing_that_the_guard_would_have_asked_about(world: RecoveryWorld) -> None:
    """Somebody emptied most of the source by mistake as well."""
    world.do("DELETE FROM users WHERE id > 120")
    with pytest.raises(HeldBack):
        world.run()
    wipe(world)
    with pytest.raises(Refused, match="the guard holds changes of people"):
        restore(world.pipeline())
    with pytest.raises(Refused, match="holds 119 records, where there were 300"):
        restore(world.pipeline(), despite_holds=True)
    assert world.searched() is None
    done = restore(world.pipeline(), despite_holds=True, fewer=True)
    assert world.searched() == done.generation
    assert world.build(done.generation) == world.derived()


def test_two_snapshots_do_not_take_each_other_for_broken_off(world: RecoveryWorld) -> None:
    told: list[str] = []

    def again(now: Progress) -> None:
        if not told:
            with pytest.raises(StateInUse) as caught:
                snapshot(world.copy("1").pipeline())
            told.append(str(caught.value))

    kept = snapshot(world.pipeline(), on_progress=again)
    assert "another snapshot" in told[0]
    assert (kept.snapshot.state, kept.snapshot.reason) == ("whole", None)


def test_a_record_that_no_mapping_wrote_hinders_nobody(world: RecoveryWorld) -> None:
    world.stranger(1)
    snapshot(world.pipeline())
    wipe(world)
    done = restore(world.pipeline())
    assert world.searched() == done.generation
    report = verify(world.pipeline(), "people")
    assert report.counts == {"extra": 1}


def test_what_is_lost_does_not_push_out_what_could_bring_it_back(world: RecoveryWorld) -> None:
    wipe(world)
    with pytest.raises(Refused, match="gone"):
        snapshot(world.pipeline(), keep=1)
    restore(world.pipeline())
    world.empty(2)
    with pytest.raises(Refused, match="should hold 300 records and holds 0"):
        snapshot(world.pipeline(), keep=1)
    assert restore(world.pipeline()).generation == 3


def test_the_newest_are_kept_and_the_newest_that_was_proven(world: RecoveryWorld) -> None:
    drill(world.pipeline())  # proves the first
    for _ in range(3):
        kept = snapshot(world.pipeline(), keep=2)
    assert kept.forgotten == (2,)
    with world.state() as store:
        assert [one.id for one in store.snapshots.of(None, "whole")] == [1, 3, 4]


def test_which_saved_state_is_said(world: RecoveryWorld) -> None:
    snapshot(world.pipeline())
    wipe(world)
    with pytest.raises(UsageError, match="no saved state 9"):
        restore(world.pipeline(), snapshot="9")
    assert restore(world.pipeline(), snapshot="1").snapshot == 1
    assert world.build(2) == world.derived()


def test_a_damaged_saved_state_is_marked_and_the_next_older_one_is_used(world: RecoveryWorld) -> None:
    snapshot(world.pipeline())
    wipe(world)
    world.damage_saved(2)
    done = restore(world.pipeline())
    assert (done.snapshot, done.damaged) == (1, (2,))
    assert world.build(world.searched() or 0) == world.derived()


def test_a_damaged_saved_state_that_is_named_is_refused(world: RecoveryWorld) -> None:
    snapshot(world.pipeline())
    wipe(world)
    world.damage_saved(2)
    with pytest.raises(Refused):
        restore(world.pipeline(), snapshot="2")
    with world.state() as store:
        assert [one.state for one in store.snapshots.of()] == ["whole", "damaged"]
    assert restore(world.pipeline()).snapshot == 1


def test_a_drill_leaves_nothing_but_its_figures(world: RecoveryWorld) -> None:
    done = drill(world.pipeline())
    assert (done.records, done.redriven) == (USERS, 3)
    assert world.builds() == [1]
    assert world.searched() == 1
    with world.state() as store:
        assert store.builds.beside() == []
        (shown,) = store.drills.of()
        assert shown.outcome == "passed"
        assert shown.numbers["redriven"] == 3
        assert [one.proven_at is not None for one in store.snapshots.of()] == [True]


def test_what_a_drill_was_addressed_is_never_anothers(world: RecoveryWorld) -> None:
    """Its numbers were given away again: the next build read what was addressed to it, from the start."""
    drill(world.pipeline())
    drill(world.pipeline())
    world.trim_all()
    deploy(world.pipeline())
    with world.state() as store:
        (live,) = store.generations.consumers()
        assert live.id == 4
        assert live.number == 2
        for drilled in (2, 3):
            after = dict.fromkeys(range(PARTITIONS), 0)
            assert store.journal.read(consumer_stream(drilled), Lane.BULK, after, 10) == []
        assert [one.number for one in store.builds.beside()] == [1]


def test_a_drill_that_is_killed_is_cleared_away_by_the_next(world: RecoveryWorld) -> None:
    assert world.killed(_drill, "build-filled")
    assert world.builds() == [0, 1]
    drill(world.pipeline())
    assert world.builds() == [1]


def test_a_drill_that_fails_says_so(world: RecoveryWorld) -> None:
    world.damage_saved(1)
    with pytest.raises(Refused):
        drill(world.pipeline())
    with world.state() as store:
        assert [one.outcome for one in store.drills.of()] == ["failed"]
        assert store.builds.beside() == []


def test_what_cannot_be_made_to_agree_is_not_made_live(world: RecoveryWorld) -> None:
    wipe(world)
    world.do("UPDATE users SET email = 'poison' WHERE id = 9")
    with pytest.raises(Disagreement):
        restore(world.pipeline())
    world.do("UPDATE users SET email = 'mended@example.com' WHERE id = 9")
    assert restore(world.pipeline()).generation == 2
    assert world.build(2) == world.derived()


def _save(world: RecoveryWorld) -> object:
    return snapshot(world.pipeline())


def _restore(world: RecoveryWorld) -> object:
    return restore(world.pipeline())


def _drill(world: RecoveryWorld) -> object:
    return drill(world.pipeline())
