"""`check` of a real OpenSearch."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lockstep.systems.opensearch import OpenSearch, SearchIndex
from lockstep.testing.servers import OpenSearchHandle
from lockstep.values import Finding

FIELDS = {"properties": {"age": {"type": "integer"}, "name": {"type": "text", "analyzer": "english"}}}


@pytest.fixture
def real(opensearch_server: OpenSearchHandle) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=opensearch_server.url, timeout=30) as client:
        yield client


@pytest.fixture
def system(opensearch_server: OpenSearchHandle) -> OpenSearch:
    return OpenSearch(opensearch_server.url)


@pytest.fixture
def live(real: httpx.Client, system: OpenSearch) -> Iterator[SearchIndex]:
    """An index that is there."""
    target = system.index(f"check-{uuid4().hex[:12]}", mappings=FIELDS, settings={"number_of_replicas": 0})
    with contextlib.closing(target.open(1)) as writer:
        writer.create("marker")
    yield target
    real.delete(f"/{target.index}-g1?ignore_unavailable=true")


def blocking(target: SearchIndex) -> list[Finding]:
    findings = target.check()
    assert all(one.mend and one.subject == target.name for one in findings)
    return [one for one in findings if one.blocks]


def test_nothing_stands_in_the_way(live: SearchIndex, system: OpenSearch, real: httpx.Client) -> None:
    assert live.check() == []
    assert blocking(system.index("not-there-yet", mappings=FIELDS)) == []
    assert real.get("/_cat/indices/not-there-yet*?format=json").json() == []


def test_nobody_answers() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        target = OpenSearch(f"http://127.0.0.1:{taken.getsockname()[1]}").index("users")
        (finding,) = blocking(target)
    assert "cannot be reached" in finding.problem


@pytest.mark.parametrize(
    ("mappings", "settings", "said"),
    [
        ({"properties": {"a": {"type": "no_such_type"}}}, {}, "no_such_type"),
        ({"properties": {"a": {"type": "text", "analyzer": "no_such"}}}, {}, "no_such"),
        ({}, {"no_such_setting": 1}, "no_such_setting"),
        ({}, {"number_of_shards": 0}, "number_of_shards"),
        ({"properties": {"_lockstep": {"type": "keyword"}}}, {}, "_lockstep"),
        ({"_source": {"excludes": ["a"]}}, {}, "_source"),
        ({"_routing": {"required": True}}, {}, "routing"),
        ({}, {"index": {"translog": {"durability": "async"}}}, "durability"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_server_would_refuse_is_known_before(
    system: OpenSearch, real: httpx.Client, mappings: dict[str, Any], settings: dict[str, Any], said: str
) -> None:
    findings = blocking(system.index("never-made", mappings=mappings, settings=settings))
    assert said in findings[0].problem
    assert real.get("/_cat/indices/never-made*?format=json").json() == []


def test_a_field_of_another_type_is_named_with_both(live: SearchIndex, system: OpenSearch) -> None:
    declared = {"properties": {"age": {"type": "keyword"}, "name": {"type": "text", "analyzer": "english"}}}
    (finding,) = blocking(system.index(live.index, mappings=declared))
    for word in ("age", "keyword", "integer"):
        assert word in finding.problem


def test_versions_forgotten_too_soon(live: SearchIndex, real: httpx.Client) -> None:
    path = f"/{live.index}-g1/_settings"
    real.put(path, json={"index.gc_deletes": "60s"}).raise_for_status()
    (finding,) = [one for one in live.check() if "60s" in one.problem]
    assert finding.mend == f'PUT {path} {{"index.gc_deletes": "1h"}}'


def test_an_index_without_its_shards(real: httpx.Client, system: OpenSearch) -> None:
    name = f"check-{uuid4().hex[:12]}"
    body = {
        "settings": {"index.routing.allocation.include._name": "nowhere", "index.gc_deletes": "1h"},
        "mappings": {"_meta": {"lockstep": {"marker": "marker"}}},
        "aliases": {name: {}},
    }
    real.put(f"/{name}-g1?wait_for_active_shards=0", json=body).raise_for_status()
    (finding,) = blocking(system.index(name))
    assert "red" in finding.problem
    real.delete(f"/{name}-g1").raise_for_status()
