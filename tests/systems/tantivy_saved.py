"""A world with saved states of the embedded index, for the tests of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lockstep.forms.keys import encode
from lockstep.systems.tantivy import Tantivy
from lockstep.systems.tantivy.target import TantivyTarget
from lockstep.systems.tantivy.writer import TantivyWriter
from lockstep.testing.writer_hooks import change, write
from lockstep.values import Held, Key, version

pytest.importorskip("tantivy")


def fill(writer: TantivyWriter, first: int, count: int, epoch: int = 1) -> None:
    """Each call leaves a segment, or more."""
    numbers = range(first, first + count)
    write(
        writer,
        *(
            change(key(n), {"name": f"user {n}", "of": os.urandom(200)}, version(epoch, n + 1))
            for n in numbers
        ),
    )


def key(number: int) -> Key:
    return encode((number,))


def held(target: TantivyTarget, generation: int) -> list[Held]:
    with closing(target.open(generation)) as writer:
        return writer.scan(None, 10_000)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A directory on another file system, where no file of the index can have a second name."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other file system to write to")
    with tempfile.TemporaryDirectory(dir=shared) as made:
        yield Path(made)


@pytest.fixture(params=["linked", "copied"])
def users(request: pytest.FixtureRequest, tmp_path: Path) -> TantivyTarget:
    if request.param == "linked":
        return Tantivy(tmp_path / "search").index("users")
    return Tantivy(tmp_path / "search", snapshots=request.getfixturevalue("elsewhere")).index("users")


@pytest.fixture
def writer(users: TantivyTarget) -> Iterator[TantivyWriter]:
    with closing(users.open(1)) as writer:
        writer.create("m")
        fill(writer, 0, 50)
        yield writer


def archive(users: TantivyTarget) -> Path:
    return users.repository()._archive.place


@pytest.fixture
def writer_closed(tmp_path: Path) -> str:
    """An index whose writer has gone, as Python source."""
    with closing(Tantivy(tmp_path / "search").index("users").open(1)) as writer:
        writer.create("m")
        fill(writer, 0, 50)
    where = str(tmp_path / "search")
    return f"from lockstep.systems.tantivy import Tantivy; Tantivy({where!r}).index('users')"
