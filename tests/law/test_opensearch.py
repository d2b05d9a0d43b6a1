"""OpenSearch and Elasticsearch keep the law of writers, each version on its real server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar
from uuid import uuid4

import httpx
import pytest

from lockstep.ports import Target
from lockstep.systems.opensearch import Elasticsearch, OpenSearch, SearchCluster, SearchIndex
from lockstep.testing.grouping_law import GroupingLaw
from lockstep.testing.proxy import Proxy
from lockstep.testing.servers import SearchHandle
from lockstep.testing.summing_law import SummingLaw
from lockstep.testing.writer_law import WriterLaw
from lockstep.values import Key, Record

MAPPINGS: dict[str, Any] = {
    "dynamic": False,
    "properties": {"text": {"type": "text"}, "integer": {"type": "long"}, "local": {"type": "date"}},
}


class SearchLaw(WriterLaw, SummingLaw, GroupingLaw):
    """On the server of the fixture `handle`."""

    cannot_group = "what it indexed"

    system: ClassVar[type[SearchCluster]]
    cannot_hold = frozenset({"not_finite"})

    @pytest.fixture
    def server(self, handle: SearchHandle) -> Iterator[httpx.Client]:
        """The real server, past Lockstep."""
        with httpx.Client(base_url=handle.url, timeout=30) as client:
            self.real = client
            yield client

    @pytest.fixture
    def target(self, server: httpx.Client, handle: SearchHandle) -> Iterator[Target]:
        name = f"law-{uuid4().hex[:12]}"
        with Proxy("127.0.0.1", handle.port) as self.proxy:
            system = self.system(f"http://127.0.0.1:{self.proxy.port}")
            yield system.index(name, mappings=MAPPINGS, settings={"number_of_replicas": 0})
        server.delete(f"/{name}-g1,{name}-g2?ignore_unavailable=true")

    def bad_record(self) -> Record | None:
        return {"integer": "no number"}

    def plant(self, target: Target, key: Key, record: Record) -> bool:
        assert isinstance(target, SearchIndex)
        found = key[1:-1].decode()
        answer = self.real.put(f"/{target.index}-g1/_doc/{found}?refresh=true", json=dict(record))
        return answer.status_code == 201

    def remove(self, target: Target, key: Key) -> bool:
        assert isinstance(target, SearchIndex)
        found = key[1:-1].decode()
        answer = self.real.delete(f"/{target.index}-g1/_doc/{found}?refresh=true")
        return answer.status_code == 200

    def drop(self, target: Target) -> bool:
        assert isinstance(target, SearchIndex)
        return self.real.delete(f"/{target.index}-g1").status_code == 200

    def cut(self, target: Target) -> contextlib.AbstractContextManager[None]:
        return self._unplugged()

    @contextlib.contextmanager
    def _unplugged(self) -> Iterator[None]:
        self.proxy.refuse()
        self.proxy.cut()
        try:
            yield
        finally:
            self.proxy.accept()


class TestOpenSearch(SearchLaw):
    system = OpenSearch

    @pytest.fixture
    def handle(self, opensearch_server: SearchHandle) -> SearchHandle:
        return opensearch_server


class TestOpenSearch3(SearchLaw):
    system = OpenSearch

    @pytest.fixture
    def handle(self, opensearch3_server: SearchHandle) -> SearchHandle:
        return opensearch3_server


class TestElasticsearch8(SearchLaw):
    system = Elasticsearch

    @pytest.fixture
    def handle(self, elasticsearch8_server: SearchHandle) -> SearchHandle:
        return elasticsearch8_server


class TestElasticsearch9(SearchLaw):
    system = Elasticsearch

    @pytest.fixture
    def handle(self, elasticsearch9_server: SearchHandle) -> SearchHandle:
        return elasticsearch9_server
