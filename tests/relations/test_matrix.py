"""Every kind of relation × everything that can happen to it: the documents are those of a fresh build."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lockstep.testing.servers import PostgresHandle
from tests.relations.operations import every
from tests.relations.tables import CELL
from tests.relations.world import Documents, InPostgres, InSQLite, World

PAIRS = [
    *("sqlite-sql", "sqlite-tantivy", "sqlite-postgres"),
    *("postgres-sql", "postgres-tantivy", "postgres-postgres", "postgres-opensearch"),
]


@pytest.fixture
def other_url(postgres_server: PostgresHandle) -> Iterator[str]:
    with postgres_server.temporary_database() as url:
        yield url


@pytest.fixture(params=PAIRS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    source, target = request.param.split("-")
    where = target
    if target == "opensearch":
        where = f"{target}|{request.getfixturevalue('opensearch_server').url}/hubs_{uuid.uuid4().hex[:8]}"
    if target == "postgres":  # a database beside the source's
        where = f"{target}|{request.getfixturevalue('other_url')}"
    if source == "sqlite":
        yield InSQLite(tmp_path, where)
    else:
        yield InPostgres(tmp_path, where, request.getfixturevalue("postgres_url"))
    if target == "opensearch":
        server, _, name = where.partition("|")[2].rpartition("/")
        httpx.delete(f"{server}/{name}*", timeout=30)


def test_incremental_equals_rebuilt(world: World) -> None:
    """Each operation has a cell for itself, so a document that is wrong names the operation."""
    operations = list(every(world.schema))
    names = {cell: name for cell, (name, _) in enumerate(operations, 1)}
    world.fill(len(operations))
    world.run()
    before = world.expected()
    assert differing(names, world.held(), before) == []
    for cell, (_, given) in enumerate(operations, 1):
        world.on_cell(cell, given)
    after = world.expected()
    changed = differing(names, before, after)
    assert changed == [name for name in names.values() if not name.endswith("=")], "an operation is idle"
    world.run()
    assert differing(names, world.held(), after) == []
    world.run("rebuilt")
    assert world.held() == world.held("rebuilt")
    world.assert_agreement()


def differing(names: dict[int, str], one: Documents, other: Documents) -> list[str]:
    """The operations in whose cells two sets of documents are not the same."""
    cells = {key // CELL for key in {*one, *other} if one.get(key) != other.get(key)}
    return [names[cell] for cell in sorted(cells)]
