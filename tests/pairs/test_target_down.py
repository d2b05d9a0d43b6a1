"""A target that goes deaf, is killed or stands still, in the middle of the first load and of following:
`status` says so, the other mapping of the same source goes on, and afterwards nothing is lost."""

from __future__ import annotations

import contextlib
import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import lockstep as ls
from lockstep.engine import points
from lockstep.engine.consumers import patience
from lockstep.ports import Target
from lockstep.systems.postgres import client
from lockstep.testing.proxy import Proxy
from lockstep.testing.servers import OpenSearchHandle, OpenSearchServer, PostgresServer
from lockstep.testing.servers._support import children
from tests.pairs.world import COLUMNS, SCHEMA, Following, Person, World, body_of, until

TIMEOUT = 2.0
"""Seconds for an answer, where a user's target has 90 or more."""

Server = OpenSearchServer | PostgresServer


class Down(World):
    """The small product in a server of its own, which may go down, and beside it in an embedded index."""

    def __init__(self, root: Path, url: str, server: Server) -> None:
        self.server = server
        self.proxy = Proxy("127.0.0.1", server.port)
        self.timeout = TIMEOUT
        self.name = f"down_{uuid.uuid4().hex[:8]}"
        where = server.url if isinstance(server, OpenSearchServer) else server.url()
        kind = "opensearch" if isinstance(server, OpenSearchServer) else "postgres"
        super().__init__(root, url, f"{kind}|{where}|{self.name}")
        if isinstance(server, PostgresServer):
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute("CREATE SCHEMA IF NOT EXISTS out")
        self.beside = World(root, url, f"tantivy|{root / 'beside'}|beside")

    def pipeline(self) -> ls.Pipeline:
        made = ls.Pipeline("pairs", state=self.state)
        source = ls.Postgres(self.url, slot=self.url.rpartition("/")[2])
        made.mapping(source, to=self._impatient(), name="people", version="1")(document)
        index = ls.Tantivy(str(self.root / "beside")).index("beside")
        made.mapping(source, to=index, name="beside", version="1")(document)
        return made

    def _impatient(self) -> Target:
        if isinstance(self.server, OpenSearchServer):
            cluster = ls.OpenSearch(f"http://127.0.0.1:{self.proxy.port}", timeout=self.timeout)
            return cluster.index(self.name, settings={"number_of_replicas": 0})
        url = self.server.url().replace(f":{self.server.port}/", f":{self.proxy.port}/")
        columns = COLUMNS | {"tags": "jsonb", "threads": "json"}
        return ls.Postgres(f"{url}?connect_timeout=2").table(f"out.{self.name}", columns=columns)

    def down(self, fault: str) -> None:
        """From the first durable intent of either mapping on."""

        def reached(point: str) -> None:
            if point == "intended":
                points.install(None)
                getattr(self, f"_{fault}")()

        points.install(reached)

    def _deaf(self) -> None:
        self.proxy.deaf()

    def _killed(self) -> None:
        self.server.kill()

    def _still(self) -> None:
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):  # one that served a connection may have ended
                os.kill(process, signal.SIGSTOP)

    def up(self) -> None:
        """As before, whatever it was."""
        points.install(None)
        if self.server.pid is None:
            self.server.start()
        for process in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGCONT)
        self.proxy.accept()

    def assert_agreement(self) -> None:
        """A check is no place to be impatient: it may have to wait for scripts to be compiled."""
        self.timeout = 90.0
        super().assert_agreement()

    def _processes(self) -> list[int]:
        assert self.server.pid is not None
        return [self.server.pid, *children(self.server.pid)]

    def assert_said_and_alone(self) -> None:
        """The neighbour has what the source has, and `status` names who is silent."""
        until(lambda: self.beside.actual_or_none() == self.expected(), 30)
        until(lambda: str(self.proxy.port) in self._reason("people"), 30)
        until(lambda: not self._reason("beside"), 30)
        assert list(ls.stuck(self.root / "state", "people")) == []

    def _reason(self, mapping: str) -> str:
        return next(one.reason for one in ls.status(self.root / "state").mappings if one.name == mapping)


def document(user: Person) -> dict[str, object]:
    return body_of(user)


@pytest.fixture(scope="module", params=["opensearch", "postgres"])
def server(request: pytest.FixtureRequest, opensearch_server: OpenSearchHandle) -> Iterator[Server]:
    """Of its own, as it is killed. The shared one has fetched what it needs."""
    with OpenSearchServer() if request.param == "opensearch" else PostgresServer() as server:
        yield server


@pytest.fixture
def world(
    tmp_path: Path, postgres_url: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Down]:
    monkeypatch.setattr(patience, "_LONGEST_WAIT", 0.3)
    monkeypatch.setattr(client, "WRITING_SECONDS", TIMEOUT)
    monkeypatch.setattr(client, "GRACE", 0.5)
    made = Down(tmp_path, postgres_url, server)
    made.do(*SCHEMA.strip().rstrip(";").split(";"))
    with made.proxy:
        yield made
        made.up()


@pytest.mark.parametrize("fault", ["deaf", "killed", "still"])
def test_a_target_that_is_down_is_said_and_waited_for(world: Down, fault: str) -> None:
    world.down(fault)
    with Following(world) as following:
        world.assert_said_and_alone()
        world.up()
        until(lambda: world.actual_or_none() == world.expected())

        world.down(fault)
        world.do(
            "UPDATE companies SET name = 'Renamed' WHERE id = 2",
            "DELETE FROM users WHERE id = 7",
            "INSERT INTO users VALUES (900, 1, 'New@example.com')",
        )
        world.assert_said_and_alone()
        world.up()
        until(lambda: world.actual_or_none() == world.expected())
        assert following.result is None, "it has stopped"
    assert list(ls.stuck(world.root / "state", "people")) == []
    world.assert_agreement()
