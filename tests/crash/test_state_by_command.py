"""A state directory that cannot be used as it is, as a person meets it on the command line: each verb that
needs it says the cause and the mend, and once that is done, nothing was lost."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockstep.database.files import FileDatabase
from lockstep.database.migrations import Migration
from lockstep.journal import tables as journals
from lockstep.state import migrations
from tests.acceptance.test_cli import Project

PARTS = {"journal": journals.migrations, "ledger": migrations.LEDGER}
STATE_FAILED = 3
LOOKING = (("status",), ("verify",))
ALL = (("run", "--once"), *LOOKING)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path)
    found.run("explore", "sqlite:///app.db", "-o", "models.py")
    return found


@pytest.fixture
def small_disk(project: Project) -> Iterator[Path]:
    """The state directory on a file system of 8 MB."""
    state = project.directory / ".lockstep"
    state.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs", str(state)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system can only be mounted by root, outside of most containers")
    yield state
    subprocess.run(["umount", "--lazy", str(state)], check=True)


def agrees(project: Project) -> None:
    """A change made meanwhile arrives, and both methods find agreement."""
    project.run("run", "--once")
    (hit,) = project.json("search", "users", "later")["hits"]
    assert hit["key"] == "1"
    for deep in ((), ("--deep",)):
        assert "in agreement" in project.run("verify", *deep)


def test_a_read_only_state_directory(project: Project, small_disk: Path) -> None:
    project.run("run", "--once")
    project.sql("UPDATE users SET name = 'later' WHERE id = 1")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert project.json("status")["mappings"][0]["stuck"] == 0
    for verb in (("run", "--once"), ("verify",)):
        said = project.run(*verb, code=STATE_FAILED)
        assert str(small_disk) in said
        assert f"Let this user write to {small_disk}" in " ".join(said.split()), said
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    agrees(project)


def test_a_full_disk_of_the_state_directory(project: Project, small_disk: Path) -> None:
    project.run("run", "--once")
    project.sql("UPDATE users SET name = 'later' WHERE id = 1")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    for verb in (("run", "--once"), ("verify",)):
        said = " ".join(project.run(*verb, code=STATE_FAILED).split())
        assert "full" in said, said
        assert f"Free some space on the disk of {small_disk}" in said, said
    filler.unlink()
    agrees(project)


def made_by_the_first_version(project: Project) -> None:
    """A state of the first migrations, with the rows that a load has left: what came later is taken away."""
    ledger = project.directory / ".lockstep" / "ledger.db"
    first = ledger.with_name("first.db")
    FileDatabase(first, migrations.LEDGER[:1]).close()
    with contextlib.closing(sqlite3.connect(first)) as then, then:
        then.execute("ATTACH ? AS now", [str(ledger)])
        for table in (
            "meta", "generations", "leases", "consumers", "positions", "ledger", "claims", "backfills", "runs"
        ):  # fmt: skip
            named = [f'"{column[1]}"' for column in then.execute(f"PRAGMA main.table_info({table})")]
            columns = ", ".join(named)
            then.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
    for file in ledger.parent.glob("ledger.db*"):
        file.unlink()
    for file in ledger.parent.glob("first.db*"):
        file.rename(file.with_name(file.name.replace("first", "ledger")))


def test_a_state_of_the_first_version_is_brought_up_to_date_by_a_run_alone(project: Project) -> None:
    project.run("run", "--once")
    made_by_the_first_version(project)
    project.sql("UPDATE users SET name = 'later' WHERE id = 1; DELETE FROM users WHERE id = 2")
    for verb in LOOKING:
        said = " ".join(project.run(*verb, code=STATE_FAILED).split())
        assert "was written by an older Lockstep" in said, said
        assert "`lockstep run` of this version brings it up to date" in said, said
    agrees(project)
    status = project.json("status")["mappings"][0]
    assert status["backfill"]["reason"] == "backfill", "the load of before, and nothing was derived anew"


@pytest.mark.parametrize("part", PARTS)
def test_a_state_of_a_newer_version_is_left_as_it_is(project: Project, part: str) -> None:
    project.run("run", "--once")
    path = project.directory / ".lockstep" / f"{part}.db"
    newer: tuple[Migration, ...] = (*PARTS[part], Migration("9999_newer", lambda _: None))
    FileDatabase(path, newer).close()
    project.sql("UPDATE users SET name = 'later' WHERE id = 1")
    before = path.read_bytes()
    for verb in ALL:
        said = " ".join(project.run(*verb, code=STATE_FAILED).split())
        assert "was written by a newer Lockstep (it has 9999_newer)" in said, said
        assert "Run that version, or a newer one" in said, said
    assert path.read_bytes() == before
    with contextlib.closing(sqlite3.connect(path)) as back, back:
        back.execute("DELETE FROM migrations WHERE name = '9999_newer'")
    agrees(project)
