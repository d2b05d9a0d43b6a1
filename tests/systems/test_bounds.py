"""What one read by values may bring: more is refused before it is in memory, less is not."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.systems.postgres_db import Db

from lockstep.errors import TooMuch
from lockstep.ports import MOST_BYTES, MOST_ROWS, Reader
from lockstep.systems.sqlite import SQLite
from lockstep.values import Fetch

CHILDREN = Fetch("child", ("id", "of"), ("of",))
WIDE = Fetch("wide", ("id", "body"), ("id",))
PIECES = 40
PIECE = MOST_BYTES // 32


@pytest.fixture(scope="module")
def postgres(postgres_server: object) -> Iterator[Reader]:
    with postgres_server.temporary_database() as url:  # type: ignore[attr-defined]
        ddl = (
            'CREATE TABLE child (id int PRIMARY KEY, "of" int)',
            f"INSERT INTO child SELECT n, n % 2 FROM generate_series(1, {2 * MOST_ROWS + 2}) n",
            "CREATE TABLE wide (id int PRIMARY KEY, body text)",
            "ALTER TABLE wide ALTER body SET STORAGE EXTERNAL",
            f"INSERT INTO wide SELECT n, repeat('x', {PIECE}) FROM generate_series(1, {PIECES}) n",
        )
        with Db(url, *ddl) as db:
            yield db.reader()


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    path: Path = tmp_path_factory.mktemp("bounds") / "app.db"
    with contextlib.closing(sqlite3.connect(path)) as app:
        app.execute('CREATE TABLE child (id INTEGER PRIMARY KEY, "of" INTEGER)')
        app.executemany("INSERT INTO child VALUES (?, ?)", [(n, n % 2) for n in range(2 * MOST_ROWS + 2)])
        app.execute("CREATE TABLE wide (id INTEGER PRIMARY KEY, body TEXT)")
        app.executemany("INSERT INTO wide VALUES (?, ?)", [(n, "x" * PIECE) for n in range(1, PIECES + 1)])
        app.commit()
    with contextlib.closing(SQLite(str(path)).reader()) as reader:
        yield reader


@pytest.fixture(params=["postgres", "sqlite"])
def reader(request: pytest.FixtureRequest) -> Reader:
    found: Reader = request.getfixturevalue(request.param)
    return found


def test_rows(reader: Reader) -> None:
    for _ in range(2):  # a table that is not known yet, and one that is
        with pytest.raises(TooMuch, match="child"), reader.snapshot() as snapshot:
            snapshot.rows(CHILDREN, [(0,)])
    with reader.snapshot() as snapshot:
        pages = snapshot.stream(CHILDREN, [(0,)])
        assert sum(map(len, pages)) == MOST_ROWS + 1, "a stream is not bounded"


def test_bytes(reader: Reader) -> None:
    for _ in range(2):
        with pytest.raises(TooMuch, match="wide"), reader.snapshot() as snapshot:
            snapshot.rows(WIDE, [(number,) for number in range(1, PIECES + 1)])
        with reader.snapshot() as snapshot:
            assert len(snapshot.rows(WIDE, [(number,) for number in range(1, 11)])) == 10
