"""What each verb prints of an operation's answer, for people and as JSON, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockstep.agreement.fields import FieldDiff
from lockstep.agreement.report import Divergence, Report
from lockstep.operations.backfill import Asked
from lockstep.operations.plan import Planned
from lockstep.operations.run import RunResult
from lockstep.operations.standing import BackfillStatus, MappingStatus, Status
from lockstep.values import Finding
from tests.unit.cli_project import answer, begin, lockstep

MAPPING = MappingStatus(
    "users", "index:users", 1, "running", "", 3, 4, 0,
    BackfillStatus("backfill", 50, 200, 10.0, 15.0, 1_000.0, None), {"lag_p50": 0.012, "lag_p99": 0.08},
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from begin(tmp_path, monkeypatch)


def test_check(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [Finding("app", "no slot", "Make one."), Finding("index", "it is old", "", blocks=False)]
    answer(monkeypatch, "check.check", findings)
    shown = lockstep("check")
    assert shown.exit_code == 1
    assert "✗ app: no slot\n  Make one.\n" in shown.stdout
    assert "! index: it is old\n" in shown.stdout
    as_json = json.loads(lockstep("check", "--json").stdout)
    assert as_json["ok"] is False
    assert [set(one) for one in as_json["findings"]] == [set(Finding.__struct_fields__)] * 2
    answer(monkeypatch, "check.check", findings[1:])
    assert lockstep("check").exit_code == 0


def test_status_needs_no_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    known = Status(
        "s", "ana@host", None, 1.0, {"app": {"state": "following", "last_change": 2.0}}, (MAPPING,)
    )
    calls = answer(monkeypatch, "status.status", known)
    shown = lockstep("status")
    assert shown.exit_code == 0
    assert "users" in shown.stdout
    assert "12 ms/80 ms" in shown.stdout
    assert not any(line.endswith(" ") for line in shown.stdout.splitlines())
    as_json = json.loads(lockstep("status", "--json").stdout)
    assert set(as_json) == {*Status.__struct_fields__, "ready"}
    assert set(as_json["mappings"][0]) == set(MappingStatus.__struct_fields__)
    assert set(as_json["mappings"][0]["backfill"]) == set(BackfillStatus.__struct_fields__)
    assert as_json["sources"]["app"]["last_change"] == "1970-01-01T00:00:02.000Z"
    assert len(calls) == 2


def test_status_calls_no_source_followed_while_nobody_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gauges = {"app": {"state": "following"}, "other": {"state": "waiting"}}
    answer(monkeypatch, "status.status", Status("s", None, "done", 1.0, gauges, (MAPPING,)))
    shown = lockstep("status").stdout
    assert "following" not in shown
    assert "idle" in shown.partition("MAPPING")[0]
    assert "waiting" in shown


def test_status_says_no_when_a_mapping_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stopped = MappingStatus("users", "index:users", 1, "stopped", "it is gone", 0, 0, 2, None, {})
    answer(monkeypatch, "status.status", Status("s", None, "failed", 1.0, {}, (stopped,)))
    shown = lockstep("status")
    assert shown.exit_code == 1
    assert "users (stopped): it is gone" in shown.stdout
    assert "2 keys are stuck; `lockstep stuck users` says why." in shown.stdout


def test_status_where_nothing_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = lockstep("status")
    assert shown.exit_code == 2
    assert "nothing has run yet" in shown.stderr
    assert "name it with --pipeline or --state. What is new begins with `lockstep run`." in shown.stderr
    assert not (tmp_path / ".lockstep").exists()


def test_plan(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = (FieldDiff("name", "Ada", "Eda"), FieldDiff("tags[1]", "vip", "(missing)"))
    planned = [
        Planned("update", "7", "7", fields),
        Planned("create", "8", "ada@x.org"),
        Planned("delete", "9", "9"),
    ]
    calls = answer(monkeypatch, "plan.plan", planned)
    shown = lockstep("plan", "users", "7", "--limit", "2")
    assert shown.exit_code == 0
    assert calls == [("users", ("7",), {})]
    assert '~ update 7\n    name            "Eda" → "Ada"\n' in shown.stdout
    assert '    tags[1]         (missing) → "vip"\n' in shown.stdout
    assert "+ create 8 → ada@x.org\n" in shown.stdout
    assert "delete 9" not in shown.stdout
    assert "1 create, 1 update, 1 delete. The first 2 are shown. Nothing was written.\n" in shown.stdout
    as_json = json.loads(lockstep("plan", "users", "--json").stdout)
    assert as_json["counts"] == {"create": 1, "update": 1, "delete": 1, "fail": 0}
    assert as_json["shown"] == 3
    assert set(as_json["writes"][0]) == set(Planned.__struct_fields__)


def test_verify(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Divergence("different", "7", "7", (FieldDiff("name", "Ada", "Eda"),))
    wrong = Report("users", False, 1.0, 2.5, 10, 9, 10, 1, {"different": 1}, (found,))
    answer(monkeypatch, "verify.verify", wrong)
    shown = lockstep("verify")
    assert shown.exit_code == 1
    assert "✗ users is not in agreement: 1 different.\n" in shown.stdout
    assert '    name            "Eda" → "Ada"\n' in shown.stdout
    assert "in 1.5 s" in shown.stdout
    as_json = json.loads(lockstep("verify", "--json", "users").stdout)
    assert as_json["agreement"] is False
    assert set(as_json["reports"][0]) == set(Report.__struct_fields__)
    assert set(as_json["reports"][0]["divergences"][0]) == set(Divergence.__struct_fields__)
    answer(monkeypatch, "verify.verify", Report("users", True, 1.0, 2.5, 10, 10, 10, 0, {}, ()))
    shown = lockstep("verify")
    assert shown.exit_code == 0
    assert "✓ users is in agreement.\n" in shown.stdout


def test_verify_of_a_mapping_that_is_not_there_checks_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = answer(monkeypatch, "verify.verify", None)
    assert lockstep("verify", "users", "none").exit_code == 2
    assert calls == []


def test_run(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "run.run", RunResult("done", (MAPPING,), {}))
    assert lockstep("run", "--once").exit_code == 0
    lines = lockstep("run", "--once", "--json").stdout.splitlines()
    end = json.loads(lines[-1])
    assert end["event"] == "end"
    assert set(end) == {"event", *RunResult.__struct_fields__}
    for stopped in ({"users": "it is gone"}, {}):  # a source may fail where no mapping has begun
        answer(monkeypatch, "run.run", RunResult("failed", (MAPPING,), stopped))
        assert lockstep("run").exit_code == 1


def test_backfill(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answer(monkeypatch, "backfill.backfill", Asked("users", 1204, 2, None))
    shown = lockstep("backfill", "users", "--trust-target")
    assert calls == [("users", (), {"trust_target": True, "rebuild": False})]
    assert "about 1,204 keys of users (generation 2)" in shown.stdout
    assert "the next `lockstep run` does it" in shown.stdout
    assert set(json.loads(lockstep("backfill", "users", "--json").stdout)) == set(Asked.__struct_fields__)
    assert lockstep("backfill", "users", "7", "--rebuild").exit_code == 2


def test_search_of_a_target_that_cannot(project: Path) -> None:
    shown = lockstep("search", "users", "ada")
    assert shown.exit_code == 2
    assert "nowhere:users cannot be searched from here" in shown.stderr
