"""Two mappings of one index, whose keys are claimed: deployed and restored together, on a real cluster."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from lockstep.declaration.mapping import Keyed
from lockstep.declaration.pipeline import Pipeline
from lockstep.operations.verify import verify
from lockstep.ports import Target
from lockstep.recovery.deploy import deploy
from lockstep.recovery.drill import drill
from lockstep.recovery.restore import restore
from lockstep.recovery.snapshot import snapshot
from lockstep.systems.opensearch import OpenSearch
from lockstep.systems.sqlite import SQLite
from lockstep.testing.servers import OpenSearchHandle
from tests.recovery.world import RecoveryWorld
from tests.support.world import Person, addresses


def short(user: Person) -> Keyed | None:
    """A record of its own for every user, beside those of the addresses."""
    return Keyed(f"user {user.id}", {"user": user.id}) if user.email != "nobody" else None


class SharedWorld(RecoveryWorld):
    """Both write one index."""

    def __init__(self, root: Path, url: str, snapshots: str) -> None:
        self._url = url
        self._index = f"shared-{uuid.uuid4().hex[:8]}"
        location = {"location": f"{snapshots}/{self._index}"}
        self._place = {"name": self._index, "type": "fs", "settings": location}
        super().__init__(root)

    def target(self) -> Target:
        system = OpenSearch(self._url, snapshots=self._place)
        return system.index(self._index, settings={"number_of_replicas": 0})

    def wipe(self) -> None:
        """All of its builds are gone."""
        httpx.delete(f"{self._url}/{self._index}-g*", timeout=30).raise_for_status()

    def pipeline(self) -> Pipeline:
        made = Pipeline("world", state=self.root / "state")
        to = self.target()
        made.mapping(SQLite(self.app), to=to, name="addresses", version=self.code)(addresses)
        made.mapping(SQLite(self.app), to=to, name="short", version="1")(short)
        return made

    def held(self, generation: int) -> dict[str, Any]:
        with contextlib.closing(self.target().open(generation)) as writer:
            return {str(one.key): dict(one.record) for one in writer.scan(None, 100_000)}

    def assert_live(self, generation: int) -> None:
        assert self.searched() == generation
        with self.writing() as connection:
            users = connection.execute("SELECT email FROM users").fetchall()
        wanted = len(users) + len({part for (email,) in users for part in email.split(",")})
        assert len(self.held(generation)) == wanted
        for name in ("addresses", "short"):
            assert verify(self.pipeline(), name, method="deep").agreement


@pytest.fixture
def world(tmp_path: Path, opensearch_server: OpenSearchHandle) -> Iterator[SharedWorld]:
    made = SharedWorld(tmp_path, opensearch_server.url, opensearch_server.snapshots)
    made.fill(120)
    made.run()
    yield made
    made.wipe()


def test_deployed_together(world: SharedWorld) -> None:
    world.code = "2"
    done = deploy(world.pipeline())
    assert (done.generation, done.changed, len(done.reports)) == (2, ("addresses",), 2)
    world.assert_live(2)
    world.do("UPDATE users SET email = 'a@x,b@x' WHERE id = 3", "DELETE FROM users WHERE id = 4")
    world.run()
    world.assert_live(2)


def test_restored_together_with_their_claims(world: SharedWorld) -> None:
    snapshot(world.pipeline())
    world.do(
        "UPDATE users SET email = 'a@x,b@x' WHERE id = 3",
        "DELETE FROM users WHERE id = 4",
        "UPDATE users SET email = 'user4@example.com' WHERE id = 5",  # it takes the address that 4 lets go
    )
    world.run()
    world.run()
    drill(world.pipeline())
    world.wipe()
    done = restore(world.pipeline())
    world.assert_live(done.generation)
    world.do("UPDATE users SET email = 'b@x' WHERE id = 9")  # claimed by 3
    world.run()
    with world.state() as store:
        stuck = [one for consumer in store.generations.consumers() for one in store.stuck.of(consumer.id)]
    assert len(stuck) == 1, "the claims came back as well"
