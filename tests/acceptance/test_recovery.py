"""The recovery verbs as a person runs them: the Friday night, and a deploy that becomes the run."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tantivy")

from tests.acceptance.test_cli import PIPELINE, Project, environment


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path)
    made.sql(
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
        "INSERT INTO users SELECT i, 1, 'User ' || i, 'user' || i || '@example.org' FROM n;"
    )
    (tmp_path / "pipeline.py").write_text(PIPELINE.replace('"search")', '"search", snapshots="saved")'))
    made.run("explore", "app.db", "-o", "models.py")
    made.run("run", "--once")
    return made


def _started(project: Project, *arguments: str) -> subprocess.Popen[bytes]:
    with (project.directory / f"{arguments[0]}.log").open("wb") as log:
        return subprocess.Popen(
            project.command(*arguments),
            cwd=project.directory,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _until(true: Callable[[], object], within: float = 30.0) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_the_friday_night(project: Project) -> None:
    saved = project.json("snapshot", "--keep", "3")
    assert saved["snapshot"]["records"] == 294
    assert "comes back and agrees" in project.run("drill")
    project.sql("UPDATE users SET name = 'Changed since' WHERE id = 50")
    run = _started(project, "run")
    try:
        project.sql("UPDATE users SET name = 'At work' WHERE id = 49")
        _until(lambda: "At work" in project.run("search", "users", "name:work"))
        (project.directory / "search").rename(project.directory / "gone")
        shutil.rmtree(project.directory / "gone", ignore_errors=True)
        _until(lambda: project.json("status")["holds"], within=10)
        assert "lockstep restore" in project.run("holds", code=1)
        said = project.run("restore")
        assert "is back and in agreement: generation 2 is live" in said
        assert project.json("holds")["holds"] == []
        project.sql("UPDATE users SET name = 'Nobody told it' WHERE id = 51")
        _until(lambda: "Nobody told it" in project.run("search", "users", "name:nobody"))
    finally:
        run.send_signal(signal.SIGTERM)
        assert run.wait(30) == 0
    assert "Changed since" in project.run("search", "users", "name:changed")
    assert project.json("verify", "--deep")["agreement"]
    kinds = [one["kind"] for one in project.json("timeline")["happenings"]]
    story = ["snapshot-taken", "drill-passed", "target-gone", "held", "restore-begun", "restore-done"]
    assert [kind for kind in kinds if kind in story] == story
    (shown,) = project.json("snapshots")["snapshots"]
    assert shown["proven_at"] is not None


def test_a_deploy_follows_and_becomes_the_run(project: Project) -> None:
    old = _started(project, "run")
    _until(lambda: project.json("status")["running"])
    changed = (project.directory / "pipeline.py").read_text()
    (project.directory / "pipeline.py").write_text(changed.replace('"name": user.name', '"label": user.name'))
    new = _started(project, "deploy")
    try:
        _until(lambda: project.json("status")["mappings"][0]["generation"] == 2)
        assert [one["state"] for one in project.json("status")["builds"]] == ["kept"]
        project.sql("UPDATE users SET name = 'Followed by both' WHERE id = 60")
        _until(lambda: "Followed by both" in project.run("search", "users", "label:followed"))
        assert project.json("rollback")["how"] == "at once"
        assert project.json("rollback")["generation"] == 2
        old.send_signal(signal.SIGTERM)
        assert old.wait(30) == 0
        project.sql("UPDATE users SET name = 'By the new alone' WHERE id = 61")
        _until(lambda: "By the new alone" in project.run("search", "users", "label:alone"))
        assert f"process {new.pid}" in project.json("status")["running"]
        refused = project.json("run", "--once", code=4)
        assert f"process {new.pid}" in refused["problem"]
    finally:
        new.send_signal(signal.SIGTERM)
        assert new.wait(30) == 0, (project.directory / "deploy.log").read_text()
        old.kill()
    assert project.json("verify", "--deep")["agreement"]
    assert project.json("retire")["removed"][0]["number"] == 1
