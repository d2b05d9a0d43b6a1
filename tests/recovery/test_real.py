"""The Friday night on real servers: wiped, noticed, held, restored beside a run, in agreement."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

import lockstep as ls
from lockstep.recovery.deploy import deploy
from lockstep.recovery.drill import drill
from lockstep.recovery.restore import restore
from lockstep.recovery.rollback import rollback
from lockstep.recovery.snapshot import snapshot
from lockstep.testing.servers import PostgresHandle
from tests.pairs.conftest import SEARCH, target_url
from tests.pairs.world import SCHEMA, Person, World, body_of, target_of, until

__all__ = ["target_url"]


@pytest.fixture(params=["opensearch", "sql", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> Iterator[World]:
    """Filled; saved; and gone on since."""
    name = f"people_{uuid.uuid4().hex[:8]}"
    kind, where, saved = request.param, str(tmp_path / "out"), str(tmp_path / "saved")
    if kind in SEARCH:
        kind, fixture = SEARCH[kind]
        server = request.getfixturevalue(fixture)
        where, saved = server.url, f"{server.snapshots}/{name}"
    if kind == "postgres":
        where = request.getfixturevalue("target_url")
    made = World(tmp_path, postgres_url, f"{kind}|{where}|{name}|{saved}")
    made.do(*SCHEMA.strip().rstrip(";").split(";"))
    made.do(
        "INSERT INTO users SELECT i, i % 5 + 1, 'U' || i || '@example.com' FROM generate_series(100, 2000) i"
    )
    made.run()
    snapshot(made.pipeline())
    made.do(
        "UPDATE users SET email = 'since' || id WHERE id % 50 = 3",
        "DELETE FROM users WHERE id = 7",
        "UPDATE companies SET name = 'other' WHERE id = 4",
    )
    made.run()
    yield made
    if kind in ("opensearch", "elasticsearch"):
        httpx.delete(f"{where}/{name}-g*?expand_wildcards=all", timeout=30)


def wipe(world: World) -> None:
    """What destroys it, by its own means."""
    kind, where, name, _ = world.target.split("|")
    if kind == "opensearch":
        for index in httpx.get(f"{where}/_alias/{name}", timeout=30).json():
            httpx.delete(f"{where}/{index}", timeout=30).raise_for_status()
    elif kind == "postgres":
        with psycopg.connect(where) as connection:
            connection.execute(f"TRUNCATE out.{name}")
    else:
        with contextlib.closing(sqlite3.connect(where)) as file, file:
            file.execute(f"DROP TABLE {name}")


def test_the_friday_night(world: World) -> None:
    run = world.spawn(once=False)
    try:
        world.do("UPDATE users SET email = 'at work' WHERE id = 1499")
        until(lambda: world.actual() == world.expected())
        wiped = time.monotonic()
        wipe(world)
        until(lambda: bool(ls.holds(world.pipeline())), seconds=15)
        assert time.monotonic() - wiped < 6.0, "it is noticed within five seconds"
        world.do("UPDATE users SET email = 'meanwhile' WHERE id = 1500", "DELETE FROM users WHERE id = 1501")
        done = restore(world.pipeline())
        assert done.live
        assert done.redriven is not None
        assert done.redriven < 600, "only what changed since"
        world.generation = done.generation
        assert ls.holds(world.pipeline()) == []
        world.do("UPDATE users SET email = 'after' WHERE id = 1600")
        until(lambda: world.actual() == world.expected(), seconds=20)
    finally:
        run.terminate()
        run.wait(30)
    world.assert_agreement()


@pytest.mark.parametrize("world", ["opensearch", "postgres"], indirect=True)
def test_lost_twice_in_one_night(world: World) -> None:
    """The second restore is of the same saved state, and finds what it needs in the ledger of the first."""
    wipe(world)
    first = restore(world.pipeline())
    world.generation = first.generation
    world.run()
    world.do(
        "UPDATE users SET email = 'between' || id WHERE id BETWEEN 1514 AND 1517",
        "DELETE FROM users WHERE id = 1520",
    )
    world.run()
    wipe(world)
    second = restore(world.pipeline())
    assert second.snapshot == first.snapshot
    assert first.redriven is not None
    assert second.redriven == first.redriven + 5
    world.generation = second.generation
    world.assert_agreement()


@pytest.fixture
def state_url(postgres_server: PostgresHandle) -> Iterator[str]:
    """A database of its own for the state store."""
    with postgres_server.temporary_database() as url:
        yield url


def test_with_the_state_store_in_postgres(tmp_path: Path, postgres_url: str, state_url: str) -> None:
    """The inherited ledger, the scopes of epochs and the lock of builds are the same there."""
    target = f"tantivy|{tmp_path / 'out'}|people|{tmp_path / 'saved'}"
    world = World(tmp_path, postgres_url, target, state_url)
    world.do(*SCHEMA.strip().rstrip(";").split(";"))
    world.run()
    snapshot(world.pipeline())
    world.do("UPDATE users SET email = 'since' WHERE id = 5", "DELETE FROM users WHERE id = 7")
    world.run()
    assert drill(world.pipeline()).redriven == 2
    shutil.rmtree(tmp_path / "out")
    done = restore(world.pipeline())
    assert (done.redriven, done.generation) == (2, 2)
    world.generation = 2
    world.assert_agreement()
    assert deploy(world.pipeline()).generation == 3
    assert rollback(world.pipeline(), as_it_stands=True).generation == 2
    world.assert_agreement()


def test_a_rehearsal_touches_nothing(world: World) -> None:
    before = world.actual()
    done = drill(world.pipeline())
    assert done.records == 1961
    assert world.actual() == before
    writer = target_of(world.target).open(0)
    try:
        assert writer.identity() is None, "nothing is left of it"
    finally:
        writer.close()
    world.assert_agreement()


def test_restored_in_place_of_what_is_healthy_only_if_asked(world: World) -> None:
    with pytest.raises(ls.Refused, match="holds what it should"):
        restore(world.pipeline())
    world.assert_agreement()
    done = restore(world.pipeline(), replace=True)
    world.generation = done.generation
    world.assert_agreement()
    world.run()
    world.assert_agreement()


def next_document(user: Person) -> dict[str, object]:
    """The mapping as it is after a change."""
    return body_of(user) | {"next": True}


class Reader(threading.Thread):
    """Searches the alias as fast as it can, and counts what no reader should ever see."""

    def __init__(self, url: str, name: str) -> None:
        super().__init__(daemon=True)
        self._url = f"{url}/{name}/_search?size=2000&_source=next"
        self.stop = threading.Event()
        self.reads = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self.stop.is_set():
                answer = client.get(self._url)
                self.reads += 1
                if answer.status_code != 200:
                    self.wrong.append(f"{answer.status_code}: {answer.text[:200]}")
                    continue
                hits = answer.json()["hits"]["hits"]
                kinds = {"next" in hit["_source"] for hit in hits}
                if len(hits) < 1900 or len(kinds) != 1:
                    self.wrong.append(f"{len(hits)} documents, of {kinds}")


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_no_reader_notices_a_deploy_or_a_rollback(world: World) -> None:
    _, where, name, _ = world.target.split("|")
    changed = world.pipeline()
    changed.mappings.clear()
    source = ls.Postgres(world.url, slot=world.url.rpartition("/")[2])
    changed.mapping(source, to=target_of(world.target), name="people", version="2")(next_document)
    run = world.spawn(once=False)
    reader = Reader(where, name)
    try:
        until(lambda: ls.status(world.pipeline()).running is not None)
        reader.start()
        done = deploy(changed, fewer=True)
        assert (done.generation, done.alone) == (2, False)
        world.do("UPDATE users SET email = 'followed by both' WHERE id = 1600")
        assert rollback(changed).how == "at once"
        until(lambda: world.actual() == world.expected(), seconds=20)
    finally:
        reader.stop.set()
        reader.join()
        run.terminate()
        run.wait(30)
    assert reader.reads > 50
    assert reader.wrong == []
    world.assert_agreement()
