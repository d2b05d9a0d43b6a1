"""What a cold review proved: each of these ended in silence, a ghost or a stop before it was mended."""

from __future__ import annotations

import threading
from pathlib import Path
from unittest import mock

import pytest

import lockstep as ls
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.consumers import patience
from lockstep.engine.lease import Lease
from lockstep.state.store import Store
from tests.support.world import Person, World, people


def filled(root: Path, users: int) -> World:
    world = World(root, claims=False)
    with world.writing() as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO companies VALUES (1, 'Bolt')")
        rows = [(number, f"u{number}@example.com") for number in range(1, users + 1)]
        connection.executemany("INSERT INTO users VALUES (?, 1, NULL, ?, 0)", rows)
        connection.execute("COMMIT")
    world.run()
    return world


def failing(world: World, until: int) -> Pipeline:
    """The world's pipeline, with a mapping that fails for the first users."""
    pipeline = world.pipeline()

    def broken(user: Person) -> dict[str, object] | None:
        if user.id <= until:
            raise ValueError("a bad deploy")
        return people(user)

    pipeline.named("people").function = broken
    return pipeline


@pytest.mark.parametrize("kept", [False, True])
def test_a_lost_or_older_journal_is_a_hole(tmp_path: Path, kept: bool) -> None:
    world = filled(tmp_path, 20)
    files = list((tmp_path / "state").glob("journal.db*"))
    older = {file: file.read_bytes() for file in files}
    world.do("UPDATE users SET email = 'later' WHERE id = 2")
    world.run()
    for file in (tmp_path / "state").glob("journal.db*"):
        file.unlink()
    if kept:
        for file, body in older.items():
            file.write_bytes(body)
    world.do("UPDATE users SET email = 'new' WHERE id = 1", "INSERT INTO users VALUES (900, 1, NULL, 'n', 0)")
    world.run()
    world.assert_agreement()
    world.do("UPDATE users SET email = 'newer' WHERE id = 1")
    world.run()
    world.assert_agreement()


def test_a_target_emptied_while_nothing_ran_is_not_filled_row_by_row(tmp_path: Path) -> None:
    world = filled(tmp_path, 300)
    world.spoil("DELETE FROM people")
    world.do("UPDATE users SET email = 'new' WHERE id = 1")
    with pytest.raises(ls.TargetReplaced, match="emptied"):
        world.run()
    assert world.actual()["people"] == []


def test_a_doubt_outlives_the_failure_of_its_key(tmp_path: Path) -> None:
    """A key that must be compared with the target fails at that moment, and is mended later."""
    world = filled(tmp_path, 5)
    world.spoil("UPDATE people SET email = 'SPOILT' WHERE id = 1")
    world.repair()
    ls.run(failing(world, 1), once=True)
    assert [one.stage for one in ls.stuck(tmp_path / "state")] == ["derive"]
    assert ls.retry(world.pipeline(), "people") == 1
    world.run()
    world.assert_agreement()


def test_poison_rows_on_a_quiet_mapping_do_not_stop_it(tmp_path: Path) -> None:
    """Their retries are no news: only first tries are counted."""
    world = filled(tmp_path, 1_000)
    pipeline = failing(world, 120)
    ls.backfill(pipeline, "people")
    stop = threading.Event()
    tries = 0

    def watch(_: object, mappings: object) -> None:
        nonlocal tries
        tries += 1
        if any(one.attempts >= 3 for one in ls.stuck(tmp_path / "state", limit=5)):
            stop.set()

    with mock.patch.object(patience, "_IDLE", 0.02):
        timer = threading.Timer(30, stop.set)
        timer.start()
        result = ls.run(pipeline, stop=stop, on_progress=watch, every=0.1)
        timer.cancel()
    assert result.stopped == {}
    assert result.mappings[0].stuck == 120
    assert any(one.attempts >= 3 for one in ls.stuck(tmp_path / "state", limit=5))


def test_one_bad_related_row_stops_nobody(tmp_path: Path) -> None:
    world = filled(tmp_path, 5)
    world.do("INSERT INTO conversations VALUES (1, 1, 't')", "INSERT INTO messages VALUES (1, 1, 'm')")
    world.run()
    world.do(
        "INSERT INTO conversations VALUES (2, 'abc', 'bad')", "INSERT INTO messages VALUES (2, 2, 'on bad')"
    )
    world.do("UPDATE users SET email = 'innocent' WHERE id = 3")
    assert world.run().stopped == {}
    assert world.actual()["people"][2]["email"] == "innocent"
    world.do("UPDATE conversations SET user_id = 4 WHERE id = 2")
    world.run()
    world.assert_agreement()


def test_who_lost_the_lease_does_not_take_it_back(tmp_path: Path) -> None:
    store = Store(tmp_path)
    mine = Lease(store)
    Lease(store)
    with pytest.raises(ls.StateError):
        mine.redraw()
    store.close()


def test_rebuild_needs_room_beside(tmp_path: Path) -> None:
    """A table has room for one build: said before anything changes, and then everything goes on."""
    world = filled(tmp_path, 5)
    with pytest.raises(ls.Refused, match="room"):
        ls.backfill(world.pipeline(), "people", rebuild=True)
    world.do("UPDATE users SET email = 'new' WHERE id = 1")
    world.run()
    world.assert_agreement()
    world.spoil("DROP TABLE people", "DROP TABLE _lockstep_people", "DELETE FROM _lockstep_targets")
    ls.backfill(world.pipeline(), "people", rebuild=True)
    world.run()
    world.assert_agreement()


def test_what_was_settled_is_trimmed(tmp_path: Path) -> None:
    """One hot key: partitions that see no hint do not hold the journal."""
    world = filled(tmp_path, 5)
    for number in range(5):
        world.do(f"UPDATE users SET email = 'e{number}' WHERE id = 1")
        world.run()
    with_store = Store(tmp_path / "state")
    assert with_store.trim(keep=-1) > 0
    assert with_store.trim(keep=-1) == 0
    with_store.close()
    world.do("UPDATE users SET email = 'after' WHERE id = 1")
    world.run()
    world.assert_agreement()
