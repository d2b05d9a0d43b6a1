"""What the ledger keeps of a key: sums of what was read, doubts, and records that were found."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.forms import keys
from lockstep.state.rows import Row
from lockstep.state.store import Store
from tests.interleavings.points import at
from tests.support.world import Person, World, people, run_quickly

ROWS = (
    "INSERT INTO companies VALUES (1, 'Acme'), (2, 'Bolt')",
    "INSERT INTO users VALUES (1, 1, NULL, 'ann', 0), (2, 1, 1, 'bob', 0), (3, 2, NULL, 'nobody', 0)",
    "INSERT INTO tags VALUES (1, 'red'), (2, 'blue')",
    "INSERT INTO users_tags VALUES (1, 1), (2, 2)",
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, claims=False)
    made.do(*ROWS)
    made.run()
    return made


def books(world: World) -> dict[int, Row]:
    """The ledger's rows by user."""
    store = Store(world.root / "state")
    try:
        return {keys.decode(row.key)[0]: row for row in store.ledger.page(1, None, 100)}
    finally:
        store.close()


def counting(world: World) -> tuple[ls.Pipeline, list[int]]:
    """The world's pipeline, and the users that its mapping was run for."""
    pipeline, seen = world.pipeline(), []

    def counted(user: Person) -> dict[str, object] | None:
        seen.append(user.id)
        return people(user)

    pipeline.named("people").function = counted
    return pipeline, seen


def test_a_column_that_no_model_names_touches_nothing(world: World) -> None:
    """`last_seen` causes a derivation at most: no write, no row of the ledger, no divergence."""
    before = books(world)
    world.do("UPDATE users SET last_seen = last_seen + 1")
    assert run_quickly(world.pipeline()).mappings[0].gauges["applied"] == 0
    assert books(world) == before
    world.assert_agreement()


def test_a_column_that_no_field_reaches_is_noted_and_writes_nothing(world: World) -> None:
    """The sum is of what was read, so it changes with the company's name; the record does not hold it."""
    pipeline = world.pipeline()
    pipeline.named("people").function = lambda user: {"id": user.id, "email": user.email}
    run_quickly(pipeline)
    before = books(world)
    world.do("UPDATE companies SET name = 'Nut' WHERE id = 1")
    assert run_quickly(pipeline).mappings[0].gauges["applied"] == 0
    after = books(world)
    assert after[1].sum != before[1].sum
    assert (after[1].sent, after[1].version) == (before[1].sent, before[1].version)
    assert after[3] == before[3]
    report = ls.verify(pipeline, "people", method="deep")
    assert report.agreement


def test_a_root_without_a_record_has_a_sum_too(world: World) -> None:
    """Else a check of sums would find it missing for ever."""
    row = books(world)[3]
    assert row.sent is None
    assert row.sum is not None
    world.do("UPDATE companies SET name = 'Nut' WHERE id = 2")
    world.run()
    assert books(world)[3].sum != row.sum


def test_two_links_exchanged_are_another_sum(world: World) -> None:
    before = books(world)
    world.do(
        "UPDATE users_tags SET tag_id = 3 WHERE user_id = 1",
        "UPDATE users_tags SET tag_id = 1 WHERE user_id = 2",
        "UPDATE users_tags SET tag_id = 2 WHERE user_id = 1",
    )
    world.run()
    after = books(world)
    assert after[1].sum != before[1].sum
    assert sum(row.sum or 0 for row in after.values()) != sum(row.sum or 0 for row in before.values())
    world.assert_agreement()


def test_a_column_that_is_added_is_no_change(world: World) -> None:
    before = books(world)
    world.do(
        "ALTER TABLE users ADD COLUMN colour TEXT", "ALTER TABLE companies ADD COLUMN town TEXT DEFAULT 'x'"
    )
    assert run_quickly(world.pipeline()).mappings[0].gauges["applied"] == 0
    assert books(world) == before


def test_what_is_idle_leaves_its_row_alone(world: World) -> None:
    before = books(world)
    for trust in (False, True):
        ls.backfill(world.pipeline(), "people", trust_target=trust)
        pipeline, seen = counting(world)
        run_quickly(pipeline)
        assert sorted(seen) == [1, 2, 3]
    assert books(world) == before


@pytest.mark.parametrize("point", ["intended:2", "written:1", "written:2"])
def test_of_several_records_one_is_never_anybodys(tmp_path: Path, point: str) -> None:
    """Created, killed, and now the source derives the other one only: an intent knows it, or nobody does."""
    world = World(tmp_path)
    world.do("INSERT INTO users VALUES (1, NULL, NULL, 'a', 0), (2, NULL, NULL, 'z', 0)")
    world.run()
    world.do("UPDATE users SET email = 'a,b,c' WHERE id = 1")
    assert world.dies(point)
    world.do("UPDATE users SET email = 'a' WHERE id = 1")
    world.run()
    world.assert_agreement()
    assert [one["address"] for one in world.actual()["addresses"]] == ["a", "z"]


def test_intents_found_are_void_before_anything_is_written(tmp_path: Path) -> None:
    """Their records are in the target, or not: the rows say so until somebody has looked."""
    world = World(tmp_path, claims=False)
    world.do(*ROWS)
    world.run()
    world.do("UPDATE users SET email = 'new' WHERE id = 1")
    assert world.dies("written")
    seen: list[bool] = []
    with at("taken", lambda: seen.append(books(world)[1].void)):
        world.run()
    assert seen == [True]
    assert not books(world)[1].void
    world.assert_agreement()


def test_state_is_durable_before_a_position_is_acknowledged(world: World) -> None:
    """FULL: what is committed survives a power cut, not only the end of the process."""
    store = Store(world.root / "state")
    try:
        for database in (store._database, store.journal._database):
            with database.reading() as connection:
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
    finally:
        store.close()
    with contextlib.closing(sqlite3.connect(world.root / "state" / "ledger.db")) as file:
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_sums_near_the_edge_wrap_and_never_overflow(tmp_path: Path) -> None:
    """SQLite's own sum of 64-bit numbers is an error, and doubles cannot hold them."""
    world = World(tmp_path, claims=False)
    world.do("INSERT INTO users VALUES (1, NULL, NULL, 'a', 0)")
    world.do(*(f"INSERT INTO conversations VALUES ({at}, 1, 't{at}')" for at in range(1, 400)))
    world.run()
    row = books(world)[1]
    assert row.sum is not None
    assert -(1 << 63) <= row.sum < 1 << 63
    world.do("UPDATE conversations SET title = 'other' WHERE id = 399")
    world.run()
    assert books(world)[1].sum != row.sum
    world.assert_agreement()
