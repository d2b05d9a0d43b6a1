"""How commands are found, what they say when something is wrong, and with which exit code they end."""

from __future__ import annotations

import errno
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from lockstep.cli import exits
from lockstep.cli.main import SECTIONS
from lockstep.errors import (
    Cancelled,
    CheckFailed,
    DataError,
    DeclarationError,
    Declined,
    Disagreement,
    LeaseLost,
    LockstepError,
    MappingStopped,
    NothingYet,
    Refused,
    StateError,
    StateInUse,
    TargetReplaced,
    Unreachable,
    UsageError,
)
from lockstep.values import Finding
from tests.unit.cli_project import answer, begin, lockstep


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from begin(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DeclarationError("x"), 2),
        (DataError("x"), 2),
        (UsageError("x"), 2),
        (CheckFailed("x"), 1),
        (MappingStopped("x"), 1),
        (StateError("x"), 3),
        (LeaseLost("x"), 3),
        (Cancelled("x"), 130),
        (StateInUse("x"), 4),
        (Unreachable("x"), 3),
        (Refused("x"), 3),
        (Declined("x"), 1),
        (Disagreement("x"), 1),
        (NothingYet("x"), 2),
        (TargetReplaced("x"), 1),
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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_no_defect(project: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    answer(monkeypatch, "check.check", OSError(number, os.strerror(number)))
    shown = lockstep("check")
    assert shown.exit_code == 3
    assert "Error: no room is left" in shown.stderr
    assert "Make room" in shown.stderr
    assert "defect" not in shown.stderr


def test_a_pipeline_file_that_exits_is_said(project: Path) -> None:
    (project / "pipeline.py").write_text("import sys\nsys.exit(3)\n")
    shown = lockstep("check")
    assert shown.exit_code == 2
    assert "pipeline.py failed when it was imported: SystemExit: 3" in shown.stderr


def test_a_state_directory_that_is_a_file_is_said(project: Path) -> None:
    (project / "afile").touch()
    shown = lockstep("--state", "afile", "status")
    assert shown.exit_code == 2
    assert "afile is a file" in shown.stderr
    assert "nothing has run" not in shown.stderr


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


def test_the_end_looks_for_no_garbage() -> None:
    code = (
        "import atexit, gc; atexit.register(lambda: print(len(gc.get_objects()) < gc.get_freeze_count()));"
        "from lockstep.cli.main import main; main()"
    )
    for typed in (["--version"], ["--help"], ["nonsense"]):
        ran = subprocess.run([sys.executable, "-c", code, *typed], capture_output=True, text=True)
        assert ran.stdout.splitlines()[-1] == "True"


def test_every_verb_has_its_file() -> None:
    for section in SECTIONS.values():
        for name in section:
            assert isinstance(
                importlib.import_module(f"lockstep.cli.{name.replace('-', '_')}").command, click.Command
            )


@pytest.mark.parametrize("arguments", [["--json", "check"], ["check", "--json"]])
def test_json_is_asked_for_before_or_after_the_verb(
    project: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    answer(monkeypatch, "check.check", [])
    assert json.loads(lockstep(*arguments).stdout)["ok"] is True


@pytest.mark.parametrize(
    "arguments",
    [["plan", "--json"], ["plann", "--json"], ["--json", "--nonsense"], ["search", "u", "q", "--limit", "0"]],
)
def test_wrong_usage_as_json(project: Path, arguments: list[str]) -> None:
    shown = lockstep("--json", *arguments)
    assert shown.exit_code == 2
    assert shown.stdout == ""
    said = json.loads(shown.stderr)
    assert said["error"] == "UsageError"
    assert said["exit_code"] == 2
    assert said["problem"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "99999999999999999999999"],
        ["accept", "99999999999999999999999", "x", "--because", "y"],
        ["repair", "99999999999999999999999"],
        ["search", "users", "x", "--limit", "0"],
        ["search", "users", "x", "--limit", "99999999999999999999999"],
        ["verify", "--limit", "-5"],
        ["demo", "--users", "0"],
        ["demo", "--seconds", "nan"],
        ["verify", "--patience", "nan"],
    ],
)
def test_numbers_out_of_range_are_wrong_usage(project: Path, arguments: list[str]) -> None:
    shown = lockstep(*arguments)
    assert shown.exit_code == 2
    assert "range" in shown.stderr


def test_a_negative_number_is_a_key(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def plan(pipeline: Any, mapping: str, keys: Any, **more: Any) -> Any:
        asked.append(tuple(keys))
        return iter(())

    monkeypatch.setattr(importlib.import_module("lockstep.operations.plan"), "plan", plan)
    assert lockstep("plan", "users", "-1", "5", "--limit", "3").exit_code == 0
    assert asked == [("5", "-1")]


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ('pipeline = ls.Pipeline("acme")', ".lockstep"),
        ('pipeline = ls.Pipeline("acme", state="elsewhere")', "elsewhere"),
        ('pipeline = ls.Pipeline("acme", **{"state": "elsewhere"})', "elsewhere"),
        (
            'pipeline = ls.Pipeline("acme")\nfrom pathlib import Path\npipeline.state = Path("elsewhere")',
            "elsewhere",
        ),
    ],
)
def test_a_state_left_beside_the_file_is_not_read_when_the_pipeline_says_another(
    project: Path, monkeypatch: pytest.MonkeyPatch, said: str, place: str
) -> None:
    (project / ".lockstep").mkdir()
    file = project / "pipeline.py"
    file.write_text(file.read_text().replace('pipeline = ls.Pipeline("acme")', said))
    asked: list[Any] = []

    def status(state: Any, **more: Any) -> Any:
        asked.append(state)
        raise StateError("nothing", "")

    monkeypatch.setattr(importlib.import_module("lockstep.operations.status"), "status", status)
    lockstep("status")
    assert [one.name for one in asked] == [place]
