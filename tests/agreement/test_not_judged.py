"""What a check could not judge, or never came to, it neither closes nor proves."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import lockstep as ls
from lockstep.agreement.report import Progress, Report
from lockstep.cli.main import cli
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.forms import keys
from lockstep.values import Key
from tests.support.world import World

KEY = keys.encode((7,))


def state(world: World) -> Path:
    return world.root / "state"


def fast(world: World) -> Report:
    return ls.verify(world.pipeline(), "people")


@pytest.fixture
def edited(small: World) -> World:
    small.spoil("UPDATE people SET email = 'edited' WHERE id = 7")
    return small


def hindered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hints of the mapping wait, as while the guard holds it, for as long as anybody would wait."""
    monkeypatch.setattr("lockstep.operations.verify.barrier", lambda *_: lambda: "hints wait")


def restless(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key changes whenever it is looked at."""
    derive, looks = Deriver.derive, 0

    def deriving(self: Deriver, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
        nonlocal looks
        if KEY in wanted:
            looks += 1
            world.do(f"UPDATE users SET email = 'now {looks}' WHERE id = 7")
        return derive(self, wanted, now)

    monkeypatch.setattr(Deriver, "derive", deriving)


@pytest.mark.parametrize("how", ["unsettled", "moving"])
def test_what_was_found_before_stays_open(edited: World, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    first = fast(edited)
    assert first.counts == {"different": 1}
    assert first.id is not None
    with monkeypatch.context() as patch:
        if how == "unsettled":
            hindered(patch)
        else:
            restless(edited, patch)
        second = fast(edited)
    assert (second.counts.get("unsettled", 0), second.moving) == ((1, 0) if how == "unsettled" else (0, 1))
    whole = ls.report(state(edited), first.id)
    assert [(one.subject, one.state) for one in whole.divergences] == [("7", "open")]
    assert not whole.agreement
    asked = ls.repair(edited.pipeline(), report=first.id, dry_run=True)
    assert asked.keys == {"different": 1}
    assert sum(ls.repair(edited.pipeline(), "people").keys.values()) == 1, "it is one key"
    edited.run()
    assert fast(edited).agreement
    whole = ls.report(state(edited), first.id)
    assert ([one.state for one in whole.divergences], whole.agreement) == (["closed"], True)


def test_what_a_person_accepted_stays_accepted(edited: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fast(edited)
    assert first.id is not None
    ls.accept(state(edited), first.id, "7", because="the support team's", by="ada")
    with monkeypatch.context() as patch:
        hindered(patch)
        fast(edited)
    again = fast(edited)
    assert (again.agreement, again.accepted) == (True, 1)


def test_a_group_that_never_came_to_rest_stays_open(edited: World, monkeypatch: pytest.MonkeyPatch) -> None:
    source = people_by_company(edited)
    edited.spoil("DELETE FROM people WHERE id = 8")
    first = ls.verify(source(), "people")
    assert first.counts == {"different": 1, "missing": 1, "invariant": 1}
    assert first.id is not None
    edited.spoil("UPDATE people SET email = 'u7' WHERE id = 7")
    added = iter(range(1000, 2000))
    monkeypatch.setattr(
        "lockstep.operations.verify.barrier",
        lambda *_: lambda: edited.do(f"INSERT INTO users VALUES ({next(added)}, NULL, NULL, 'new', NULL)"),
    )
    second = ls.verify(source(), "people")
    assert (second.moving, second.counts.get("invariant")) == (1, None)
    states = {one.kind: one.state for one in ls.report(state(edited), first.id).divergences}
    assert (states["different"], states["invariant"]) == ("closed", "open")


def people_by_company(world: World) -> Callable[[], ls.Pipeline]:
    """The pipeline, with an invariant: as many on both sides."""
    from tests.support.world import User

    def made() -> ls.Pipeline:
        pipeline = world.pipeline()
        mapping = pipeline.named("people")

        @pipeline.invariant(mapping.source, mapping.target)
        def as_many() -> ls.Equal:
            return ls.Equal(ls.count(User), ls.count())

        return pipeline

    return made


def test_a_report_of_a_check_that_was_cancelled_is_no_agreement(small: World) -> None:
    stop = threading.Event()

    def advance(now: Progress) -> None:
        if now.stage == "source":
            stop.set()

    report = ls.verify(small.pipeline(), "people", method="deep", on_progress=advance, stop=stop)
    assert (report.cancelled, report.counts) == (True, {})
    assert report.id is not None
    assert not ls.report(state(small), report.id).agreement
    shown = CliRunner().invoke(cli, ["report", str(report.id), "--state", str(state(small))])
    assert shown.exit_code == 1
    assert "✗ people: was not checked to the end; found by then: nothing." in shown.output
    assert "compared" not in shown.output
    assert "repair" not in shown.output


def test_a_report_is_the_same_as_when_it_was_made(edited: World) -> None:
    file = edited.root / "pipeline.py"
    file.write_text(
        "from pathlib import Path\nfrom tests.support.world import World\n"
        "pipeline = World(Path(__file__).parent, claims=False).pipeline()\n"
    )

    def told(*line: str) -> Any:
        return json.loads(CliRunner().invoke(cli, [*line, "--json"]).output)

    (made,) = told("verify", "people", "--deep", "--pipeline", str(file))["reports"]
    kept = told("report", str(made["id"]), "--pipeline", str(file))
    assert kept["report"] == made
    assert [one["divergence"] for one in kept["divergences"]] == made["divergences"]


def test_a_row_of_the_ledger_that_neither_side_knows_stays_open(small: World) -> None:
    """A deep check walks over both sides, so it does not come by it."""
    gone = keys.encode((999,)).hex()
    small.spoil_state(
        f"CREATE TEMP TABLE t AS SELECT * FROM ledger WHERE key = x'{KEY.hex()}'",
        f"UPDATE t SET key = x'{gone}'",
        "INSERT INTO ledger SELECT * FROM t",
    )
    for method in ("fast", "deep", "fast"):
        report = ls.verify(small.pipeline(), "people", method=method)
        assert (report.counts, report.settled) == ({"ledger": 1}, 0)
    ls.repair(small.pipeline(), "people")
    small.run()
    report = ls.verify(small.pipeline(), "people", method="deep")
    assert (report.agreement, report.settled) == (True, 0)
    assert fast(small).agreement
