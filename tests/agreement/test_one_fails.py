"""Of several mappings one cannot be checked: the others are, and it is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lockstep.cli import exits
from lockstep.cli.main import cli
from tests.support.world import World

PIPELINE = """
from pathlib import Path
import lockstep as ls
from tests.support.world import User

here = Path(__file__).parent
pipeline = ls.Pipeline("two", state=here / "state")
app, columns = ls.SQLite(here / "app.db"), {"id": "INTEGER", "email": "TEXT"}

@pipeline.mapping(app, to=ls.SQLite(here / "first.db").table("first", columns=columns))
def first(user: User) -> dict[str, object]:
    return {"id": user.id, "email": user.email}

@pipeline.mapping(app, to=ls.SQLite(here / "second.db").table("second", columns=columns))
def second(user: User) -> dict[str, object]:
    return {"id": user.id, "email": user.email}
"""


@pytest.mark.parametrize("line", [("verify",), ("verify", "first", "second", "--json")])
def test_the_others_are_checked(tmp_path: Path, line: tuple[str, ...]) -> None:
    World(tmp_path, claims=False).do("INSERT INTO users VALUES (1, NULL, NULL, 'u', NULL)")
    file = tmp_path / "pipeline.py"
    file.write_text(PIPELINE)
    at = ("--pipeline", str(file))
    assert CliRunner().invoke(cli, ["run", "--once", *at]).exit_code == exits.DONE
    (tmp_path / "first.db").write_bytes(b"no database" * 1000)
    for left in tmp_path.glob("first.db-*"):
        left.unlink()
    alone = CliRunner().invoke(cli, ["verify", "first", *at])
    done = CliRunner().invoke(cli, [*line, *at])
    assert done.exit_code == alone.exit_code == exits.FAILED
    if "--json" in line:
        told = json.loads(done.stdout)
        assert not told["agreement"]
        assert [(one["mapping"], one["agreement"]) for one in told["reports"]] == [("second", True)]
        said = json.loads(done.stderr)["problem"]
    else:
        assert "second is in agreement" in done.stdout
        said = done.stderr
    assert "mapping first was not checked: " in said
