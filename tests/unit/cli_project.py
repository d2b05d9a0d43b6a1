"""A project for tests of the command line, whose operations answer what a test says."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lockstep.cli.main import cli

PIPELINE = """
import lockstep as ls

class User(ls.Model, table="users"):
    id: int = ls.key()
    name: str

pipeline = ls.Pipeline("acme")

class Nowhere:
    name = "nowhere:users"
    key = open = check = print

@pipeline.mapping(ls.SQLite("app.db"), to=Nowhere())
def users(user: User) -> dict[str, object]:
    return {"name": user.name}
"""


def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory with a pipeline.py, which is the current one while this lasts."""
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
