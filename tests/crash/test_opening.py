"""A run killed at every statement with which it opens an older state store and draws its epoch."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

import lockstep as ls
from lockstep.database import Database
from lockstep.database.files import FileDatabase
from lockstep.database.migrations import Migration
from lockstep.database.postgres import PostgresDatabase
from lockstep.engine.lease import Lease
from lockstep.errors import LeaseLost
from lockstep.journal import tables as journals
from lockstep.place import Place, StateUrl
from lockstep.state import migrations, schema
from lockstep.state.store import Store
from lockstep.testing.servers import PostgresHandle
from lockstep.values import PARTITIONS
from tests.crash.test_points import CHANGES, ROWS
from tests.support.world import World, in_process

PARTS = {"journal": journals.migrations, "ledger": migrations.LEDGER}
OLD_EPOCH = 7
PLANTED = (
    "INSERT INTO meta VALUES ('identity', 'as it was'), ('partitions', '64')",
    *(f"INSERT INTO leases VALUES ({at}, {OLD_EPOCH}, 'ann@here, process 1', 0)" for at in range(PARTITIONS)),
    "INSERT INTO generations (id, target, number, state, marker, created_at)"
    " VALUES (1000, 'elsewhere', 3, 'live', 'mark', 5)",
    "INSERT INTO consumers (id, mapping, generation, source, version, recipe, state, created_at)"
    " VALUES (1000, 'other', 1000, 'there', '1', 'r', 'retired', 5)",
    "INSERT INTO intents (consumer, version, body, at) VALUES (1000, 5, {bytes}, 5)",
)


class Old(World):
    """A world whose state store the first version of Lockstep has made."""

    def __init__(self, root: Path, place: Place) -> None:
        super().__init__(root)
        self.place = place
        for part, steps in PARTS.items():
            made = database(place, part, steps[:1])
            if part == "ledger":
                with made.writing() as connection:
                    binary = "'\\x90'" if isinstance(place, StateUrl) else "x'90'"
                    for statement in PLANTED:
                        connection.exec_driver_sql(statement.replace("{bytes}", binary))
            made.close()
        self.do(*ROWS)

    def pipeline(self) -> ls.Pipeline:
        made = super().pipeline()
        made.state = self.place
        return made


def database(place: Place, part: str, migrations: tuple[Migration, ...]) -> Database:
    if isinstance(place, StateUrl):
        return PostgresDatabase(place, part, migrations)
    place.mkdir(exist_ok=True)
    return FileDatabase(place / f"{part}.db", migrations)


@pytest.fixture(params=["files", "postgres"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Old]:
    if request.param == "files":
        yield Old(tmp_path, tmp_path / "state")
        return
    server: PostgresHandle = request.getfixturevalue("postgres_server")
    with server.temporary_database() as url:
        yield Old(tmp_path, StateUrl(url))


def begins(place: Place, nth: int) -> None:
    """What a run does first, killed before its nth statement or commit."""
    left = itertools.count(nth, -1)

    def passing(*_: Any) -> None:
        if next(left) == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(sa.Engine, "before_cursor_execute", passing)
    sa.event.listen(sa.Engine, "commit", passing)
    store = Store(place)
    store.lock.take()
    Lease(store)


def asked(place: Place, part: str, question: str) -> list[tuple[Any, ...]]:
    """What one part of the state store holds, committed, whatever its version."""
    if isinstance(place, StateUrl):
        with psycopg.connect(place.url) as session:
            session.execute(f"SET search_path TO {place.schema}_{part}".encode())
            return session.execute(question.encode()).fetchall()
    with contextlib.closing(sqlite3.connect(place / f"{part}.db")) as file:
        return file.execute(question).fetchall()


def version_of(place: Place, part: str) -> list[str]:
    """The migrations that were applied: all, or those that were; and nothing of the others is there."""
    found = [str(name) for (name,) in asked(place, part, "SELECT name FROM migrations ORDER BY name")]
    names = [one.name for one in PARTS[part]]
    assert found in (names[:1], names)
    of_tables = (
        f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{place.schema}_{part}'"
        if isinstance(place, StateUrl)
        else "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    )
    tables = {name for (name,) in asked(place, part, of_tables)} - {"migrations"}
    whole = journals.metadata if part == "journal" else schema.metadata
    assert (tables == set(whole.tables)) == (found == names or part == "journal")
    assert tables <= set(whole.tables)
    return found


def epoch_of(place: Place) -> int:
    """The one epoch that all partitions have."""
    partitions, lowest, highest = asked(
        place, "ledger", "SELECT count(*), min(epoch), max(epoch) FROM leases"
    )[0]
    assert (partitions, lowest) == (PARTITIONS, highest)
    return int(highest)


def test_killed_at_every_statement_of_opening_an_older_store(old: Old) -> None:
    """Each try comes one statement further; where something was committed, it begins with the first again."""
    deaths, nth = 0, 1
    standing = ([version_of(old.place, part) for part in PARTS], epoch_of(old.place))
    while (code := in_process(begins, old.place, nth)) == -9:
        deaths += 1
        found = ([version_of(old.place, part) for part in PARTS], epoch_of(old.place))
        assert found[1] >= standing[1]
        nth = 1 if found[0] != standing[0] else nth + 1
        standing = found
    assert code == 0
    assert deaths > 40
    assert standing[0] == [[one.name for one in migrations] for migrations in PARTS.values()]
    assert epoch_of(old.place) == OLD_EPOCH + 1

    with contextlib.closing(Store(old.place)) as store:
        assert store.identity == "as it was"
        assert store.generations.live("elsewhere") is not None
        for over in (OLD_EPOCH, OLD_EPOCH + 2):
            with pytest.raises(LeaseLost):
                store.require_newest(over)
        store.require_newest(OLD_EPOCH + 1)
    assert asked(old.place, "ledger", "SELECT version, updates, allowed FROM intents") == [(5, 0, None)]
    old.run()
    old.do(*CHANGES)
    old.run()
    old.assert_agreement()
