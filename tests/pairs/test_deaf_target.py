"""A target that takes what it is sent and never answers, in the middle of the first load and of following:
`status` says so, the other mapping of the same source goes on, and afterwards nothing is lost."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import lockstep as ls
from lockstep.engine import patience, points
from lockstep.testing.proxy import Proxy
from lockstep.testing.servers import OpenSearchHandle
from tests.pairs.world import SCHEMA, Following, Person, World, body_of, until


class Deafened(World):
    """The small product in a search cluster that may go deaf, and beside it in an embedded index."""

    def __init__(self, root: Path, url: str, server: str) -> None:
        at = urlsplit(server)
        self.proxy = Proxy(str(at.hostname), int(at.port or 0))
        self.name = f"deaf_{uuid.uuid4().hex[:8]}"
        super().__init__(root, url, f"opensearch|{server}|{self.name}")
        self.beside = World(root, url, f"tantivy|{root / 'beside'}|beside")

    def pipeline(self) -> ls.Pipeline:
        """Waits a second for an answer where a user's waits 90."""
        made = ls.Pipeline("pairs", state=self.state)
        source = ls.Postgres(self.url, slot=self.url.rpartition("/")[2])
        cluster = ls.OpenSearch(f"http://127.0.0.1:{self.proxy.port}", timeout=1.0)
        target = cluster.index(self.name, settings={"number_of_replicas": 0})
        made.mapping(source, to=target, name="people", version="1")(document)
        index = ls.Tantivy(str(self.root / "beside")).index("beside")
        made.mapping(source, to=index, name="beside", version="1")(document)
        return made

    def deaf_when_a_batch_is_sent(self) -> None:
        """From the first durable intent of either mapping on: no write reaches the cluster after that."""
        points.install(lambda point: self.proxy.deaf() if point == "intended" else None)

    def hears_again(self) -> None:
        points.install(None)
        self.proxy.accept()

    def assert_said_and_alone(self) -> None:
        """The neighbour has what the source has, the cluster has not, and `status` names who is silent."""
        until(lambda: self.beside.actual_or_none() == self.expected(), 30)
        until(lambda: bool(self._reason()), 30)
        assert f"127.0.0.1:{self.proxy.port}" in self._reason(), self._reason()
        assert self.actual_or_none() != self.expected()
        assert list(ls.stuck(self.root / "state", "people")) == []

    def _reason(self) -> str:
        shown = {one.name: one for one in ls.status(self.root / "state").mappings}
        assert not shown["beside"].reason, shown["beside"]
        return shown["people"].reason


def document(user: Person) -> dict[str, object]:
    return body_of(user)


@pytest.fixture
def deafened(
    tmp_path: Path, postgres_url: str, opensearch_server: OpenSearchHandle, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Deafened]:
    monkeypatch.setattr(patience, "_LONGEST_WAIT", 0.3)
    made = Deafened(tmp_path, postgres_url, opensearch_server.url)
    made.do(*SCHEMA.strip().rstrip(";").split(";"))
    with made.proxy:
        yield made
        points.install(None)
        url = f"{opensearch_server.url}/{made.name}*?ignore_unavailable=true"
        httpx.delete(url, timeout=30).raise_for_status()


def test_a_deaf_target_is_said_and_waited_for(deafened: Deafened) -> None:
    deafened.deaf_when_a_batch_is_sent()
    with Following(deafened) as following:
        deafened.assert_said_and_alone()
        deafened.hears_again()
        until(lambda: deafened.actual_or_none() == deafened.expected())

        deafened.deaf_when_a_batch_is_sent()
        deafened.do(
            "UPDATE companies SET name = 'Renamed' WHERE id = 2",
            "DELETE FROM users WHERE id = 7",
            "INSERT INTO users VALUES (900, 1, 'New@example.com')",
        )
        deafened.assert_said_and_alone()
        deafened.hears_again()
        until(lambda: deafened.actual_or_none() == deafened.expected())
        assert following.result is None, "it has stopped"
    assert list(ls.stuck(deafened.root / "state", "people")) == []
    deafened.assert_agreement()
