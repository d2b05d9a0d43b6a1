"""What was saved, rehearsed, restored and deployed: in the timeline, with who, and in `status`."""

from __future__ import annotations

import re
import shutil
import sqlite3
import threading
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner, Result

import lockstep as ls
from lockstep.cli.main import cli
from lockstep.engine import points
from lockstep.errors import Declined
from lockstep.operations.happening import Told
from lockstep.recovery.building import Builder
from lockstep.recovery.deploy import deploy
from lockstep.recovery.drill import drill
from lockstep.recovery.restore import restore
from lockstep.recovery.rollback import rollback
from lockstep.recovery.snapshot import snapshot
from tests.recovery.world import USERS, RecoveryWorld


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecoveryWorld:
    monkeypatch.setenv("LOGNAME", "grace")
    made = RecoveryWorld(tmp_path)
    made.fill()
    made.run()
    return made


def status(world: RecoveryWorld) -> str:
    shown = CliRunner().invoke(cli, ["--state", str(world.root / "state"), "status"]).stdout
    return re.sub(r"\d+ (m?s|min) ago", "now", shown)


def told(world: RecoveryWorld, word: str) -> list[tuple[str, str | None]]:
    """Kind and who, of the kinds that begin so."""
    found = ls.history(world.root / "state").happenings
    return [(str(one.kind), one.who) for one in found if one.kind.startswith(word)]


def test_what_is_saved_and_rehearsed_is_shown(world: RecoveryWorld) -> None:
    name = world.target().name
    assert (ls.status(world.root / "state").snapshots, ls.status(world.root / "state").drills) == ((), ())
    assert "saved state" not in status(world)
    snapshot(world.pipeline())
    assert f"{name}: saved state 1 was taken now, 300 records; never proven: `lockstep drill`." in status(
        world
    )
    drill(world.pipeline())
    snapshot(world.pipeline())
    found = ls.status(world.root / "state")
    assert [(one.target, one.id, one.records, one.proven_at) for one in found.snapshots] == [
        (name, 2, USERS, None)
    ]
    (last,) = found.drills
    assert (last.target, last.outcome, last.reason, last.numbers["records"]) == (name, "passed", None, USERS)
    assert f"{name}: the last rehearsal came back and agreed now, in " in status(world)
    world.damage_saved(2)
    with pytest.raises(ls.LockstepError):
        drill(world.pipeline())
    (last,) = ls.status(world.root / "state").drills
    assert last.outcome == "failed"
    assert f"{name}: the last rehearsal failed now: {last.reason}" in status(world)
    assert told(world, "snapshot") == [
        ("snapshot-taken", None),
        ("snapshot-taken", None),
        ("snapshot-failed", None),
    ]
    assert [kind for kind, _ in told(world, "drill")] == [
        "drill-began",
        "drill-passed",
        "drill-began",
        "drill-failed",
    ]


def test_a_snapshot_and_a_rehearsal_that_were_killed_are_told_as_begun(world: RecoveryWorld) -> None:
    with sqlite3.connect(world.root / "state" / "ledger.db") as ledger:
        ledger.execute(
            "INSERT INTO snapshots (target, generation, name, state, begun_at, body)"
            " VALUES ('t', 1, 'n', 'taking', unixepoch() - 60, '{}')"
        )
        ledger.execute(
            "INSERT INTO drills (target, snapshot, begun_at, outcome, numbers)"
            " VALUES ('t', 'n', unixepoch() - 50, 'running', '{}')"
        )
    assert told(world, "snapshot") == [("snapshot-began", None)]
    assert told(world, "drill") == [("drill-began", None)]
    assert ls.status(world.root / "state").drills == ()


def test_who_restored_and_deployed_and_went_back(world: RecoveryWorld) -> None:
    snapshot(world.pipeline())
    shutil.rmtree(world.root / "search")
    with pytest.raises(ls.TargetReplaced):
        world.run()
    restore(world.pipeline())
    found = ls.history(world.root / "state").summary
    assert found.first_sign is not None
    assert found.first_sign.kind == "target-gone"
    assert found.decided is not None
    assert (found.decided.kind, found.decided.who) == ("restore-begun", "grace")
    assert found.agreed is not None
    assert found.agreed.kind == "check-agreed"
    assert told(world, "restore") == [("restore-begun", "grace"), ("restore-done", None)]
    newer = world.copy("2")
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(ls.LockstepError):
        deploy(newer.pipeline(), stop=stopped)
    deploy(newer.pipeline())
    rollback(world.pipeline())
    assert told(world, "deploy") == [
        ("deploy-begun", "grace"),
        ("deploy-failed", None),
        ("deploy-begun", "grace"),
        ("deploy-swapped", None),
    ]
    assert told(world, "rolled") == [("rolled-back", "grace")]


def test_why_it_was_done_is_told(world: RecoveryWorld) -> None:
    snapshot(world.pipeline())

    def typed(*words: str) -> Result:
        with mock.patch("lockstep.cli.verb.Settings.load", return_value=world.pipeline()):
            return CliRunner().invoke(cli, [*words])

    for words, why in (
        (("restore", "--replace"), "somebody edited it by hand"),
        (("deploy", "--once"), "ticket 4711: capitals"),
        (("rollback",), "the shop reads small letters"),
        (("retire",), "disk"),
    ):
        world.code = "2" if words[0] == "deploy" else "1"
        nothing = typed(*words, "--why", " ")
        assert nothing.exit_code == 2, nothing.output
        assert "the reason says nothing" in nothing.output
        done = typed(*words, "--why", why)
        assert done.exit_code == 0, done.output
        told = CliRunner().invoke(cli, ["--state", str(world.root / "state"), "timeline"]).stdout
        assert f"by grace: {why}" in " ".join(told.split()), told


def test_what_befalls_a_build_beside_the_live_one_is_told_as_such(world: RecoveryWorld) -> None:
    world.code = "2"

    def wipe(point: str) -> None:
        if point == "intended":  # in the mapping's own thread: its write finds nothing there
            shutil.rmtree(world.target()._place(2).path, ignore_errors=True)  # type: ignore[attr-defined]

    points.install(wipe)
    try:
        with pytest.raises(ls.LockstepError):
            deploy(world.pipeline())
    finally:
        points.install(None)
    found = ls.history(world.root / "state").happenings
    (stopped,) = [one for one in found if one.kind == "mapping-stopped"]
    assert stopped.text.startswith("build 2, beside the live one: ")
    assert [one.kind for one in found if one.kind.startswith("deploy")] == ["deploy-begun", "deploy-failed"]


def test_what_followed_the_sources_is_named(world: RecoveryWorld) -> None:
    """Where no run goes on, a command follows them: it is no `lockstep run`."""
    snapshot(world.pipeline())
    drill(world.pipeline())
    found = ls.history(world.root / "state").happenings
    texts = [one.text for one in found if one.kind in (Told.RUN_BEGAN, Told.RUN_ENDED)]
    began, ended, drilled, over = texts
    assert began.startswith("by grace@")
    assert ended == "did all there was to do"
    assert drilled.startswith("lockstep drill: by grace@")
    assert over == "lockstep drill: came to its end"
    broken = mock.patch.object(Builder, "fill", side_effect=Declined("no", "no"))
    with broken, pytest.raises(Declined):
        drill(world.pipeline())
    texts = [one.text for one in ls.history(world.root / "state").happenings if one.kind is Told.RUN_ENDED]
    assert texts[-1] == "lockstep drill: ended before it was done"
