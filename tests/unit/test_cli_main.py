"""How commands are found, what they say when something is wrong, and with which exit code they end."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from lockstep.agreement.fields import FieldDiff
from lockstep.agreement.verify import Divergence, Report
from lockstep.cli import exits
from lockstep.cli.main import SECTIONS, cli
from lockstep.errors import (
    CheckFailed,
    DataError,
    DeclarationError,
    LeaseLost,
    LockstepError,
    MappingStopped,
    Refused,
    StateError,
    StateInUse,
    TargetReplaced,
    Unreachable,
)
from lockstep.operations.backfill import Asked
from lockstep.operations.plan import Planned
from lockstep.operations.run import RunResult
from lockstep.operations.status import BackfillStatus, MappingStatus, Status
from lockstep.values import Finding

PIPELINE = """
import lockstep as ls

class User(ls.Model, table="users"):
    id: int = ls.key()
    name: str

pipeline = ls.Pipeline("acme")

class Nowhere:
    name = "nowhere:users"

@pipeline.mapping(ls.SQLite("app.db"), to=Nowhere())
def users(user: User) -> dict[str, object]:
    return {"name": user.name}
"""

MAPPING = MappingStatus(
    "users", "index:users", 1, "running", "", 3, 4, 0,
    BackfillStatus("backfill", 50, 200, 10.0, 15.0, 1_000.0, None), {"lag_p50": 0.012, "lag_p99": 0.08},
)  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOCKSTEP_STATE", raising=False)
    monkeypatch.delenv("LOCKSTEP_PIPELINE", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name in ("pipeline", "other"):
        sys.modules.pop(name, None)


def answer(monkeypatch: pytest.MonkeyPatch, operation: str, result: Any) -> list[tuple[Any, ...]]:
    """Lets an operation answer this, or raise it; the arguments it is called with."""
    module, _, name = operation.rpartition(".")
    calls: list[tuple[Any, ...]] = []

    def operate(*args: Any, **more: Any) -> Any:
        calls.append((*args[1:], more))
        if isinstance(result, BaseException):
            raise result
        return result

    monkeypatch.setattr(importlib.import_module(f"lockstep.operations.{module}"), name, operate)
    return calls


def lockstep(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DeclarationError("x"), 2),
        (DataError("x"), 2),
        (CheckFailed("x"), 1),
        (MappingStopped("x"), 1),
        (StateError("x"), 3),
        (LeaseLost("x"), 3),
        (StateInUse("x"), 4),
        (Unreachable("x"), 3),
        (Refused("x"), 3),
        (TargetReplaced("x"), 3),
        (LockstepError("x"), 3),
        (ZeroDivisionError("x"), 3),
    ],
)
def test_the_exit_code_of_an_error(error: Exception, code: int) -> None:
    assert exits.code_of(error) == code
    assert code in exits.MEANINGS


def test_an_error_says_what_is_wrong_and_then_what_to_do(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(monkeypatch, "check.check", Unreachable("postgresql://ana:s3cret@db/app is gone", "Start it."))
    shown = lockstep("check")
    assert shown.exit_code == 3
    assert shown.stdout == ""
    assert shown.stderr == "Error: postgresql://ana@db/app is gone\nStart it.\n"


def test_an_error_as_json(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "check.check", Unreachable("postgresql://ana:s3cret@db/app is gone", "Start it."))
    shown = lockstep("check", "--json")
    assert json.loads(shown.stderr) == {
        "error": "Unreachable",
        "problem": "postgresql://ana@db/app is gone",
        "remedy": "Start it.",
        "retriable": True,
        "exit_code": 3,
    }


def test_a_defect_is_no_answer(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "check.check", ZeroDivisionError("oh"))
    shown = lockstep("check")
    assert shown.exit_code == 3
    assert "Traceback" in shown.stderr
    assert "Error: a defect of Lockstep: ZeroDivisionError: oh\n" in shown.stderr


def test_an_interrupt_has_its_own_code(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, "check.check", KeyboardInterrupt())
    assert lockstep("check").exit_code == 130


@pytest.mark.parametrize(
    "arguments",
    [["plann"], ["plan"], ["plan", "users", "--limit", "many"], ["--nonsense"], ["completion", "x"]],
)
def test_wrong_usage(project: Path, arguments: list[str]) -> None:
    assert lockstep(*arguments).exit_code == 2


def test_a_slip_of_the_finger_is_recognised() -> None:
    assert "Did you mean verify?" in lockstep("verfy").stderr


def test_no_pipeline_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = lockstep("plan", "users")
    assert shown.exit_code == 2
    assert "there is no pipeline file pipeline.py" in shown.stderr


@pytest.mark.parametrize(
    "place",
    [
        lambda path: ["--pipeline", path, "check"],
        lambda path: ["check", "--pipeline", path],
    ],
)
def test_the_pipeline_is_named_before_or_after_the_verb(
    project: Path, monkeypatch: pytest.MonkeyPatch, place: Callable[[str], list[str]]
) -> None:
    (project / "pipeline.py").rename(project / "other.py")
    answer(monkeypatch, "check.check", [])
    assert lockstep(*place("other.py")).exit_code == 0


def test_the_state_is_named_by_flag_then_environment_then_file(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Any] = []

    def look(pipeline: Any) -> list[Finding]:
        found.append(pipeline.state)
        return []

    monkeypatch.setattr(importlib.import_module("lockstep.operations.check"), "check", look)
    lockstep("check")
    monkeypatch.setenv("LOCKSTEP_STATE", "from-environment")
    lockstep("check")
    lockstep("--state", "from-flag", "check")
    assert [path.name for path in found] == [".lockstep", "from-environment", "from-flag"]


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
    assert set(as_json) == set(Status.__struct_fields__)
    assert set(as_json["mappings"][0]) == set(MappingStatus.__struct_fields__)
    assert set(as_json["mappings"][0]["backfill"]) == set(BackfillStatus.__struct_fields__)
    assert as_json["sources"]["app"]["last_change"] == "1970-01-01T00:00:02.000Z"
    assert len(calls) == 2


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
    assert shown.exit_code == 3
    assert "nothing has run yet" in shown.stderr
    assert "Start with `lockstep run`." in shown.stderr
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
    answer(monkeypatch, "run.run", RunResult("failed", (MAPPING,), {"users": "it is gone"}))
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


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    script = lockstep("completion", shell).stdout
    assert "_LOCKSTEP_COMPLETE" in script
    assert json.loads(lockstep("completion", shell, "--json").stdout)["shell"] == shell


def test_help_imports_no_verb_and_nothing_slow() -> None:
    code = (
        "import sys; from lockstep.cli.main import cli; cli.main(['--help'], standalone_mode=False);"
        "slow = ('lockstep.operations', 'rich', 'sqlalchemy');"
        "print([name for name in sys.modules if name.startswith(slow)"
        " or name.startswith('lockstep.cli.') and name.rpartition('.')[2] in sys.argv], file=sys.stderr)"
    )
    verbs = [name for section in SECTIONS.values() for name in section]
    ran = subprocess.run([sys.executable, "-c", code, *verbs], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"


def test_every_verb_has_its_file() -> None:
    for section in SECTIONS.values():
        for name in section:
            assert isinstance(importlib.import_module(f"lockstep.cli.{name}").command, click.Command)
