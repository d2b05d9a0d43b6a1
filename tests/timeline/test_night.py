"""A bad night on live systems, and what the timeline tells of it afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from psycopg.conninfo import conninfo_to_dict

import lockstep as ls
from lockstep.cli.main import cli
from lockstep.engine import noting
from lockstep.engine.consumers import patience
from lockstep.engine.holds import asking
from lockstep.engine.sources import source
from lockstep.operations.happening import Happening
from lockstep.testing.proxy import Proxy
from tests.accidents.world import Product
from tests.guard.test_holds import filled, held
from tests.pairs.world import Following, World, until


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LOOK_AGAIN", 1.0)
    for module in (noting, source):
        monkeypatch.setattr(module, "QUIET", 0.5)
    for module in (patience, source):
        monkeypatch.setattr(module, "_LONGEST_WAIT", 0.5)


def happened(world: World, *kinds: str, **asked: Any) -> list[Happening]:
    """All that happened, in order; of these kinds alone where some are named."""
    found = ls.history(Path(world.state), **asked).happenings
    return [one for one in found if not kinds or one.kind in kinds]


def lockstep(world: World, *typed: str) -> str:
    done = CliRunner().invoke(cli, ["--state", world.state, *typed])
    assert done.exit_code == 0, done.output
    return done.stdout


def sql(world: World, statement: str) -> None:
    """Somebody writes to the target behind our back."""
    _, where, name = world.target.split("|")
    with sqlite3.connect(where) as connection:
        connection.execute(statement.format(name))


def killed(world: World) -> None:
    """A run that is killed while it follows."""
    run = world.spawn(once=False)
    until(lambda: ls.status(Path(world.state)).running is not None)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()


NIGHT = """
run-began build-made pass-began pass-ended run-ended check-agreed
run-began run-died
run-began held decided approved released run-ended
run-began target-emptied held mapping-stopped run-ended
approved run-began pass-began pass-ended released run-ended
run-began target-gone held mapping-stopped run-ended
build-made backfill-asked run-began pass-began pass-ended run-ended check-agreed
"""


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_the_night_is_told_in_order_with_who_and_why(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "grace")
    filled(world)
    assert ls.verify(world.pipeline(), "people").agreement
    killed(world)
    with Following(world):
        world.do("DELETE FROM users WHERE id > 300")
        one = held(world)
        ls.reject(Path(world.state), one.id, why="who asked for that?", by="bob")
        ls.approve(Path(world.state), one.id, why="the tenant has left, ticket 4711", by="ada")
        until(lambda: ls.holds(Path(world.state)) == [])
    sql(world, "DELETE FROM {}")
    with pytest.raises(ls.TargetReplaced):
        world.run()
    before = happened(world)[-1].happened_at
    number = str(ls.holds(Path(world.state))[0].id)
    said = lockstep(world, "approve", number, "--why", "there is no snapshot")
    assert "Approved: at most 300 changes (records written anew) of people" in said
    world.run()
    sql(world, "DROP TABLE {}")
    with pytest.raises(ls.TargetReplaced):
        world.run()
    unproven = ls.history(Path(world.state)).summary
    assert (unproven.agreed, unproven.unproven) == (None, ("people",))
    ls.backfill(world.pipeline(), "people", rebuild=True)
    world.run()
    assert ls.verify(world.pipeline(), "people").agreement

    told = happened(world)
    assert [str(event.kind) for event in told] == NIGHT.split()
    times = [event.happened_at for event in told]
    assert times == sorted(times)
    decisions = [(event.who, event.why) for event in told if event.kind in ("decided", "approved")]
    assert decisions == [
        ("bob", "who asked for that?"),
        ("ada", "the tenant has left, ticket 4711"),
        ("grace", "there is no snapshot"),
    ]
    assert [event.who for event in told if event.kind == "backfill-asked"] == ["grace"]
    by_kind = {event.kind: event for event in told}
    assert "process" in by_kind["run-died"].text
    assert "should hold 300 records and holds 0: it was emptied" in by_kind["target-emptied"].text
    released = [event.text for event in told if event.kind == "released"]
    assert released == ["hold 1 is over: 200 of 200 were made", "hold 2 is over: 300 of 300 were made"]
    assert by_kind["target-emptied"].subject == target_name(world)

    assert [one.kind for one in happened(world, until=before)] == NIGHT.split()[:19]
    assert [one.kind for one in happened(world, since=before + 0.001)] == NIGHT.split()[19:]
    _text(world)
    _markdown(world)
    _json(world, told)


def target_name(world: World) -> str:
    return world.pipeline().named("people").target.name


def _text(world: World) -> None:
    lines = lockstep(world, "timeline").splitlines()
    assert re.fullmatch(r"\w+day \d+ \w+ \d{4}, UTC[+-]\d\d:\d\d.*", lines[0])
    hold = next(line for line in lines if " held " in line)
    assert re.match(r"\d\d:\d\d:\d\d ✗ held +people: hold 1: 200 records would be removed: 40 % of", hold)
    assert any(
        line.endswith("at most 200 removals — by ada: the tenant has left, ticket 4711") for line in lines
    )
    summary = lines[lines.index("") :]
    assert [line.partition(":")[0] for line in summary if line] == [
        "First sign",
        "Hold",
        "Decision",
        "Agreement again",
    ]


def _markdown(world: World) -> None:
    page = lockstep(world, "timeline", "--markdown")
    rows = [line for line in page.splitlines() if line.startswith("| 20")]
    assert len(rows) == len(NIGHT.split())
    assert all(line.count(" | ") == 3 for line in rows)
    assert re.search(r"\| Decision \| .*: decided people: hold 1 \(removals\) was rejected — by bob", page)
    assert re.search(r"\| Agreement again \| .*: check-agreed people: fast check: in agreement, 300", page)


def _json(world: World, told: list[Happening]) -> None:
    found = json.loads(lockstep(world, "timeline", "--json", "--since", "1h"))
    assert list(found) == ["since_at", "until_at", "mapping", "happenings", "summary", "notes"]
    assert [one["kind"] for one in found["happenings"]] == [str(one.kind) for one in told]
    assert all(
        list(one) == ["happened_at", "kind", "subject", "text", "who", "why", "seconds", "numbers"]
        and one["happened_at"].endswith("Z")
        for one in found["happenings"]
    )
    assert found["summary"]["first_sign"]["kind"] == "run-died"
    assert found["summary"]["held"]["numbers"]["expected"] == 200


def test_a_source_that_goes_away_and_a_log_with_a_hole(product: Product) -> None:
    with product.cut_off(running=True):
        product.do(f"SELECT pg_drop_replication_slot('{product.slot}')")
        until(lambda: len(happened(product, "source-waits")) == 1)
    told = [one for one in happened(product) if one.kind.startswith("source")]
    assert [str(one.kind) for one in told] == ["source-waits", "source-hole", "source-goes-on"]
    waits, hole, goes_on = told
    assert {one.subject for one in told} == {product.pipeline().named("people").source.name}
    assert f"the replication slot {product.slot} is gone" in hole.text
    assert goes_on.seconds is not None
    assert abs(goes_on.happened_at - waits.happened_at - goes_on.seconds) < 1
    assert [one.text for one in happened(product, "pass-began")][1].endswith(hole.text)


def test_a_run_that_ends_as_its_source_does_not_answer_says_why(product: Product) -> None:
    product.proxy.refuse()
    with pytest.raises(ls.Unreachable) as refused:
        product.run()
    assert [str(one.kind) for one in happened(product)] == ["run-began", "source-waits", "run-ended"]
    (waits,) = happened(product, "source-waits")
    assert waits.text == str(refused.value)
    (ended,) = happened(product, "run-ended")
    assert ended.text == "failed: it could not go on"


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_keys_that_are_stuck_come_and_go_in_numbers(world: World) -> None:
    world.run()
    world.do("UPDATE users SET email = 'poison' WHERE id <= 3")
    world.run()
    (came,) = happened(world, "stuck")
    assert (came.subject, came.text) == ("people", "3 keys are stuck, 3 more than before")
    (still,) = happened(world, "still-stuck")
    assert still.numbers == {"keys": 3}
    assert "this address is poison" in still.text
    world.do("UPDATE users SET email = 'well@example.com' WHERE id <= 3")
    ls.retry(world.pipeline(), "people")
    world.run()
    assert happened(world, "still-stuck") == []
    assert [one.text for one in happened(world, "stuck")][1:] == ["no key is stuck any more, 3 were"]
    assert [one.text for one in happened(world, "retry-asked")] == ["asked to try 3 keys again"]


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_nothing_is_told_where_nobody_ever_ran_and_the_pipeline_is_never_imported(
    world: World, tmp_path: Path
) -> None:
    file = tmp_path / "pipeline.py"
    file.write_text("import lockstep as ls\nraise SystemExit('it was imported')\nls.Pipeline('x')\n")
    command = [sys.executable, "-m", "lockstep.cli", "--pipeline", str(file)]
    nowhere = [sys.executable, "-m", "lockstep.cli", "--state", str(tmp_path / "nowhere"), "timeline"]
    never = subprocess.run(nowhere, capture_output=True, text=True, check=False)
    assert (never.returncode, "nothing has run yet" in never.stderr) == (2, True), never
    world.run()
    (tmp_path / ".lockstep").symlink_to(world.state)
    typed = ["--pipeline", str(file), "timeline", "--mapping", "people"]
    code = (
        "import sys; from click.testing import CliRunner; from lockstep.cli.main import cli;"
        f"print(CliRunner().invoke(cli, {typed!r}).output);"
        "print([name for name in sys.modules if name in ('psycopg', 'httpx', 'tantivy', 'pipeline')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "run-began" in told
    assert told.splitlines()[-1] == "[]"
    unknown = subprocess.run(
        [*command, "timeline", "--mapping", "nobody"], capture_output=True, text=True, check=False
    )
    assert "no run knows a mapping 'nobody' (known: people)" in unknown.stderr


@pytest.mark.parametrize("world", ["postgres"], indirect=True)
def test_a_target_that_does_not_answer_is_told_of_once_with_how_long(world: World) -> None:
    kind, url, name = world.target.split("|")
    at = conninfo_to_dict(url)
    with contextlib.closing(Proxy(str(at["host"]), int(str(at["port"])))) as proxy:
        world.target = f"{kind}|{url.replace(str(at['port']), str(proxy.port))}|{name}"
        world.run()
        with Following(world):
            until(lambda: ls.status(Path(world.state)).running is not None)
            proxy.refuse()
            proxy.cut()
            world.do("UPDATE users SET email = 'meanwhile@example.com' WHERE id = 7")
            until(lambda: len(happened(world, "mapping-waits")) == 1)
            time.sleep(2)
            proxy.accept()
            until(lambda: len(happened(world, "mapping-goes-on")) == 1)
            until(lambda: world.actual() == world.expected())
    (waits,) = happened(world, "mapping-waits")
    (goes_on,) = happened(world, "mapping-goes-on")
    assert goes_on.seconds is not None
    assert goes_on.seconds > 2
    assert abs(goes_on.happened_at - waits.happened_at - goes_on.seconds) < 1
    assert goes_on.numbers is not None


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_a_burst_of_removals_is_told_by_the_minute(world: World) -> None:
    world.guard = ls.Guard(free=1_000)
    filled(world)
    world.do("UPDATE users SET email = email || '.' WHERE id <= 40", "DELETE FROM users WHERE id > 350")
    world.run()
    bursts = happened(world, "burst", since=time.time() - 200)
    numbers = [one.numbers for one in bursts if one.numbers]
    assert sum(one["removes"] for one in numbers) == 150
    assert {one.subject for one in bursts} == {world.pipeline().named("people").target.name}
    assert all(one.seconds == 60 and one.happened_at % 60 == 0 for one in bursts)
