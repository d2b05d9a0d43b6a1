"""OpenSearch and Elasticsearch keep the laws of saved states and of builds, on real servers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import httpx
import pytest

from lockstep.ports import Target
from lockstep.systems.opensearch import Elasticsearch, OpenSearch, SearchCluster, SearchIndex
from lockstep.testing.generational_law import GenerationalLaw
from lockstep.testing.http_proxy import HttpProxy
from lockstep.testing.killed_law import KilledLaw
from lockstep.testing.proxy import Proxy
from lockstep.testing.restorable_hooks import SEARCHED, restorable
from lockstep.testing.restorable_law import RestorableLaw
from lockstep.testing.servers import SearchHandle

SETTINGS = {"number_of_replicas": 0, "number_of_shards": 2}


class SavedLaw(RestorableLaw, KilledLaw, GenerationalLaw):
    """On the server of the fixture `handle`."""

    system: ClassVar[type[SearchCluster]]
    location: Path

    @pytest.fixture
    def real(self, handle: SearchHandle) -> Iterator[httpx.Client]:
        """The real server, past Lockstep."""
        with httpx.Client(base_url=handle.url, timeout=30) as client:
            yield client

    @pytest.fixture
    def target(self, real: httpx.Client, handle: SearchHandle) -> Iterator[Target]:
        name = f"saved-{uuid4().hex[:12]}"
        self.reader, self.url = real, handle.url
        self.location = Path(handle.snapshots, name)
        self.declared = {"name": name, "type": "fs", "settings": {"location": str(self.location)}}
        with Proxy("127.0.0.1", handle.port) as self.proxy:
            system = self.system(f"http://127.0.0.1:{self.proxy.port}", snapshots=self.declared)
            yield system.index(name, settings=SETTINGS)
        names = ",".join(f"{name}-g{n}" for n in range(4))
        real.delete(f"/{names},{name}x-g1?ignore_unavailable=true")
        real.delete(f"/_snapshot/{name}")

    def elsewhere(self, target: Target) -> str:
        assert isinstance(target, SearchIndex)
        kind = self.system.__name__
        return (
            f"from lockstep.systems.opensearch import {kind};"
            f"{kind}({self.url!r}, snapshots={self.declared!r}).index({target.index!r})"
        )

    def another(self, target: Target) -> Target:
        """One whose name begins as ours does."""
        assert isinstance(target, SearchIndex)
        return target.system.index(f"{target.index}x", settings=SETTINGS)

    def wreck(self, target: Target, name: str) -> bool:
        """Takes away what describes the shards of a saved state, as a careless clean-up does."""
        assert isinstance(target, SearchIndex)
        found = self.reader.get(f"/_snapshot/{target.index}/lockstep-{target.index}.{name}").json()
        uuid = found["snapshots"][0]["uuid"]
        wrecked = list(self.location.glob(f"indices/*/*/snap-{uuid}.dat"))
        for file in wrecked:
            file.unlink()
        return bool(wrecked)

    def seen(self, target: Target) -> list[str]:
        assert isinstance(target, SearchIndex)
        answer = self.reader.post(f"/{target.index}/_search", json={"size": 20, "_source": ["text"]})
        answer.raise_for_status()
        found = answer.json()
        assert not found["_shards"]["failed"]
        return [hit["_source"]["text"] for hit in found["hits"]["hits"]]

    def drop(self, target: Target) -> bool:
        assert isinstance(target, SearchIndex)
        return self.reader.delete(f"/{target.index}-g1").status_code == 200

    def test_a_save_that_another_begins_in_the_same_moment_is_found_begun(
        self, target: Target, filled: None, real: httpx.Client
    ) -> None:
        """Each server has its own word for a name that is taken."""
        assert isinstance(target, SearchIndex)
        theirs: list[int] = []

        def faster(path: str, body: bytes) -> None:
            if b'"partial"' in body and not theirs:
                put = real.put(path, content=body, headers={"content-type": "application/json"})
                theirs.append(put.status_code)

        with HttpProxy(self.url) as proxy:
            proxy.before = faster
            index = self.system(proxy.url, snapshots=self.declared).index(target.index, settings=SETTINGS)
            with contextlib.closing(restorable(index).repository()) as ours:
                saved = ours.save(SEARCHED, "same")
                assert theirs == [200]
                assert ours.saved() == [saved]

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


class TestOpenSearch(SavedLaw):
    system = OpenSearch

    @pytest.fixture
    def handle(self, opensearch_server: SearchHandle) -> SearchHandle:
        return opensearch_server


class TestOpenSearch3(SavedLaw):
    system = OpenSearch

    @pytest.fixture
    def handle(self, opensearch3_server: SearchHandle) -> SearchHandle:
        return opensearch3_server


class TestElasticsearch8(SavedLaw):
    system = Elasticsearch

    @pytest.fixture
    def handle(self, elasticsearch8_server: SearchHandle) -> SearchHandle:
        return elasticsearch8_server


class TestElasticsearch9(SavedLaw):
    system = Elasticsearch

    @pytest.fixture
    def handle(self, elasticsearch9_server: SearchHandle) -> SearchHandle:
        return elasticsearch9_server
