"""A process killed at every point between the stages: what restarts converges, and nothing is doubled."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.engine.points import POINTS
from tests.recovery.test_restore import RECOVERY
from tests.support.world import World

ROWS = (
    "INSERT INTO companies VALUES (1, 'Acme'), (2, 'Bolt')",
    "INSERT INTO users (id, company_id, manager_id, email) VALUES"
    " (1, 1, NULL, 'ann@x'), (2, 1, 1, 'bob@x,bob@y'), (3, 2, 1, 'cyd@x'), (4, NULL, 2, 'nobody')",
    "INSERT INTO tags VALUES (1, 'red'), (2, 'blue')",
    "INSERT INTO users_tags VALUES (1, 1), (2, 1), (2, 2)",
    "INSERT INTO conversations VALUES (1, 1, 'hello'), (2, 2, 'bye')",
    "INSERT INTO messages VALUES (1, 1, 'hi'), (2, 1, 'ho'), (3, 2, 'so long')",
)
CHANGES = (
    "UPDATE companies SET name = 'ACME' WHERE id = 1",
    "UPDATE users SET email = 'bob@z,bob@y' WHERE id = 2",
    "DELETE FROM users WHERE id = 3",
    "INSERT INTO users (id, company_id, manager_id, email) VALUES (5, 2, 2, 'eve@x')",
    "UPDATE messages SET conversation_id = 2 WHERE id = 1",
    "DELETE FROM users_tags WHERE user_id = 2 AND tag_id = 1",
)


def _books_are_closed(world: World) -> None:
    """No intent stands, no row is void, nobody is stuck, and no claim outlives its record."""
    with contextlib.closing(sqlite3.connect(world.root / "state" / "ledger.db")) as ledger:
        for question in (
            "SELECT count(*) FROM intents",
            "SELECT count(*) FROM ledger WHERE void",
            "SELECT count(*) FROM stuck",
        ):
            assert ledger.execute(question).fetchone() == (0,), question
        (claims,) = ledger.execute("SELECT count(*) FROM claims").fetchone()
    assert not world.claims or claims == len(world.actual()["addresses"])


LOADING = (
    "begun",
    "hinted",
    "spanned",
    "followed",
    "created",
    "appended",
    "taken",
    "drawn",
    "derived",
    "intended",
    "written",
    "settled",
)
FOLLOWING = (
    *("caught", "journalled", "acknowledged", "taken", "drawn", "derived", "intended", "written", "settled"),
    *("released", "appended"),
)


@pytest.mark.parametrize("point", LOADING)
def test_a_crash_at_every_point_of_the_first_load_converges(tmp_path: Path, point: str) -> None:
    world = World(tmp_path)
    world.do(*ROWS)
    assert world.dies(point)
    world.run()
    world.assert_agreement()
    _books_are_closed(world)


@pytest.mark.parametrize("point", FOLLOWING)
def test_a_crash_at_every_point_of_a_change_converges(tmp_path: Path, point: str) -> None:
    world = World(tmp_path)
    world.do(*ROWS)
    world.run()
    if point == "released":  # somebody waits for an address that another gives up
        world.do("UPDATE users SET email = 'ann@x,bob@x' WHERE id = 1")
        world.run()
        assert ls.stuck(tmp_path / "state", "addresses")
    if point == "appended":
        for name in world.mappings():
            ls.backfill(world.pipeline(), name)
    world.do(*CHANGES)
    assert world.dies(point)
    world.run()
    world.assert_agreement()
    _books_are_closed(world)


@pytest.mark.parametrize("point", ["recovered", "taken", "derived", "intended", "written", "settled"])
def test_a_crash_while_recovering_from_a_crash_converges(tmp_path: Path, point: str) -> None:
    world = World(tmp_path)
    world.do(*ROWS)
    world.run()
    world.do(*CHANGES)
    assert world.dies("written")
    world.do("DELETE FROM users WHERE id = 5")
    assert world.dies(point)
    world.do("UPDATE users SET email = 'ann@x' WHERE id = 1")
    assert world.dies(point)
    world.run()
    world.assert_agreement()
    _books_are_closed(world)


def test_a_crash_before_a_retry_is_hinted_delays_it_and_loses_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.do(*ROWS)
    world.do("UPDATE users SET email = 'poison' WHERE id = 2")
    world.run()
    assert [one.mapping for one in ls.stuck(tmp_path / "state")] == ["people"]
    world.spoil_state("UPDATE stuck SET retry_at = 0")
    assert world.dies("retrying")  # nothing else is to be done; a change could be worked before it
    assert [one.mapping for one in ls.stuck(tmp_path / "state")] == ["people"]
    world.do("UPDATE users SET email = 'well' WHERE id = 2")
    world.run()
    world.assert_agreement()
    _books_are_closed(world)


def test_a_crash_while_the_journal_is_trimmed(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.do(*ROWS)
    world.run()
    world.do(*CHANGES)
    before = _entries(world)
    assert world.dies("trimmed", trimming=True)
    after = _entries(world)
    assert before - after, "something was forgotten, and that is on disk"
    world.run()
    world.assert_agreement()
    _books_are_closed(world)


def _entries(world: World) -> set[int]:
    """The offsets that the journal has."""
    with contextlib.closing(sqlite3.connect(world.root / "state" / "journal.db")) as journal:
        return {offset for (offset,) in journal.execute('SELECT "offset" FROM entries')}


def test_every_point_is_crashed_at_somewhere() -> None:
    adopting = {"carried", "moving"}  # tests/agreement/test_adopt_search.py
    elsewhere = {"recovered", "retrying", "trimmed", *adopting, *RECOVERY}
    assert {*LOADING, *FOLLOWING, *elsewhere} == set(POINTS)


def test_a_crash_after_all_is_settled_does_not_hang_the_next_run(tmp_path: Path) -> None:
    """The positions of partitions that saw no hint of late are noted only by an orderly end."""
    world = World(tmp_path, claims=False)
    world.do(*(f"INSERT INTO users (id, email) VALUES ({id}, 'u{id}')" for id in range(300)))
    assert world.dies("settled:2")
    world.run()
    world.assert_agreement()


def test_a_ghost_after_a_create(tmp_path: Path) -> None:
    """Killed between the write and the ledger; then the row goes: nobody would own the record."""
    world = World(tmp_path)
    world.do(*ROWS)
    world.run()
    world.do("INSERT INTO users (id, email) VALUES (9, 'zoe@x')")
    assert world.dies("written")
    assert {"zoe@x"} & {one["email"] for one in world.actual()["people"]} or world.dies("written")
    world.do("DELETE FROM users WHERE id = 9")
    world.run()
    world.assert_agreement()
    _books_are_closed(world)


def test_there_and_back_around_a_crash(tmp_path: Path) -> None:
    """A in the ledger, B written, killed, the source back at A: equal to the ledger, target B."""
    world = World(tmp_path, claims=False)
    world.do(*ROWS)
    world.run()
    world.do("UPDATE users SET email = 'B' WHERE id = 1")
    assert world.dies("written")
    assert "B" in {one["email"] for one in world.actual()["people"]}
    world.do("UPDATE users SET email = 'ann@x' WHERE id = 1")
    world.run()
    world.assert_agreement()
    _books_are_closed(world)


@pytest.mark.parametrize("point", ["taken", "intended", "written", "settled"])
def test_a_claim_changes_hands_around_a_crash(tmp_path: Path, point: str) -> None:
    world = World(tmp_path)
    world.do(*ROWS)
    world.run()
    world.do(
        "UPDATE users SET email = 'bob@x' WHERE id = 1",
        "UPDATE users SET email = 'ann@x,bob@y' WHERE id = 2",
    )
    assert world.dies(point)
    world.do("UPDATE users SET email = 'bob@y' WHERE id = 3", "UPDATE users SET email = 'new' WHERE id = 2")
    world.run()
    world.assert_agreement()
    _books_are_closed(world)
