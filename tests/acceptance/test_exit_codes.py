"""The exit code of every verb is what docs/cli.md says of its outcome: scripts and cron jobs go by them."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("tantivy")

from lockstep.cli import exits
from lockstep.cli.main import SECTIONS, cli
from lockstep.operations.opened import opened

PIPELINE = """
import lockstep as ls

class User(ls.Model, table="users"):
    id: int = ls.key()
    name: str

pipeline = ls.Pipeline("acme")

@pipeline.mapping(ls.SQLite("app.db"), to=ls.Tantivy("search").index("users"))
def users(user: User) -> dict[str, object]:
    return {"name": user.name.upper()}
"""


class Shop:
    """A directory with an application, and the command in it. `asked`: the verbs that were."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.asked: set[str] = set()
        (directory / "pipeline.py").write_text(PIPELINE)
        self.sql("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        self.sql(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150)"
            " INSERT INTO users SELECT i, 'user' || i FROM n"
        )

    def sql(self, statement: str) -> None:
        with closing(sqlite3.connect(self.directory / "app.db")) as connection:
            connection.execute(statement)
            connection.commit()

    def code(self, old: str, new: str) -> None:
        """Changes the pipeline's code."""
        path = self.directory / "pipeline.py"
        path.write_text(path.read_text().replace(old, new))

    def ends(self, code: int, *typed: str) -> str:
        """What is typed ends with this code; what the last said."""
        output = ""
        for words in typed:
            sys.modules.pop("pipeline", None)
            ran = CliRunner().invoke(cli, words.split())
            assert ran.exit_code == code, f"{words}: {ran.exit_code}\n{ran.output}"
            self.asked.add(words.split()[0])
            output = " ".join(ran.output.split())
        return output


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.chdir(tmp_path)
    for name in ("LOCKSTEP_STATE", "LOCKSTEP_PIPELINE", "ZUORA_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield Shop(tmp_path)
    sys.modules.pop("pipeline", None)


def test_an_invariant_of_too_many_groups_is_a_wrong_declaration(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.ends(exits.DONE, "run --once")
    with (shop.directory / "pipeline.py").open("a") as file:
        file.write(
            """
@pipeline.invariant(ls.SQLite("app.db"), ls.Tantivy("search").index("users"))
def names() -> ls.Equal:
    return ls.Equal(ls.count(User, by=User.id), ls.count(by="name"))
"""
        )
    monkeypatch.setattr("lockstep.agreement.groups.MOST_GROUPS", 149)
    for words in ("verify users", "verify users --deep", "--json verify users"):
        said = shop.ends(exits.WRONG, words)
        assert "the source has more than 149 groups by id" in said
        assert "User.id" not in said
        assert "fewer values" in said


def test_an_invariant_of_too_many_groups_of_the_target_alone_is_no_wrong_declaration(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.sql("UPDATE users SET name = 'alike'")
    shop.code("user.name.upper()", "f'{user.name} {user.id}'")
    shop.ends(exits.DONE, "run --once")
    with (shop.directory / "pipeline.py").open("a") as file:
        file.write(
            """
@pipeline.invariant(ls.SQLite("app.db"), ls.Tantivy("search").index("users"))
def all_of_them() -> ls.Equal:
    return ls.Equal(ls.count(User, by=User.name), ls.count(by="name"))
"""
        )
    monkeypatch.setattr("lockstep.agreement.groups.MOST_GROUPS", 149)
    said = shop.ends(exits.FAILED, "verify users")
    assert "the target has more than 149 groups by name" in said
    assert "See who else writes" in said


def test_every_verb_ends_with_the_code_of_its_outcome(shop: Shop) -> None:
    never_run(shop)
    in_order(shop)
    held(shop)
    another_build(shop)
    lost(shop)
    failed(shop)
    shop.ends(exits.WRONG, "twin", "twin nobody", "demo --seconds -1")  # else they run until stopped, or long
    assert shop.asked == {name for section in SECTIONS.values() for name in section}


def never_run(shop: Shop) -> None:
    shop.ends(exits.DONE, "check", "plan users", "plan users 7", "explore sqlite:///app.db -o models.py")
    shop.ends(exits.DONE, "completion bash")
    shop.ends(exits.WRONG, "status", "status --ready", "verify", "verify --deep", "repair users", "deploy")
    shop.ends(exits.WRONG, "backfill users", "retry users", "snapshot", "restore", "drill", "rollback")
    shop.ends(exits.WRONG, "retire", "redrive --since 2h", "reports", "report 1", "stuck", "holds")
    shop.ends(exits.WRONG, "snapshots", "timeline", "approve 1 --why x", "reject 1 --why x")
    shop.ends(exits.WRONG, "accept 1 7 --because x", "probe zuora", "run --oncee")
    shop.ends(exits.NO, "search users ada")


def in_order(shop: Shop) -> None:
    shop.ends(exits.WRONG, "explore sqlite:///app.db -o models.py")  # it is there, and --force was not said
    shop.ends(exits.DONE, "run --once", "status", "verify", "verify --deep", "plan users 7")
    shop.ends(exits.DONE, "reports", "report 1", "stuck", "retry users", "backfill users", "timeline")
    shop.ends(exits.DONE, "explain users 7", "search users USER7", "holds", "snapshots", "snapshot", "drill")
    shop.ends(exits.DONE, "redrive --since 2h", "repair users --dry-run", "retire")
    shop.ends(exits.NO, "status --ready", "restore", "adopt users --dry-run")
    shop.ends(exits.NO, "move-readers users --dry-run")
    shop.ends(exits.WRONG, "rollback")
    shop.ends(exits.DONE, "run --once")
    shop.ends(exits.WRONG, "explain users seven", "verify none", "report 99", "restore --snapshot 99")
    shop.ends(exits.WRONG, "retry none", "backfill none", "accept 1 7 --because x", "approve 9 --why x")
    shop.ends(exits.WRONG, "guard fleet nowhere.json")
    with opened(shop.directory / ".lockstep") as store:
        store.lock.take()
        shop.ends(exits.IN_USE, "run --once", "backfill users --rebuild")


def held(shop: Shop) -> None:
    shop.sql("DELETE FROM users WHERE id > 5")
    shop.ends(exits.NO, "run --once", "holds", "verify", "report 3")
    shop.ends(exits.DONE, "reject 1 --why x")
    shop.ends(exits.NO, "run --once", "holds")
    shop.ends(exits.DONE, "approve 1 --why x", "holds", "run --once", "verify", "status")


def another_build(shop: Shop) -> None:
    shop.code("upper", "lower")
    shop.ends(exits.DONE, "deploy --once")
    shop.sql("INSERT INTO users VALUES (1000, 'late')")
    shop.ends(exits.NO, "rollback")  # it is behind, and this is not its code
    shop.ends(exits.DONE, "rollback --as-it-stands", "rollback --as-it-stands", "run --once", "retire")
    shop.code("user.name.lower()", "1 / 0")
    shop.ends(exits.NO, "check", "deploy --once")
    shop.code("1 / 0", "user.name.lower()")


def lost(shop: Shop) -> None:
    shop.ends(exits.DONE, "run --once", "snapshot")
    shutil.rmtree(shop.directory / "search" / "users-g2")
    shop.ends(exits.NO, "run --once", "status", "status --ready", "holds", "snapshot", "verify")


def failed(shop: Shop) -> None:
    (shop.directory / "app.db").write_bytes(b"no database")
    shop.ends(exits.FAILED, "run --once", "plan users")
