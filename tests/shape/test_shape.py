"""The shape of the code base itself: public names, sizes, words, and what may not be in it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lockstep
from lockstep import errors

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def test_public_names_are_pinned() -> None:
    assert lockstep.__all__ == sorted(lockstep.__all__)
    assert set(lockstep.__all__) == {
        *("Model", "Reference", "column", "key", "many", "one", "personal", "ref"),
        *("Clock", "Keyed", "Pipeline", "load"),
        *("Equal", "count", "total"),
        *("Judgement", "PlanUnreadable", "guard_fleet", "guard_terraform"),
        *("deploy", "drill", "redrive", "redrive_keys", "restore", "retire", "rollback"),
        *("Timeline", "snapshot", "snapshots"),
        *("Far", "Interval", "Range"),
        *("Elasticsearch", "OpenSearch", "Postgres", "SQLite", "Tantivy", "Zuora"),
        *("accept", "adopt", "move_readers", "repair", "report", "reports"),
        *("Guard", "HeldBack", "Numbers", "approve", "holds", "reject", "history"),
        *("backfill", "check", "explain", "explore", "plan", "retry", "run", "status", "stuck", "verify"),
        *("CheckFailed", "DataError", "DeclarationError", "Finding", "LockstepError", "MappingStopped"),
        *("Disagreement", "UsageError"),
        *("Refused", "StateError", "StateInUse", "TargetReplaced", "Unreachable"),
    }
    for name in lockstep.__all__:
        assert getattr(lockstep, name) is not None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_runs_away(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 500
    assert path.stem not in {"utils", "util", "common", "helpers", "manager", "base", "misc"}


def test_most_files_are_short() -> None:
    long = [path for path in SOURCES if len(path.read_text().splitlines()) > 300]
    assert len(long) <= len(SOURCES) // 10, long


def test_ports_are_small() -> None:
    files = sorted((ROOT / "src/lockstep/ports").glob("*.py"))
    assert len(files) > 5
    text = "".join(path.read_text() for path in files)
    for body in re.split(r"^class ", text, flags=re.M)[1:]:
        name = body.partition("(")[0]
        assert len(re.findall(r"^    def ", body, flags=re.M)) <= 7, name


_DRIVERS = "psycopg httpx tantivy starlette uvicorn pytest hypothesis multiprocessing"
_SLOW = f"{_DRIVERS} sqlalchemy sqlite3 asyncio ssl rich lockstep.operations lockstep.systems"
_CONNECTORS = "lockstep.systems.opensearch lockstep.systems.tantivy lockstep.systems.zuora"


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import lockstep", f"{_SLOW} click email logging subprocess threading"),
        ("from lockstep.cli.main import cli; cli.main(['--version'], standalone_mode=False)", _SLOW),
        (
            "import lockstep as ls; ls.SQLite, ls.verify",
            f"{_DRIVERS} rich click lockstep.systems.postgres {_CONNECTORS}",
        ),
        (
            "import lockstep as ls; ls.Postgres, ls.verify",
            f"{_DRIVERS.replace('psycopg ', '')} rich click lockstep.systems.sqlite {_CONNECTORS}",
        ),
    ],
    ids=["library", "version", "sqlite", "postgres"],
)
def test_what_a_start_does_not_import(code: str, heavy: str) -> None:
    code += f"; import sys; print([m for m in {heavy.split()!r} if m in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout.splitlines()[-1] == "[]"


def test_every_error_is_drawn_in_the_tree() -> None:
    drawn = set(re.findall(r"(\w+_?) {2,}", errors.__doc__ or ""))
    defined = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.LockstepError)
    }
    assert defined == drawn


def test_the_lock_has_hashes_and_no_addresses() -> None:
    lock = (ROOT / "requirements/dev.txt").read_text()
    assert "--hash=sha256:" in lock
    assert not re.search(r"https?://", lock)


def test_extras_are_what_the_messages_name() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {extra for _, extra in lockstep._LAZY.values() if extra}
    assert named <= set(project["optional-dependencies"])
