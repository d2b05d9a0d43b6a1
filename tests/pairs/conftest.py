"""The small product in PostgreSQL, with each target."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.pairs.world import SCHEMA, World


@pytest.fixture(params=["opensearch", "tantivy", "sql"])
def world(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> Iterator[World]:
    name = f"people-{uuid.uuid4().hex[:8]}"
    where = str(tmp_path / "out")
    if request.param == "opensearch":
        where = request.getfixturevalue("opensearch_server").url
    made = World(tmp_path, postgres_url, f"{request.param}|{where}|{name.replace('-', '_')}")
    made.do(*SCHEMA.strip().rstrip(";").split(";"))
    yield made
    if request.param == "opensearch":
        httpx.delete(f"{where}/{name.replace('-', '_')}*", timeout=30)
