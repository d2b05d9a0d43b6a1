"""What changed since a moment is hinted again, each key once, and compared with the target."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lockstep.errors import DeclarationError, Refused
from lockstep.journal import window
from lockstep.operations.redrive import Redriven, redrive, redrive_keys
from lockstep.operations.status import status
from tests.support.world import World, in_process


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, claims=False)
    made.do(
        "INSERT INTO companies VALUES (1, 'Acme'), (2, 'Umbrella')",
        *(
            f"INSERT INTO users (id, company_id, email) VALUES ({n}, {1 + n % 2}, 'u{n}@x')"
            for n in range(60)
        ),
    )
    made.run()
    return made


def _spoilt(world: World) -> None:
    """Everything is edited in the target, behind Lockstep's back."""
    world.spoil("UPDATE people SET email = 'spoilt'")


def _mended(world: World) -> set[int]:
    return {one["id"] for one in world.actual()["people"] if one["email"] != "spoilt"}


def test_exactly_what_changed_since_is_mended(world: World) -> None:
    moment = time.time()
    for again in range(20):
        world.do(f"UPDATE users SET email = 'new{again}@x' WHERE id = 7")
    world.do("UPDATE users SET email = 'other@x' WHERE id = 8")
    world.run()
    _spoilt(world)
    (done,) = redrive(world.pipeline(), since=moment)
    assert (done.hints, done.keys, done.related, done.whole) == (21, 0, 2, False)
    result = world.run()
    assert result.mappings[0].gauges["keys"] == 2, "each is derived once"
    assert _mended(world) == {7, 8}
    (shown,) = status(world.pipeline()).mappings
    assert shown.backfill is not None
    assert (shown.backfill.reason, shown.backfill.done, shown.backfill.total) == ("redrive", 2, 2)


def test_a_related_row_leads_to_its_roots(world: World) -> None:
    moment = time.time()
    world.do("UPDATE companies SET name = 'Acme & Sons' WHERE id = 1")
    world.run()
    _spoilt(world)
    (done,) = redrive(world.pipeline(), since=moment)
    assert (done.keys, done.related) == (0, 1)
    world.run()
    assert _mended(world) == set(range(0, 60, 2))


def test_a_table_that_was_emptied_is_everything(world: World) -> None:
    moment = time.time()
    world.journal_span()
    _spoilt(world)
    (done,) = redrive(world.pipeline(), since=moment)
    assert done.whole
    world.run()
    assert _mended(world) == set(range(60))


def test_up_to_a_moment(world: World) -> None:
    since = time.time()
    world.do("UPDATE users SET email = 'first@x' WHERE id = 1")
    world.run()
    between = time.time()
    world.do("UPDATE users SET email = 'second@x' WHERE id = 2")
    world.run()
    _spoilt(world)
    redrive(world.pipeline(), since=since, until=between)
    world.run()
    assert _mended(world) == {1}


def test_from_a_position_of_the_log(world: World) -> None:
    world.do("UPDATE users SET email = 'first@x' WHERE id = 1")
    world.run()
    position = world.position()
    world.do("UPDATE users SET email = 'second@x' WHERE id = 2")
    world.run()
    _spoilt(world)
    redrive(world.pipeline(), since=position)
    world.run()
    assert _mended(world) == {1, 2}, "the change that led to a position is named as well"
    with pytest.raises(Refused, match="no position"):
        redrive(world.pipeline(), since="last tuesday")


def test_a_clock_that_was_set_back_hides_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.time()
    world.do("UPDATE users SET email = 'first@x' WHERE id = 1")
    world.run()
    world.do("UPDATE users SET email = 'second@x' WHERE id = 2")
    now = time.time
    with monkeypatch.context() as patch:
        patch.setattr("lockstep.journal.sql.time.time", lambda: now() - 3_600)
        world.run()
    _spoilt(world)
    redrive(world.pipeline(), since=moment)
    world.run()
    assert _mended(world) == {1, 2}


def test_beyond_what_the_journal_keeps(world: World) -> None:
    before = time.time() - 60
    world.do("UPDATE users SET email = 'old@x' WHERE id = 6")
    world.run()
    world.trim()
    with pytest.raises(Refused, match="has forgotten what changed before") as caught:
        redrive(world.pipeline(), since=before)
    assert "lockstep backfill people --trust-target" in caught.value.remedy
    after = time.time()
    world.do("UPDATE users SET email = 'new@x' WHERE id = 7")
    world.run()
    assert redrive(world.pipeline(), since=after)[0].related == 1


def test_a_rehearsal_hints_nothing(world: World) -> None:
    moment = time.time()
    world.do("UPDATE users SET email = 'new@x' WHERE id = 7")
    world.run()
    _spoilt(world)
    (done,) = redrive(world.pipeline(), since=moment, dry_run=True)
    assert done.related == 1
    world.run()
    assert _mended(world) == set()


def test_keys_of_a_list(world: World) -> None:
    _spoilt(world)
    done = redrive_keys(world.pipeline(), "people", ["3\n", "\n", "4\r\n", "3\n"])
    assert (done.hints, done.keys) == (3, 2)
    world.run()
    assert _mended(world) == {3, 4}
    with pytest.raises(DeclarationError, match="line 2: "):
        redrive_keys(world.pipeline(), "people", ["5\n", "nonsense\n"])
    world.run()
    assert _mended(world) == {3, 4}, "nothing of a list with a mistake in it is hinted"


def test_more_distinct_keys_than_are_gathered_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window, "MOST", 5)
    moment = time.time()
    for number in range(30):
        world.do(f"UPDATE users SET email = 'new{number}@x' WHERE id = {number}")
    world.run()
    _spoilt(world)
    redrive(world.pipeline(), since=moment)
    world.run()
    assert _mended(world) == set(range(30))


def _redrive_and_die(world: World, since: float) -> None:
    from lockstep.engine import points

    points.die_at("redriven")
    redrive(world.pipeline(), since=since)


def test_killed_half_way_it_can_be_asked_again(world: World) -> None:
    moment = time.time()
    world.do("UPDATE users SET email = 'new@x' WHERE id = 7", "UPDATE companies SET name = 'A' WHERE id = 2")
    world.run()
    _spoilt(world)
    assert in_process(_redrive_and_die, world, moment) == -9
    done: tuple[Redriven, ...] = redrive(world.pipeline(), since=moment)
    assert done[0].hints == 2
    world.run()
    assert _mended(world) == {7, *range(1, 60, 2)}
