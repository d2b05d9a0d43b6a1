"""Keys that a terminal would obey, or show as nothing: told, explained and accepted by what is shown."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from lockstep.cli.main import cli

PIPELINE = """
import lockstep as ls

class User(ls.Model, table="users"):
    id: str = ls.key()
    name: str

pipeline = ls.Pipeline("acme")
people = ls.SQLite("out.db").table("people", columns={"id": "TEXT", "name": "TEXT"}, key=("id",))

@pipeline.mapping(ls.SQLite("app.db"), to=people)
def users(user: User) -> dict[str, object]:
    return {"name": user.name.upper()}
"""
SHOWN = {
    "": '""',
    " ": '" "',
    "new\nline": '"new\\nline"',
    "\x1b[31mred": '"\\u001b[31mred"',
    "it's": "it's",
    "a/b": "a/b",
    "🦀": "🦀",
    "[bold]b[/bold]": "[bold]b[/bold]",
}


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOCKSTEP_STATE", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("pipeline.py").write_text(PIPELINE)
    with closing(sqlite3.connect("app.db")) as app, app:
        app.execute("CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT NOT NULL)")
        app.executemany("INSERT INTO users VALUES (?, 'x')", [(key,) for key in SHOWN])
    yield
    sys.modules.pop("pipeline", None)


def said(code: int, *words: str) -> str:
    sys.modules.pop("pipeline", None)
    ran = CliRunner().invoke(cli, [*words])
    assert ran.exit_code == code, ran.output
    return ran.output


def test_every_key_is_shown_on_one_line_and_accepted_by_that() -> None:
    said(0, "run", "--once")
    with closing(sqlite3.connect("out.db")) as out, out:
        out.execute("UPDATE people SET name = 'spoilt \x1b[2J'")
    for found in (said(1, "verify"), said(1, "report", "1")):
        lines = [line.removesuffix("  (open)") for line in found.splitlines()]
        assert {f"  different  {shown}" for shown in SHOWN.values()} <= set(lines)
        assert "\x1b" not in found
    for key, shown in SHOWN.items():
        assert said(0, "explain", "users", "--", key).startswith(f"users {shown}\n")
        assert shown in said(0, "accept", "1", shown, "--because", "it is known")
    said(0, "report", "1")
    assert "its bytes are no UTF-8" in said(2, "explain", "users", "\udcff")
    assert "nothing is open" in said(2, "accept", "1", "\udcff", "--because", "x")
