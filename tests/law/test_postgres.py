"""PostgreSQL under the laws of sources, on its real server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from lockstep.ports import Source
from lockstep.systems.postgres import Postgres
from lockstep.testing.feed_law import FeedLaw
from lockstep.testing.reader_law import ReaderLaw
from lockstep.testing.source_world import World
from lockstep.testing.ways import way

POSTGRES_WAYS = (
    way("truncate", "messages", "TRUNCATE messages"),
    way(
        "truncate, cascade",
        "tags, users_tags",
        "TRUNCATE tags CASCADE",
    ),
    way(
        "truncate and insert again",
        "messages",
        "TRUNCATE messages",
        "INSERT INTO messages VALUES (100, 13, 'new')",
    ),
    way("update from", "users", "UPDATE users SET name = t.name FROM tags AS t WHERE t.id = users.id"),
    way("update ctid", "users", "UPDATE users SET company_id = 3 WHERE ctid = '(0,1)'"),
    way(
        "delete using",
        "users_tags",
        "DELETE FROM users_tags AS l USING tags AS t WHERE t.id = l.tag_id AND t.id = 1",
    ),
    way(
        "merge",
        "tags, users_tags",
        "MERGE INTO tags USING (VALUES (1, 'gone'), (2, 'new name'), (9, 'new')) AS n(id, name)"
        " ON tags.id = n.id"
        " WHEN MATCHED AND n.name = 'gone' THEN DELETE"
        " WHEN MATCHED THEN UPDATE SET name = n.name"
        " WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.name)",
    ),
    way(
        "in a common table expression",
        "messages",
        "WITH gone AS (DELETE FROM messages RETURNING id) SELECT * FROM gone",
    ),
    way(
        "in a block of code",
        "tags",
        "DO $$ BEGIN FOR n IN 10..15 LOOP INSERT INTO tags VALUES (n, 'x'); END LOOP; END $$",
    ),
    way(
        "by a trigger",
        "tags, companies",
        "UPDATE tags SET name = 'fires' WHERE id = 1",
        first=(
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN UPDATE companies SET name = 'touched' WHERE id = 2; RETURN NEW; END $$",
            "CREATE TRIGGER t AFTER UPDATE ON tags FOR EACH ROW EXECUTE FUNCTION touch()",
        ),
    ),
    way(
        "with triggers off",
        "messages",
        "SET LOCAL session_replication_role = replica",
        "DELETE FROM messages",
    ),
    way(
        "without waiting for the disk",
        "messages",
        "SET LOCAL synchronous_commit = off",
        "DELETE FROM messages",
    ),
    way("a large value", "messages", "UPDATE messages SET body = repeat('long ', 100000) WHERE id = 100"),
    way(
        "beside a large value",
        "messages",
        "UPDATE messages SET conversation_id = 13 WHERE id = 100",
        first=(
            "UPDATE messages SET body ="
            " (SELECT string_agg(md5(n::text), '') FROM generate_series(1, 9999) n)",
        ),
    ),
)


def world_at(url: str) -> World:
    app = psycopg.connect(url)
    world = World(Postgres(url), app, mark="%s", prefix="public.", blob="BYTEA")
    for table in world.tables:
        schema, name = table.name.split(".")
        world.execute(f'ALTER TABLE "{schema}"."{name}" REPLICA IDENTITY FULL')
    return world


@contextlib.contextmanager
def followed_at(url: str) -> Iterator[World]:
    """A world with a slot of its own."""
    slot = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
    with world_at(url) as world:
        world.source = Postgres(url, slot=str(slot))
        yield world


class TestPostgresReader(ReaderLaw):
    @pytest.fixture
    def world(self, postgres_url: str) -> Iterator[World]:
        with world_at(postgres_url) as world:
            yield world

    def unusual(self, world: World) -> Source | None:
        name = world.app.info.dbname
        for setting in (
            "timezone = 'Asia/Kathmandu'",
            "datestyle = 'SQL, DMY'",
            "intervalstyle = 'sql_standard'",
            "extra_float_digits = -10",
            "bytea_output = 'escape'",
            "search_path = ''",
        ):
            world.execute(f'ALTER DATABASE "{name}" SET {setting}')
        return world.source


class TestPostgresFeed(FeedLaw):
    own_ways = POSTGRES_WAYS

    @pytest.fixture
    def world(self, postgres_url: str) -> Iterator[World]:
        with followed_at(postgres_url) as world:
            yield world


class TestPostgres15Reader(TestPostgresReader):
    """The older major that Debian has."""

    @pytest.fixture
    def world(self, postgres15_url: str) -> Iterator[World]:
        with world_at(postgres15_url) as world:
            assert world.app.info.server_version // 10_000 == 15
            yield world


class TestPostgres15Feed(TestPostgresFeed):
    @pytest.fixture
    def world(self, postgres15_url: str) -> Iterator[World]:
        with followed_at(postgres15_url) as world:
            yield world
