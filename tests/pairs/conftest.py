"""The small product in PostgreSQL, with each target."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from lockstep.testing.servers import PostgresHandle
from tests.pairs.world import SCHEMA, World

SEARCH = {
    "opensearch": ("opensearch", "opensearch_server"),
    "opensearch3": ("opensearch", "opensearch3_server"),
    "elasticsearch8": ("elasticsearch", "elasticsearch8_server"),
    "elasticsearch9": ("elasticsearch", "elasticsearch9_server"),
}
"""The kind of target and the fixture of its server, by the parameter of `world`."""


@pytest.fixture
def target_url(postgres_server: PostgresHandle) -> Iterator[str]:
    """A database of its own for the target, with a schema for it."""
    with postgres_server.temporary_database() as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE SCHEMA out")
        yield url


@pytest.fixture(params=["opensearch", "tantivy", "sql", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> Iterator[World]:
    name = f"people-{uuid.uuid4().hex[:8]}"
    kind, where = request.param, str(tmp_path / "out")
    if request.param in SEARCH:
        kind, server = SEARCH[request.param]
        where = request.getfixturevalue(server).url
    if kind == "postgres":
        where = request.getfixturevalue("target_url")
    made = World(tmp_path, postgres_url, f"{kind}|{where}|{name.replace('-', '_')}")
    made.do(*SCHEMA.strip().rstrip(";").split(";"))
    yield made
    if request.param in SEARCH:
        httpx.delete(f"{where}/{name.replace('-', '_')}-g1?ignore_unavailable=true", timeout=30)
