"""Wrong usage is answered alike by every verb: 2, what is wrong, and what to type instead."""

from __future__ import annotations

import json
import shlex
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from lockstep.cli.main import cli

PIPELINE = """
import lockstep as ls

class User(ls.Model, table="users"):
    id: int = ls.key()
    name: str

pipeline = ls.Pipeline("usage")

@pipeline.mapping(ls.SQLite("app.db"), to=ls.Tantivy("index").index("people"))
def people(user: User) -> dict[str, object]:
    return {"name": user.name}
"""

WRONG = """
status --pipeline nope.py
holds --pipeline nope.py
stuck --pipeline nope.py
reports --pipeline nope.py
report 1 --pipeline nope.py
timeline --pipeline nope.py
snapshots --pipeline nope.py
verify --pipeline nope.py
run --once --pipeline nope.py
stuck nope
reports nope
timeline --mapping nope
timeline --since yesterday-ish
timeline --since 1h --until 2h
timeline --since 2999-01-01
explain nope 1
explain people zz
plan nope
plan people zz
backfill nope
backfill people zz
retry nope
retry people zz
verify nope
verify --sample 0%
repair nope
repair 999
report 999
report 0
accept 999 1 --because x
accept 1 nothing-of-this-name --because x
accept 1 1 --because " "
approve 999 --why x
approve 999 --why " "
reject 999 --why x
adopt nope --take different
search nope x
search people "name:("
snapshot nope
restore nope
restore --snapshot nope
drill nope
drill --snapshot nope
deploy nope
rollback nope
rollback
retire nope
redrive --since 1h --mapping nope
redrive --since zz
redrive --since ""
redrive --since offset:zz
redrive --since 1h --until zz
redrive --since 1h --until 2h
redrive --since 2999-01-01
run --once --verify-every 5m
run --once --verify-share 5%
run --verify-share 0
guard terraform nope.json
guard fleet pipeline.py
explore sqlite:///nope.db
explore nothing
status --nothing
status nothing
nothing
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pipeline that ran once, and was verified once."""
    made = tmp_path_factory.mktemp("usage")
    (made / "pipeline.py").write_text(PIPELINE)
    with sqlite3.connect(made / "app.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        database.execute("INSERT INTO users VALUES (1, 'ann'), (2, 'bob')")
    database.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for command in (["run", "--once"], ["verify"]):
            assert CliRunner().invoke(cli, command).exit_code == 0
    return made


@pytest.mark.parametrize("line", WRONG.strip().splitlines())
def test_wrong_usage(directory: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(directory)
    shown = CliRunner().invoke(cli, shlex.split(line))
    assert shown.exit_code == 2, shown.output
    assert "Traceback" not in shown.output
    assert len(shown.stderr.strip().splitlines()) >= 2, shown.stderr  # what is wrong, and what to do
    shown = CliRunner().invoke(cli, [*shlex.split(line), "--json"])
    assert shown.exit_code == 2
    said = json.loads(shown.stderr)
    assert said["exit_code"] == 2
    assert said["problem"]
    assert said["remedy"]


def test_what_is_named_is_not_looked_for_elsewhere(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of another pipeline beside a mistyped name is not shown as its own."""
    monkeypatch.chdir(directory)
    assert "people" in CliRunner().invoke(cli, ["status"]).output
    shown = CliRunner().invoke(cli, ["status", "--pipeline", "pipelin.py"])
    assert "there is no pipeline file pipelin.py" in shown.stderr
    assert "people" not in shown.output
