"""The command as a person runs it: a SQLite application, an embedded index, nothing else."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tantivy")

SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE companies (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE users (id INTEGER PRIMARY KEY, company_id INTEGER REFERENCES companies, name TEXT NOT NULL,
    email TEXT NOT NULL);
CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE user_tags (user_id INTEGER NOT NULL REFERENCES users, tag_id INTEGER NOT NULL REFERENCES tags,
    PRIMARY KEY (user_id, tag_id));
INSERT INTO companies VALUES (1, 'Acme'), (2, 'Bolt');
INSERT INTO tags VALUES (1, 'vip'), (2, 'beta');
INSERT INTO users VALUES (1, 1, 'Ada Lovelace', 'Ada@example.org'),
    (2, 2, 'Grace Hopper', 'grace@example.org'), (3, NULL, 'Alan Turing', 'alan@example.org');
INSERT INTO user_tags VALUES (1, 1), (1, 2), (2, 1);
"""

PIPELINE = """
import lockstep as ls
from models import Company, Tag, User, UserTag

class Person(User):
    company: Company | None
    tags: list[Tag] = ls.many(through=UserTag)

app = ls.SQLite("app.db")
search = ls.Tantivy("search")
pipeline = ls.Pipeline("acme")

@pipeline.mapping(app, to=search.index("users"))
def users(user: Person) -> dict[str, object]:
    if "@" not in user.email:
        raise ValueError(f"{user.email!r} is no address")
    return {
        "name": user.name,
        "email": user.email.lower(),
        "company": user.company.name if user.company else None,
        "tags": [tag.name for tag in user.tags],
    }
"""


class Project:
    """A directory with an application in it, and the command."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.sql(SCHEMA)
        (directory / "pipeline.py").write_text(PIPELINE)

    def sql(self, statements: str) -> None:
        """Changes the application's data, as the application would."""
        connection = sqlite3.connect(self.directory / "app.db")
        connection.executescript(statements)
        connection.close()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "lockstep.cli", *arguments]

    def run(self, *arguments: str, code: int = 0) -> str:
        """What a command prints. It must end with this code."""
        ran = subprocess.run(
            self.command(*arguments),
            cwd=self.directory,
            env=environment(),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr
        return ran.stdout if code in (0, 1) else ran.stderr

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", code=code))


def environment() -> dict[str, str]:
    """Ours, without what would change the output or the place of things."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCKSTEP_")}
    return {**kept, "TZ": "UTC", "PYTHONUTF8": "1", "TERM": "dumb"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path)
    found.run("explore", "sqlite:///app.db", "-o", "models.py")
    return found


def test_a_project_from_the_first_look_to_proof(project: Project) -> None:
    assert "class UserTag(ls.Model" in (project.directory / "models.py").read_text()
    assert "models.py is there already" in project.run("explore", "app.db", "-o", "models.py", code=2)
    assert "nothing has run yet" in project.run("status", code=2)
    assert "Nothing stands in the way of `lockstep run`" in project.run("check")

    planned = project.json("plan", "users")
    assert planned["counts"] == {"create": 3, "update": 0, "delete": 0, "fail": 0}

    assert "Done:" in project.run("run", "--once")
    status = project.json("status")
    assert (status["running"], status["last_outcome"]) == (None, "done")
    (users,) = status["mappings"]
    assert (users["name"], users["state"], users["stuck"]) == ("users", "running", 0)
    assert (users["waiting_live"], users["waiting_bulk"]) == (0, 0)
    assert users["backfill"]["finished_at"] is not None

    (hit,) = project.json("search", "users", "lovelace")["hits"]
    assert hit["key"] == "1"
    assert hit["record"]["tags"] == ["vip", "beta"]
    assert "Ada Lovelace" in project.run("search", "users", "lovelace")

    assert project.run("plan", "users").startswith("Nothing to write")
    assert "in agreement" in project.run("explain", "users", "1")
    for jobs in ((), ("--jobs", "2")):
        verdict = project.run("verify", "--deep", *jobs)
        assert verdict.startswith(
            "✓ users is in agreement.\n  compared  3 records, derived from 3 source keys,\n"
        )
    assert "--sample looks at some" in project.run("verify", "--sample", "50%", "--jobs", "2", code=2)


def test_changes_reach_the_target_and_are_planned_field_by_field_before(project: Project) -> None:
    project.run("run", "--once")
    project.sql(
        """
        UPDATE companies SET name = 'Acme Ltd' WHERE id = 1;
        DELETE FROM user_tags WHERE user_id = 1 AND tag_id = 2;
        DELETE FROM user_tags WHERE user_id = 2; DELETE FROM users WHERE id = 2;
        INSERT INTO users VALUES (4, 2, 'Edsger Dijkstra', 'edsger@example.org');
        """
    )
    planned = project.run("plan", "users")
    assert (
        '~ update 1\n    company         "Acme" → "Acme Ltd"\n    tags[1]         "beta" → (missing)\n'
        in planned
    )
    assert "+ create 4\n" in planned
    assert "- delete 2\n" in planned
    assert "1 create, 1 update, 1 delete. Nothing was written.\n" in planned
    report = project.json("verify", "--deep", code=1)["reports"][0]
    assert report["counts"] == {"stale": 1, "missing": 1, "extra": 1}
    assert "✗ users is not in agreement: 1 missing, 1 stale, 1 extra." in project.run(
        "verify", "--deep", code=1
    )
    assert "does not hold what the source means" in project.run("explain", "users", "1")

    project.run("run", "--once")
    assert project.json("verify", "--deep")["agreement"] is True
    assert project.json("search", "users", "hopper")["hits"] == []


def test_a_key_that_fails_is_stuck_and_holds_up_nobody(project: Project) -> None:
    project.sql("UPDATE users SET email = 'nowhere' WHERE id = 2")
    project.run("run", "--once")
    stuck = project.json("stuck")
    assert [(one["mapping"], one["key"]) for one in stuck["stuck"]] == [("users", "2")]
    shown = project.run("stuck", "users")
    assert "users 2\n" in shown
    assert "the mapping raised ValueError: 'nowhere' is no address (pipeline.py:" in shown
    assert project.json("verify", "--deep", code=1)["reports"][0]["counts"] == {"failed": 1}
    assert "stuck" in project.run("explain", "users", "2")

    project.sql("UPDATE users SET email = 'grace@example.org' WHERE id = 2")
    assert "Asked for 1 key of users." in project.run("retry", "users")
    project.run("run", "--once")
    assert project.run("stuck") == "No key is stuck.\n"
    assert project.json("verify", "--deep")["agreement"] is True


def test_a_run_follows_until_it_is_told_to_stop(project: Project) -> None:
    with subprocess.Popen(
        project.command("run", "--json"),
        cwd=project.directory,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    ) as running:
        try:
            until(lambda: hits(project, "turing") == ["3"])
            assert project.json("status")["running"] is not None
            assert "is in use by" in project.run("run", "--once", code=4)
            project.sql("UPDATE users SET name = 'A. M. Turing' WHERE id = 3")
            until(lambda: "A. M. Turing" in project.run("search", "users", "turing"))
            assert "The run of" in project.run("backfill", "users")
            running.send_signal(signal.SIGTERM)
            out, err = running.communicate(timeout=30)
        finally:
            running.kill()
    assert running.returncode == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["event"] for event in events[-1:]] == ["end"]
    assert events[-1]["outcome"] == "stopped"
    assert events[-1]["stopped"] == {}
    project.run("run", "--once")
    assert project.json("verify", "--deep")["agreement"] is True


def test_a_lost_target_is_built_anew(project: Project) -> None:
    project.run("run", "--once")
    asked = project.json("backfill", "users", "--rebuild")
    assert asked["generation"] == 2
    assert asked["running"] is None
    project.run("run", "--once")
    assert project.json("verify", "--deep")["agreement"] is True
    assert hits(project, "turing") == ["3"]


def hits(project: Project, query: str) -> list[str]:
    """The keys that match, none while there is no index yet."""
    ran = subprocess.run(
        project.command("search", "users", query, "--json"),
        cwd=project.directory,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    return [hit["key"] for hit in json.loads(ran.stdout)["hits"]] if ran.returncode == 0 else []


def until(done: Any, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


def test_a_sample_that_looked_at_nothing_is_no_agreement(project: Project) -> None:
    project.run("run", "--once")
    assert "nothing was compared" in project.run("verify", "--sample", "1e-300", code=2)
