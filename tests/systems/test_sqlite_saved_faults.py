"""Saved states of SQLite tables when disks, processes and rights fail."""

from __future__ import annotations

import resource
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.damage import HARMS
from tests.support.stopped import stopped_at_each_step
from tests.systems.sqlite_saved import World, world

from lockstep.errors import Refused, Unreachable
from lockstep.systems.sql.target import SQLTarget
from lockstep.systems.sqlite import SQLite

__all__ = ["world"]


@pytest.mark.parametrize("harm", HARMS)
def test_damage_to_any_file_is_seen_and_nothing_is_restored(
    world: World, harm: Callable[[Path], None]
) -> None:
    place = world.place / "users"
    files = sorted((place / "good").iterdir())
    assert [file.name for file in files] == ["manifest.json", "saved.db"]
    world.put({2: None}, 2)
    for n, file in enumerate(files):
        shutil.copytree(place / "good", place / f"copy-{n}")
        harm(place / f"copy-{n}" / file.name)
        assert world.repository.damage(f"copy-{n}"), file.name
        with pytest.raises(Refused):
            world.repository.restore(f"copy-{n}", 1, "r")
        world.repository.forget(f"copy-{n}")
    assert len(world.rows()) == 19
    identity = world.users.open(1).identity()
    assert identity is not None
    assert identity.marker == "m"


def test_no_room_is_said_and_leaves_nothing(world: World) -> None:
    world.put({n: {"name": "x" * 1000} for n in range(100, 600)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(Refused, match="no room") as refused:
            world.repository.save(1, "big")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "Free space" in refused.value.remedy
    assert sorted(entry.name for entry in (world.place / "users").iterdir()) == ["good", "lockstep.json"]
    world.repository.save(1, "big")
    assert world.repository.damage("big") is None


def test_a_save_killed_at_any_step_is_whole_or_not_there(world: World) -> None:
    source = f"SQLite({str(world.path)!r}, snapshots={str(world.place)!r}).table('users')"
    steps = 0
    for n in stopped_at_each_step(
        f"from lockstep.systems.sqlite import SQLite; {source}", "save(1, 'at-{n}')", "saved"
    ):
        steps = n
        assert {one.name for one in world.repository.saved()} <= {"good", f"at-{n}"}
        world.repository.save(1, f"at-{n}")
        assert world.repository.damage(f"at-{n}") is None
        world.repository.forget(f"at-{n}")
        left = {entry.name for entry in (world.place / "users").iterdir()}
        assert left == {"good", "lockstep.json"}
    assert steps > 8


def test_a_save_does_not_wait_for_writers_nor_they_for_it_in_wal_mode(world: World) -> None:
    world.do("PRAGMA journal_mode = WAL")
    with closing(sqlite3.connect(world.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM users")
        saved = world.repository.save(1, "amid")
        assert saved.records == 20
        with pytest.raises(Unreachable):
            world.repository.restore("good", 1, "r")
        other.execute("ROLLBACK")
    world.repository.restore("amid", 1, "r")
    assert len(world.rows()) == 20


def test_check_says_what_keeps_states_from_being_saved(world: World, tmp_path: Path) -> None:
    assert world.users.check() == []
    file = tmp_path / "file"
    file.write_text("x")
    (finding,) = SQLite(world.path, snapshots=file).table("users").check()
    assert not finding.blocks
    assert finding.problem.startswith("its state cannot be saved")


def test_two_databases_do_not_share_saved_states(world: World, tmp_path: Path) -> None:
    other: SQLTarget = SQLite(tmp_path / "other.db", snapshots=world.place).table(
        "users", columns={"id": "INTEGER"}
    )
    with closing(other.open(1)) as writer:
        writer.create("m")
    with pytest.raises(Refused, match="holds saved states of sqlite"):
        other.repository().save(1, "one")
