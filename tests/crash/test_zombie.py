"""A run that stands still for longer than anybody waits, and goes on when another has taken over."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import psycopg
import pytest

import lockstep as ls
from lockstep.engine import points
from lockstep.testing.servers import PostgresHandle
from tests.crash.test_points import ROWS
from tests.model.postgres import PostgresWorld
from tests.support.world import World, started

POINTS = ("caught", "taken", "derived", "intended", "written")
NOTICED = 3
"""The exit code of a run that found out."""


def _stand_still(world: World, point: str) -> None:
    stood = False

    def hook(passed: str) -> None:
        nonlocal stood
        if passed == point and not stood:
            stood = True
            (world.root / "stands").touch()
            while not (world.root / "goes on").exists():
                time.sleep(0.005)

    points.install(hook)
    try:
        world.run()
    except ls.LockstepError:
        os._exit(NOTICED)


def _holds_a_lock(world: World) -> bool:
    """Whether one of its threads was stopped in the middle of a write: nobody else could open the file."""
    for file in ("state/ledger.db", "state/journal.db", "app.db"):
        if not (world.root / file).exists():
            continue
        with contextlib.closing(sqlite3.connect(world.root / file, timeout=0.2)) as held:
            try:
                held.execute("BEGIN IMMEDIATE")
                held.execute("ROLLBACK")
            except sqlite3.OperationalError:
                return True
    return False


@contextlib.contextmanager
def standing_still(world: World, point: str) -> Iterator[BaseProcess]:
    """A run that has come to a point, and all of which then stands."""
    process = started(_stand_still, world, point)
    assert process.pid is not None
    pid = process.pid
    try:
        while not (world.root / "stands").exists():
            assert process.is_alive(), "it ended before it came to the point"
            process.join(0.02)
        os.kill(pid, signal.SIGSTOP)
        while _state(pid) != "T" or _holds_a_lock(world):
            os.kill(pid, signal.SIGCONT)
            process.join(0.01)
            os.kill(pid, signal.SIGSTOP)
            process.join(0.01)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        process.join()


def goes_on(world: World, process: BaseProcess) -> int | None:
    """Its exit code."""
    assert process.pid is not None
    (world.root / "goes on").touch()
    os.kill(process.pid, signal.SIGCONT)
    process.join(60)
    return process.exitcode


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def books(world: World) -> dict[str, list[tuple[object, ...]]]:
    """All that a run may make true."""
    found: dict[str, list[tuple[object, ...]]] = {}
    for file, tables in (
        (
            "ledger.db",
            ("ledger", "positions", "claims", "intents", "stuck", "consumers", "tombstones", "backfills"),
        ),
        ("journal.db", ("marks",)),
    ):
        with contextlib.closing(sqlite3.connect(world.root / "state" / file)) as store:
            for table in tables:
                found[table] = sorted(store.execute(f"SELECT * FROM {table}").fetchall(), key=repr)
    return found


@pytest.fixture(params=["sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "sqlite":  # two mappings: one stands in the middle of a write, and holds its lock
        yield World(tmp_path, claims=False)
        return
    server: PostgresHandle = request.getfixturevalue("postgres_server")
    with server.temporary_database() as url:
        yield PostgresWorld(tmp_path, url, claims=False)


def let_go(world: World) -> None:
    """The server gives up the connection of who does not answer, as it does after `wal_sender_timeout`."""
    if isinstance(world, PostgresWorld):
        with psycopg.connect(world.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots"
                " WHERE active_pid IS NOT NULL AND database = current_database()"
            )


@pytest.mark.parametrize("point", POINTS)
def test_a_run_that_was_replaced_writes_no_books_and_nothing_old(world: World, point: str) -> None:
    """Somebody removed its lock, as people do, and started another."""
    world.do(*ROWS)
    world.run()
    world.do(
        "UPDATE users SET email = 'old' WHERE id = 1", "INSERT INTO users (id, email) VALUES (9, 'ghost')"
    )
    with standing_still(world, point) as zombie:
        (world.root / "state" / "run.lock").unlink()
        let_go(world)
        world.do("UPDATE users SET email = 'ann@x' WHERE id = 1", "DELETE FROM users WHERE id = 9")
        world.run()
        world.assert_agreement()
        before = books(world)
        assert goes_on(world, zombie) == NOTICED
        assert books(world) == before
    world.assert_agreement()
    world.do("UPDATE users SET email = 'later' WHERE id = 1")
    world.run()
    world.assert_agreement()


def test_nobody_else_runs_while_one_stands_still(world: World) -> None:
    world.do(*ROWS)
    world.run()
    world.do("UPDATE users SET email = 'new' WHERE id = 1")
    with standing_still(world, "intended") as still:
        let_go(world)
        with pytest.raises(ls.StateInUse, match=f"process {still.pid}"):
            world.run()
        world.do("UPDATE users SET email = 'newer' WHERE id = 1")
        assert goes_on(world, still) == 0
    world.run()
    world.assert_agreement()
