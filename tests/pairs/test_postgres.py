"""PostgreSQL to every target: whatever changes, the documents follow."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import lockstep as ls
from tests.pairs.world import SCHEMA, Following, World, until

CHANGES = {
    "root": [
        "INSERT INTO users VALUES (100, 1, 'New@Example.com')",
        "UPDATE users SET email = 'Other@example.com' WHERE id = 1",
        "DELETE FROM users WHERE id = 2",
        "UPDATE users SET id = 200 WHERE id = 3",
    ],
    "parent": [
        "UPDATE companies SET name = 'Renamed' WHERE id = 2",
        "UPDATE users SET company_id = 3 WHERE id = 4",
        "UPDATE users SET company_id = NULL WHERE id = 5",
    ],
    "child": [
        "INSERT INTO conversations VALUES (1000, 6, 'new')",
        "UPDATE conversations SET title = 'other' WHERE user_id = 7",
        "DELETE FROM conversations WHERE user_id = 8",
        "UPDATE conversations SET user_id = 10 WHERE user_id = 9",
    ],
    "grandchild": [
        "INSERT INTO messages VALUES (1000, 20, 'new')",
        "UPDATE messages SET body = 'other' WHERE id = 2",
        "DELETE FROM messages WHERE id = 3",
        "UPDATE messages SET conversation_id = 5 WHERE id = 30",
    ],
    "links": [
        "INSERT INTO users_tags VALUES (11, 1) ON CONFLICT DO NOTHING",
        "DELETE FROM users_tags WHERE user_id = 12",
        "UPDATE users_tags SET tag_id = tag_id % 4 + 1 WHERE user_id = 13",
        "UPDATE tags SET name = 'renamed' WHERE id = 3",
    ],
    "truncate": ["TRUNCATE messages"],
    "together": [
        "DELETE FROM users WHERE id = 20",
        "INSERT INTO users VALUES (20, 5, 'again@example.com')",
        "UPDATE users SET id = 999 WHERE id = 21",
        "UPDATE users SET id = 21 WHERE id = 22",
        "UPDATE users SET id = 22 WHERE id = 999",
        "SAVEPOINT one",
        "DELETE FROM users",
        "ROLLBACK TO SAVEPOINT one",
    ],
}


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


def test_every_level(world: World) -> None:
    result = world.run()
    assert result.stopped == {}
    world.assert_agreement()
    assert len(world.actual()) == 60
    for name, statements in CHANGES.items():
        world.do(*statements)
        assert world.actual() != world.expected(), name
        world.run()
        assert world.actual() == world.expected(), name
    world.assert_agreement()


def test_every_level_while_it_runs(world: World) -> None:
    with Following(world):
        until(lambda: len(_or_empty(world)) == 60)
        for statements in CHANGES.values():
            world.do(*statements)
        until(lambda: world.actual() == world.expected())
    world.assert_agreement()


def test_commit_order_is_not_begin_order(world: World) -> None:
    """Two open transactions, and the first to begin commits last, long after the other was worked."""
    with Following(world), world.connect() as first, world.connect() as second:
        until(lambda: len(_or_empty(world)) == 60)
        first.execute("BEGIN")
        first.execute("UPDATE users SET email = 'first' WHERE id = 30")
        second.execute("BEGIN")
        second.execute("UPDATE users SET email = 'second' WHERE id = 31")
        second.execute("COMMIT")
        until(lambda: world.actual()["31"]["email"] == "second")
        first.execute("COMMIT")
        until(lambda: world.actual()["30"]["email"] == "first")
    world.assert_agreement()


def test_poison_stops_nobody_and_clears_itself(world: World) -> None:
    world.do("UPDATE users SET email = 'poison' WHERE id IN (40, 41)")
    world.run()
    stuck = ls.stuck(world.pipeline().state or Path(), "people")
    assert (
        sorted(one.error.partition(" (")[0] for one in stuck)
        == ["the mapping raised ValueError: this address is poison"] * 2
    )
    assert world.actual() == world.expected()
    world.do("UPDATE users SET email = 'well' WHERE id = 40", "DELETE FROM users WHERE id = 41")
    world.run()
    assert ls.stuck(world.pipeline().state or Path(), "people") == []
    world.assert_agreement()


@pytest.mark.parametrize("world", ["opensearch", "tantivy"], indirect=True)
@pytest.mark.parametrize("point", ["taken", "intended", "written", "settled", "journalled", "acknowledged"])
def test_kill_at_every_stage(world: World, point: str) -> None:
    """Killed there while it loads, and again while it follows changes; then it converges."""
    if point in ("taken", "intended", "written", "settled"):
        killed = world.spawn(crash=f"{point}:1")
        assert killed.wait(60) == -9
    world.run()
    for at, statements in enumerate(CHANGES.values()):
        world.do(*statements)
        if at == 2:
            killed = world.spawn(crash=point)
            assert killed.wait(60) == -9
    world.run()
    world.assert_agreement()


def test_killed_while_it_follows(world: World) -> None:
    process = world.spawn(once=False)
    until(lambda: len(_or_empty(world)) == 60)
    process.kill()
    assert process.wait(30) == -9
    world.do(*CHANGES["child"])
    world.run()
    world.assert_agreement()


def _or_empty(world: World) -> dict[str, object]:
    try:
        return world.actual()
    except ls.TargetReplaced:
        return {}


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_memory_does_not_grow_with_the_table(world: World) -> None:
    """More keys than one span yields, and then more than twice as many, each in a process of its own."""
    world.do("TRUNCATE users, users_tags, conversations, messages")
    peaks: list[int] = []
    for first, last in ((1, 55_000), (55_001, 130_000)):
        world.do(f"INSERT INTO users SELECT i, 1, 'U' || i FROM generate_series({first}, {last}) i")
        if peaks:
            ls.backfill(world.pipeline(), "people", trust_target=True)
        peaks.append(world.peak())
    assert peaks[1] < 1.2 * peaks[0], peaks
    assert list(ls.plan(world.pipeline(), "people", ["1", "130000"])) == []
