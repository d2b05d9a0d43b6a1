"""Checks in a loop beside a live run: paced, and what they find is repaired or only reported."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import lockstep as ls
from lockstep.cli.main import cli
from lockstep.operations import continuous
from lockstep.operations.continuous import Schedule
from lockstep.operations.repair import Repair, repair
from tests.agreement.planted import Saboteur
from tests.agreement.test_from_tests import made, spoil
from tests.pairs.world import World, until


@contextlib.contextmanager
def checking(world: World, on_drift: str) -> Iterator[None]:
    """A run that checks all the time, for a `with` block."""
    stop = threading.Event()

    def work() -> None:
        ls.run(world.pipeline(), stop=stop, verify_every=0.2, on_drift=on_drift, verify_share=1.0)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def verdicts(world: World) -> list[str]:
    return [one.verdict for one in ls.reports(Path(world.state), "people")]


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_drift_under_a_live_run_is_repaired_and_strangers_are_left(world: World) -> None:
    world.run()
    bad = Saboteur(world)
    with checking(world, "repair"):
        until(lambda: "agreement" in verdicts(world))
        bad.delete(31)
        until(lambda: "1 missing" in verdicts(world))
        until(lambda: verdicts(world)[0] == "agreement")
        bad.add(901, "somebody", 901)
        until(lambda: verdicts(world)[0] == "1 extra")
    assert world.actual().keys() - world.expected().keys() == {"901"}


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_drift_is_left_and_shown_where_only_reports_are_asked_for(world: World) -> None:
    world.run()
    bad = Saboteur(world)
    with checking(world, "report"):
        bad.delete(31)
        until(lambda: verdicts(world)[:3] == ["1 missing"] * 3)
        (status,) = ls.status(Path(world.state)).mappings
        assert status.verdict == "1 missing"
    assert world.expected().keys() - world.actual().keys() == {"31"}


def test_checks_take_their_share_of_the_time_and_no_more() -> None:
    schedule = Schedule({"quick": 60.0, "slow": 600.0}, 0.0, share=0.05)
    now, took, done = 0.0, {"quick": 1.0, "slow": 30.0}, {"quick": 0, "slow": 0}
    while True:
        name, now = schedule.next()
        if now > 86_400:
            break
        schedule.checked(name, now, now + took[name])
        done[name] += 1
    assert sum(done[name] * took[name] for name in done) <= 0.05 * 86_400 + 30
    assert min(done.values()) > 50, "none is starved"


def test_the_share_of_the_time_is_what_the_command_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lockstep.operations import run as running

    made(tmp_path)
    file = tmp_path / "pipeline.py"
    file.write_text(
        "from pathlib import Path\n"
        "import lockstep as ls\n"
        "from tests.agreement.test_from_tests import copied\n"
        f"here = Path({str(tmp_path)!r})\n"
        "pipeline = ls.Pipeline('words', state=here / 'state')\n"
        "to = ls.SQLite(here / 'out.db').table('copied', columns={'id': 'INTEGER', 'text': 'TEXT'})\n"
        "pipeline.mapping(ls.SQLite(here / 'app.db'), to=to, version='1')(copied)\n"
    )
    shares: list[float] = []

    def seen(*given: Any, share: float, **more: Any) -> list[Any]:
        shares.append(share)
        raise ls.DeclarationError("seen", "Nothing.")

    monkeypatch.setattr(running, "continuous", seen)
    for options in ([], ["--verify-share", "20%"]):
        CliRunner().invoke(cli, ["run", "--pipeline", str(file), "--verify-every", "10m", *options])
    assert shares == [0.05, 0.2]
    with pytest.raises(ls.DeclarationError, match="verify_share=0 is no share"):
        ls.run(ls.Pipeline("none", state=tmp_path / "none"), verify_share=0)


def test_a_declaration_without_a_meaning_is_refused() -> None:
    pipeline = ls.Pipeline("words")
    source, out = ls.SQLite("app.db"), ls.SQLite("out.db").table("t", columns={"id": "INTEGER"}, key=("id",))
    with pytest.raises(ls.DeclarationError, match="on_drift='mend'"):
        pipeline.mapping(source, to=out, on_drift="mend")(lambda root: None)
    with pytest.raises(ls.DeclarationError, match="verify_every=0"):
        pipeline.mapping(source, to=out, verify_every=0)(lambda root: None)


def test_a_repair_that_does_not_stick_is_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = made(tmp_path)
    gone = "BEGIN DELETE FROM copied WHERE id = 2; END"
    spoil(
        tmp_path,
        f"CREATE TRIGGER gone AFTER INSERT ON copied WHEN NEW.id = 2 {gone}",
        "DELETE FROM copied",
    )
    stop = threading.Event()
    asked: list[dict[str, int]] = []

    def counted(*args: Any, **said: Any) -> Repair:
        done = repair(*args, **said)
        asked.append(done.keys)
        return done

    monkeypatch.setattr(continuous, "repair", counted)

    def work() -> None:
        ls.run(pipeline, stop=stop, verify_every=0.1, on_drift="repair", verify_share=1.0)

    thread = threading.Thread(target=work)
    caplog.set_level(logging.WARNING, "lockstep")
    thread.start()
    try:
        until(lambda: "repaired 3 times and different again, so left as it is: 2" in caplog.text)
        seen = ls.reports(tmp_path / "state", "copied")[0].id
        until(lambda: ls.reports(tmp_path / "state", "copied")[0].id > seen + 3)
    finally:
        stop.set()
        thread.join(60)
    assert not thread.is_alive()
    with contextlib.closing(sqlite3.connect(tmp_path / "out.db")) as out:
        assert out.execute("SELECT id FROM copied ORDER BY id").fetchall() == [(1,), (3,)]
    assert ls.reports(tmp_path / "state", "copied")[0].verdict == "1 missing"
    assert sum(keys.get("missing", 0) for keys in asked) == 3 + 1 + 1, asked
    said = "repaired 3 times and different again, so left as it is: 2"
    assert ls.report(tmp_path / "state", seen + 2).report["notes"][-1] == said
    assert caplog.text.count(said) == 1
    shown = CliRunner().invoke(cli, ["--state", str(tmp_path / "state"), "report", str(seen + 2)])
    assert said in shown.stdout
    told = ls.history(tmp_path / "state").happenings
    assert [one.text for one in told if one.kind == "repair-given-up"] == [said]
