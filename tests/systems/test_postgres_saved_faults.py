"""Saved states of PostgreSQL tables when disks, processes and rights fail."""

from __future__ import annotations

import contextlib
import resource
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from tests.support.damage import HARMS
from tests.support.stopped import stopped_at_each_step
from tests.systems.postgres_saved import World, world

from lockstep.errors import Refused, Unreachable
from lockstep.systems.postgres import client

__all__ = ["world"]


def test_readers_see_the_old_rows_until_it_is_done_and_writers_wait(world: World) -> None:
    world.put({30: {"name": "new"}}, 2)
    with psycopg.connect(world.url) as reader:
        reader.execute("SELECT count(*) FROM users")
        world.repository.restore("good", 1, "r")  # a TRUNCATE or a rename would wait for the reader
    assert len(world.rows()) == 20


def test_a_lock_of_another_session_is_waited_for_only_so_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(client._TIMES, "lock_timeout", "300ms")
    world.put({30: {"name": "new"}}, 2)
    with psycopg.connect(world.url) as other:
        other.execute("UPDATE users SET name = 'theirs' WHERE id = 1")
        with pytest.raises(Unreachable, match="lock"):
            world.repository.restore("good", 1, "r")
        assert world.marker() == "m"
        assert world.repository.save(1, "meanwhile").records == 21, "a save waits for nobody"
    world.repository.restore("good", 1, "r")
    assert len(world.rows()) == 20


def test_who_may_not_is_told(world: World) -> None:
    database = world.url.rpartition("/")[2]
    role = f"limited_{database}"
    parts = urlsplit(world.url)
    url = parts._replace(netloc=f"{role}:secret@{parts.netloc.rpartition('@')[2]}").geturl()
    world.do(
        f"CREATE ROLE {role} LOGIN PASSWORD 'secret'", f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"
    )
    try:
        limited = world.target(url).repository()
        with pytest.raises(Refused, match="permission denied"):
            limited.save(1, "theirs")
        world.do(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON users TO {role}",
            f"GRANT ALL ON _lockstep_users, _lockstep_targets TO {role}",
        )
        limited.save(1, "theirs")
        before = world.rows()
        with pytest.raises(Refused, match="temporary") as refused:
            limited.restore("theirs", 1, "r")
        assert "GRANT TEMPORARY" in refused.value.remedy
        world.do(f"GRANT TEMPORARY ON DATABASE {database} TO {role}")
        limited.restore("theirs", 1, "r")
        assert world.rows() == before
        world.do(
            "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY few ON users TO {role} USING (id < 5)",
        )
        for ask in (lambda: limited.save(1, "hidden"), lambda: limited.restore("theirs", 1, "r2")):
            with pytest.raises(Refused, match="row-level security"):
                ask()
        assert world.rows() == before
    finally:
        world.do(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.parametrize("harm", HARMS)
def test_damage_to_any_file_is_seen_and_nothing_is_restored(
    world: World, harm: Callable[[Path], None]
) -> None:
    (place,) = world.place.iterdir()
    files = sorted((place / "good").iterdir())
    assert [file.name for file in files] == ["companion", "manifest.json", "rows"]
    world.put({2: None}, 2)
    for n, file in enumerate(files):
        shutil.copytree(place / "good", place / f"copy-{n}")
        harm(place / f"copy-{n}" / file.name)
        assert world.repository.damage(f"copy-{n}"), file.name
        with pytest.raises(Refused):
            world.repository.restore(f"copy-{n}", 1, "r")
    assert (len(world.rows()), world.marker()) == (19, "m")


def test_no_room_is_said_and_leaves_nothing(world: World) -> None:
    world.put({n: {"name": "x" * 1000} for n in range(100, 600)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(Refused, match="no room"):
            world.repository.save(1, "big")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (place,) = world.place.iterdir()
    assert sorted(entry.name for entry in place.iterdir()) == ["good", "lockstep.json"]
    assert world.repository.save(1, "big").records == 520


def test_a_save_killed_at_any_step_is_whole_or_not_there(world: World) -> None:
    source = f"Postgres({world.url!r}, snapshots={str(world.place)!r}).table('users')"
    (place,) = world.place.iterdir()
    steps = 0
    for n in stopped_at_each_step(
        f"from lockstep.systems.postgres import Postgres; {source}", "save(1, 'at-{n}')", "saved"
    ):
        steps = n
        assert {one.name for one in world.repository.saved()} <= {"good", f"at-{n}"}
        world.repository.save(1, f"at-{n}")
        assert world.repository.damage(f"at-{n}") is None
        world.repository.forget(f"at-{n}")
        assert {entry.name for entry in place.iterdir()} == {"good", "lockstep.json"}
    assert steps > 8


def test_two_saves_and_a_restore_at_once(world: World) -> None:
    before, said = world.rows(), []

    def ask(call: Callable[[], object]) -> None:
        with contextlib.suppress(Unreachable):
            try:
                call()
            except Exception as error:
                said.append(error)

    own = [world.users.repository() for _ in range(5)]
    calls: list[Callable[[], object]] = [
        lambda: own[0].save(1, "same"),
        lambda: own[1].save(1, "same"),
        lambda: own[2].restore("good", 1, "r"),
        lambda: own[3].restore("good", 1, "r"),
        lambda: own[4].restore("good", 0, "drill"),
    ]
    threads = [threading.Thread(target=ask, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == []
    assert [one.name for one in world.repository.saved()] == ["good", "same"]
    assert world.rows() == world.rows("users__lockstep_drill") == before
    assert (world.marker(), world.marker(0)) == ("r", "drill")
