"""Faults of the state store in files: full disk, overwritten bytes, lost ledger, read-only directory."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.errors import StateError
from lockstep.operations.run import RunResult, run
from lockstep.operations.status import status
from lockstep.state.store import Store
from tests.support.world import World

ROWS = [
    "INSERT INTO companies VALUES (1, 'Bolt')",
    *(f"INSERT INTO users VALUES ({n}, 1, NULL, 'u{n}@example.com', 0)" for n in range(1, 301)),
]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """The state directory, on a file system of 32 MB."""
    state = tmp_path / "state"
    state.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32m,mode=700", "tmpfs", str(state)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small file system can only be mounted by root, outside of most containers")
    yield state
    subprocess.run(["umount", "--lazy", str(state)], check=True)


def _until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)


def _filled(directory: Path) -> Path:
    """Takes all the room that is left."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    return filler


def test_a_full_disk_is_waited_out_and_nothing_is_lost(
    tmp_path: Path, small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, claims=False)
    world.do(*ROWS)
    world.run()
    stop = threading.Event()
    result: list[RunResult] = []
    following = threading.Thread(target=lambda: result.append(run(world.pipeline(), stop=stop)))
    following.start()
    _until(lambda: _runs(small_disk))
    filler = _filled(small_disk)
    for number in range(1, 200):
        world.do(f"UPDATE users SET email = 'later {number} {'x' * 2_000}' WHERE id = {number}")
    _until(lambda: "is full" in caplog.text)  # it can be said nowhere else: the store itself is full
    filler.unlink()
    _until(lambda: world.actual()["people"] == world.expected()["people"])
    stop.set()
    following.join(60)
    assert result[0].stopped == {}
    world.assert_agreement()


def _runs(state: Path) -> bool:
    with _Looked(state) as store:
        last = store.runs.last()
        return last is not None and last.ended_at is None


def test_a_full_disk_at_the_start_is_said_with_its_mend(tmp_path: Path, small_disk: Path) -> None:
    world = World(tmp_path, claims=False)
    world.do(*ROWS)
    world.run()
    _filled(small_disk)
    with pytest.raises(StateError, match="full") as error:
        world.run()
    assert "Free some space" in error.value.remedy
    (small_disk / "filler").unlink()
    world.do("UPDATE users SET email = 'later' WHERE id = 1")
    world.run()
    world.assert_agreement()


def test_a_read_only_directory_can_be_looked_at(tmp_path: Path, small_disk: Path) -> None:
    world = World(tmp_path, claims=False)
    world.do(*ROWS)
    world.run()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert [one.stuck for one in status(small_disk).mappings] == [0]
    assert ls.stuck(small_disk) == []
    with pytest.raises(StateError) as error:
        world.run()
    assert "write" in error.value.remedy


@pytest.mark.parametrize("name", ["ledger.db", "journal.db"])
def test_overwritten_pages_are_recognised_and_the_mend_that_is_named_mends(tmp_path: Path, name: str) -> None:
    world = World(tmp_path, claims=False)
    world.do(*ROWS)
    world.run()
    path = tmp_path / "state" / name
    store = Store(tmp_path / "state")
    database = store._database if name == "ledger.db" else store.journal._database
    table = "ledger" if name == "ledger.db" else "entries"
    with database.reading() as connection:  # a page that no start reads by itself
        root = connection.exec_driver_sql(
            f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'"
        ).scalar()
    store.close()
    with path.open("r+b") as file:
        file.seek((int(str(root)) - 1) * 4096)
        file.write(os.urandom(512))
    world.do("UPDATE users SET email = 'later' WHERE id = 1", "DELETE FROM users WHERE id = 2")
    with pytest.raises(StateError, match=name) as error:
        Store(tmp_path / "state")
    assert "move it away" in error.value.remedy
    for file_ in (tmp_path / "state").glob(f"{name}*"):
        file_.rename(tmp_path / file_.name)
    world.run()
    world.assert_agreement()


def test_an_entry_that_cannot_be_read_is_no_defect(tmp_path: Path) -> None:
    world = World(tmp_path, claims=False)
    world.do(*ROWS)
    world.run()
    ls.backfill(world.pipeline(), world.mappings()[0])
    store = Store(tmp_path / "state")
    with store.journal._database.writing() as connection:
        connection.exec_driver_sql("UPDATE entries SET body = x'c1ff'")
    store.close()
    with pytest.raises(StateError, match="cannot be read") as error:
        world.run()
    assert "Nothing is lost" in error.value.remedy


@pytest.mark.parametrize("claims", [False, True])
def test_a_lost_ledger_is_found_again_in_the_target(tmp_path: Path, claims: bool) -> None:
    """What the source lost meanwhile is an orphan: only the target still knows of it."""
    world = World(tmp_path, claims=claims)
    world.do(*ROWS)
    world.run()
    world.do("DELETE FROM users WHERE id IN (5, 6)", "UPDATE users SET email = 'later' WHERE id = 7")
    for file in (tmp_path / "state").glob("ledger.db*"):
        file.unlink()
    world.run()
    world.assert_agreement()
    world.do("UPDATE users SET email = 'again' WHERE id = 7", "DELETE FROM users WHERE id = 8")
    world.run()
    world.assert_agreement()
    world.run()
    world.assert_agreement()


class _Looked:
    def __init__(self, state: Path) -> None:
        from lockstep.database import Access

        self._store = Store(state, Access.LOOK)

    def __enter__(self) -> Store:
        return self._store

    def __exit__(self, *_: object) -> None:
        self._store.close()
