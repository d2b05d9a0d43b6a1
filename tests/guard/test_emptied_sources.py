"""A source that reads empty for reasons of its own deletes nothing; it goes on once that is mended."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

import lockstep as ls
from lockstep.engine.consumers import working
from lockstep.engine.holds import asking
from lockstep.testing.servers import PostgresHandle
from tests.guard.test_holds import MORE, agrees, filled, held, standing
from tests.guard.test_lost_targets import Target
from tests.pairs.world import COLUMNS, SCHEMA, Following, World, document, until

pytestmark = pytest.mark.parametrize("world", ["sql"], indirect=True)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LOOK_AGAIN", 1.0)


@pytest.fixture
def role(world: World) -> Iterator[str]:
    """The URL of a role that may read everything, and is nobody's owner."""
    name, password = f"app_{uuid.uuid4().hex[:8]}", "secret"
    world.do(
        f"CREATE ROLE {name} LOGIN REPLICATION PASSWORD '{password}'",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}",
    )
    place = urlsplit(world.url)
    host = place.netloc.rpartition("@")[2]
    yield urlunsplit(place._replace(netloc=f"{name}:{password}@{host}"))
    world.do(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def by(world: World, url: str) -> ls.Pipeline:
    """The same pipeline, whose source is read by another URL."""
    made = ls.Pipeline("pairs", state=world.state)
    _, where, name = world.target.split("|")
    to = ls.SQLite(where).table(name, columns=COLUMNS, key=("id",))
    source = ls.Postgres(url, slot=urlsplit(url).path[1:])
    made.mapping(source, to=to, name="people", version="1")(document)
    return made


def test_the_url_of_another_database(world: World, postgres_server: PostgresHandle) -> None:
    """With the same tables, and nothing in them: somebody's new laptop."""
    filled(world)
    with postgres_server.temporary_database() as url:
        with psycopg.connect(url) as connection:
            for statement in SCHEMA.strip().rstrip(";").split(";"):
                if not statement.strip().startswith("INSERT"):
                    connection.execute(statement.encode())
        with Following(world, by(world, url)):
            one = held(world)
            assert one.policy == "source-emptied"
            assert len(world.actual()) == 500
    with Following(world):
        agrees(world)
        until(lambda: standing(world) == [])


def test_a_view_that_returns_nothing(world: World) -> None:
    """A migration that put a view in the table's place."""
    filled(world)
    world.do(
        "ALTER TABLE users RENAME TO people", "CREATE VIEW users AS SELECT * FROM people WHERE id IS NULL"
    )
    with Following(world):
        ls.backfill(by(world, world.url), "people")
        until(lambda: bool(ls.status(Path(world.state)).mappings[0].reason))
        assert len(world.actual()) == 500
        world.do("DROP VIEW users", "ALTER TABLE people RENAME TO users")
        agrees(world)


def test_rows_that_a_policy_hides(world: World, role: str) -> None:
    """Nothing is read at all then: hidden would look like deleted."""
    filled(world)
    with Following(world, by(world, role)):
        until(lambda: ls.status(Path(world.state)).mappings[0].state == "running")
        world.do("ALTER TABLE users ENABLE ROW LEVEL SECURITY", "UPDATE users SET email = 'x' WHERE id = 1")
        ls.backfill(world.pipeline(), "people")
        until(lambda: "row-level security" in ls.status(Path(world.state)).mappings[0].reason)
        assert len(world.actual()) == 500
        world.do("ALTER TABLE users DISABLE ROW LEVEL SECURITY")
        agrees(world)


@pytest.mark.parametrize("how", ["DROP TABLE {0}", "DELETE FROM {0}"])
def test_a_target_that_is_wiped_during_a_backfill(
    world: World, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part of it is written, and the ledger says so."""
    monkeypatch.setattr(working, "BATCH", 200)
    world.do(MORE, "INSERT INTO users SELECT i, 1, 'U' || i FROM generate_series(1001, 9000) i")
    with Following(world):
        until(
            lambda: len(world.actual_or_none()) >= 6_500
        )  # so that most is lost, however fast the rest comes
        Target(world).wipe(how)
        one = held(world)
        assert one.policy in ("target-gone", "target-emptied", "target-replaced")
        left = len(world.actual_or_none())
        assert left < 8_500
        ls.approve(Path(world.state), one.id, why="go on", by="ada", most=40_000)
        until(lambda: world.actual_or_none() == world.expected(), 120)
        until(lambda: standing(world) == [])
    world.assert_agreement()
