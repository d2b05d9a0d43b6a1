"""What changed since a moment is hinted again, each key once, and compared with the target."""

from __future__ import annotations

import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
import pytest
from click.testing import CliRunner

from lockstep.cli.main import cli
from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.errors import DeclarationError, Refused, UsageError
from lockstep.journal import distinct
from lockstep.journal.tables import entries
from lockstep.journal.window import Window
from lockstep.operations import hinted_again
from lockstep.operations.backfill import backfill
from lockstep.operations.opened import existing
from lockstep.operations.redrive import Redriven, redrive
from lockstep.operations.redrive_keys import redrive_keys
from lockstep.operations.run import run
from lockstep.operations.status import status
from lockstep.recovery.restore import restore
from lockstep.recovery.snapshot import snapshot
from lockstep.state.runs import Runs
from lockstep.state.store import Store
from lockstep.systems.sqlite.install import remove
from lockstep.values import consumer_stream
from tests.pairs.world import until
from tests.recovery.world import RecoveryWorld
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
    with pytest.raises(UsageError, match="no time, and no position") as wrong:
        redrive(world.pipeline(), since="last tuesday")
    assert "2h (ago)" in wrong.value.remedy
    assert "offset:N" in wrong.value.remedy


def test_from_a_position_that_lies_ahead(world: World) -> None:
    """Of a log that has not come there, or a mistyped one: nothing hinted would say that nothing was lost."""
    world.do("UPDATE users SET email = 'first@x' WHERE id = 1")
    world.run()
    now = world.position()
    number, _, log = now.partition("-")
    with pytest.raises(
        UsageError, match=f"has come to {now}, and {int(number) + 7}-{log} lies ahead"
    ) as wrong:
        redrive(world.pipeline(), since=f"{int(number) + 7}-{log}")
    assert "--since" in wrong.value.remedy
    (done,) = redrive(world.pipeline(), since=now, dry_run=True)
    assert done.related == 1, "where it is now does not"


def test_from_the_position_that_status_shows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a source at rest the run is ahead of the journal, which is told at intervals."""
    world.do("UPDATE users SET email = 'first@x' WHERE id = 1")
    world.run()
    now = world.position()
    number, _, log = now.partition("-")
    shown = f"{int(number) + 7}-{log}"
    gauges = {"sources": {next(iter(world.pipeline().sources())): {"position": shown}}}
    with existing(world.pipeline(), Access.RUN) as store:
        last = store.runs.last()
    assert last is not None
    monkeypatch.setattr(Runs, "last", lambda self: msgspec.structs.replace(last, gauges=gauges))
    (done,) = redrive(world.pipeline(), since=shown, dry_run=True)
    assert done.hints == 0


def test_from_a_position_before_following_began(tmp_path: Path) -> None:
    """Changes came before the first run, and nobody has recorded which. With the first pass in the window it
    is all keys; without, it is told."""
    world = World(tmp_path, claims=False)
    world.do("INSERT INTO users (id, email) VALUES (1, 'a@x')")
    world.run()
    began = world.position()
    before = f"{int(began.partition('-')[0]) - 1}-{0:016x}"
    world.do("UPDATE users SET email = 'b@x' WHERE id = 1")
    world.run()
    (done,) = redrive(world.pipeline(), since=began, dry_run=True)
    assert (done.related, done.whole) == (1, False), "where it began is in the window"
    (done,) = redrive(world.pipeline(), since=before, dry_run=True)
    assert done.whole, "the pass that filled it is in the window"
    with existing(world.pipeline(), Access.RUN) as store, store.journal._database.writing() as connection:
        connection.execute(entries.delete().where(entries.c.stream == consumer_stream(1)))
    with pytest.raises(Refused, match="began to be followed") as beyond:
        redrive(world.pipeline(), since=before, dry_run=True)
    assert "lockstep backfill people --trust-target" in beyond.value.remedy
    (done,) = redrive(world.pipeline(), since=began, dry_run=True)
    assert (done.related, done.whole) == (1, False)


def test_from_a_position_of_another_log(tmp_path: Path) -> None:
    """The source was exchanged: its log begins anew, and positions in it are smaller than where the one
    before was first followed."""
    first, root = World(tmp_path, claims=False), tmp_path / "second"
    first.do("INSERT INTO users (id, email) VALUES (1, 'a@x'), (2, 'a@x')")
    first.run()
    first.do(*(f"UPDATE users SET email = 'a{n}@x' WHERE id = 1" for n in range(9)))
    root.mkdir()
    shutil.copy(first.app, root)
    world = World(root, claims=False)
    world.run()
    old = world.position()
    world.do("UPDATE users SET email = 'b@x' WHERE id = 1")
    world.run()
    remove(world.app)
    world.run()
    position = world.position()
    assert int(position.partition("-")[0]) < int(old.partition("-")[0])
    for since in (old, position):  # of which log it is nobody can tell
        (done,) = redrive(world.pipeline(), since=since, dry_run=True)
        assert done.whole, "the pass that the exchange made is in the window"
    world.trim()
    for email in ("c@x", "d@x"):
        world.do(f"UPDATE users SET email = '{email}' WHERE id = 1")
        world.run()
    position = world.position()
    world.do("UPDATE users SET email = 'e@x' WHERE id = 2")
    world.run()
    _spoilt(world)
    (done,) = redrive(world.pipeline(), since=position)
    assert (done.related, done.whole) == (2, False), "what lies in the log that is followed now"
    world.run()
    assert _mended(world) == {1, 2}


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
    assert "lockstep verify people" in caught.value.remedy
    after = time.time()
    world.do("UPDATE users SET email = 'new@x' WHERE id = 7")
    world.run()
    assert redrive(world.pipeline(), since=after)[0].related == 1


def test_before_a_restored_build_was_followed_nothing_is_known(tmp_path: Path) -> None:
    before = time.time()
    world = RecoveryWorld(tmp_path)
    world.fill(20)
    world.run()
    snapshot(world.pipeline(), "people")
    after = time.time()
    world.do("UPDATE users SET email = 'new@x' WHERE id = 7")
    world.run()
    restore(world.pipeline(), "people", replace=True)
    with pytest.raises(Refused, match=r"followed only since .* not in the journal") as caught:
        redrive(world.pipeline(), since=before)
    assert "lockstep backfill people --trust-target" in caught.value.remedy
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
    with pytest.raises(DeclarationError, match=r"line 2: 'nonsense' .*; line 5: '1.5' ") as wrong:
        redrive_keys(world.pipeline(), "people", ["5\n", "nonsense\n", "\n", "6\n", "1.5\n"])
    assert "number" in f"{wrong.value} {wrong.value.remedy}"
    with pytest.raises(DeclarationError, match=r"line 10: .*; and 4,990 more of lines 1 to 5000") as wrong:
        redrive_keys(world.pipeline(), "people", ("x\n" for _ in range(100_000)))
    world.run()
    assert _mended(world) == {3, 4}, "nothing of a list with a mistake in it is hinted"


def test_more_distinct_keys_than_are_gathered_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "MOST", 5)
    monkeypatch.setattr(hinted_again, "_RELATED", 3)
    monkeypatch.setattr(hinted_again, "_AT_ONCE", 4)
    moment = time.time()
    for number in range(30):
        world.do(f"UPDATE users SET email = 'new{number}@x' WHERE id = {number}")
    world.run()
    _spoilt(world)
    (done,) = redrive(world.pipeline(), since=moment)
    assert done.related == 30
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
    assert done[0].related == 2, "what it had hinted already is not hinted twice"
    world.run()
    assert _mended(world) == {7, *range(1, 60, 2)}


def test_from_an_offset_of_the_journal(world: World) -> None:
    world.do("UPDATE users SET email = 'first@x' WHERE id = 1")
    world.run()
    with existing(world.pipeline()) as store:
        end = store.journal.end()
    world.do("UPDATE users SET email = 'second@x' WHERE id = 2")
    world.run()
    _spoilt(world)
    redrive(world.pipeline(), since=f"offset:{end + 1}")
    world.run()
    assert _mended(world) == {2}
    world.trim()
    with pytest.raises(Refused, match="has forgotten"):
        redrive(world.pipeline(), since=f"offset:{end}")


def test_what_was_written_for_another_reason_is_in_the_window(world: World) -> None:
    moment = time.time()
    backfill(world.pipeline(), "people", ("5",))
    world.run()
    _spoilt(world)
    assert redrive(world.pipeline(), since=moment)[0].keys == 1
    world.run()
    assert _mended(world) == {5}


def test_from_before_the_first_load_it_is_everything(world: World) -> None:
    _spoilt(world)
    assert redrive(world.pipeline(), since=0.0)[0].whole
    world.run()
    assert _mended(world) == set(range(60))


def test_a_clock_that_was_set_back_makes_no_hole_that_is_not_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment, now = time.time(), time.time
    world.do("UPDATE users SET email = 'first@x' WHERE id = 1")
    world.run()
    world.do("UPDATE users SET email = 'second@x' WHERE id = 2")
    with monkeypatch.context() as patch:
        patch.setattr("lockstep.journal.sql.time.time", lambda: now() - 3_600)
        world.run()
    with existing(world.pipeline(), Access.RUN) as store:
        assert store.trim(keep=1_800.0) > 0, "the younger one looks older, and goes"
    with pytest.raises(Refused, match="has forgotten"):
        redrive(world.pipeline(), since=moment)


def test_what_is_forgotten_while_it_is_read_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.time()
    world.do("UPDATE users SET email = 'first@x' WHERE id = 1")
    world.run()
    gather = Window.gather

    def slow(self: Window, *arguments: Any) -> None:
        world.trim()
        gather(self, *arguments)

    monkeypatch.setattr(Window, "gather", slow)
    with pytest.raises(Refused, match="has forgotten"):
        redrive(world.pipeline(), since=moment)


def test_beside_a_run_while_the_source_changes(world: World) -> None:
    moment = time.time()
    world.do(*(f"UPDATE users SET email = 'new{number}@x' WHERE id = {number}" for number in range(20)))
    world.run()
    _spoilt(world)
    stop = threading.Event()
    following = threading.Thread(target=lambda: run(world.pipeline(), stop=stop))
    following.start()
    try:
        until(lambda: status(world.pipeline()).running is not None)
        for turn in range(20):
            world.do(f"UPDATE users SET email = 'turn{turn}@x' WHERE id = {turn % 10 + 15}")
            if turn % 8 == 0:
                (done,) = redrive(world.pipeline(), since=moment)
                assert done.running is not None
        until(lambda: _mended(world) == set(range(25)))
        until(lambda: status(world.pipeline()).mappings[0].waiting_bulk == 0)
    finally:
        stop.set()
        following.join(30)
    assert not following.is_alive()
    world.run()
    wanted = {one["id"]: one for one in world.expected()["people"]}
    actual = {one["id"]: one for one in world.actual()["people"]}
    assert {key for key in wanted if wanted[key] != actual[key]} == set(range(25, 60))


def test_a_long_list_with_keys_that_come_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "MOST", 7)
    monkeypatch.setattr(hinted_again, "NEIGHBOURS", 5)
    _spoilt(world)
    done = redrive_keys(world.pipeline(), "people", (f"{number % 40}\n" for number in range(1_000)))
    assert (done.hints, done.keys) == (1_000, 40)
    assert world.run().mappings[0].gauges["keys"] == 40
    assert _mended(world) == set(range(40))


def test_a_list_as_another_system_writes_it(world: World, tmp_path: Path) -> None:
    given = tmp_path / "keys.txt"
    command = ["--json", "redrive", "--mapping", "people", "--keys-from", str(given)]
    given.write_bytes(b"\xef\xbb\xbf3\r\n4\r\n")
    with mock.patch("lockstep.cli.verb.Settings.load", return_value=world.pipeline()):
        asked = CliRunner().invoke(cli, command)
        assert json.loads(asked.output)["redriven"][0]["keys"] == 2, asked.output
        given.write_bytes(b"3\n\xff\xfe\n")
        wrong = CliRunner().invoke(cli, command)
    assert wrong.exit_code == 2, wrong.output
    assert "is no text" in wrong.output


def test_how_far_back_it_reaches_is_declared(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[float] = []
    monkeypatch.setattr("lockstep.engine.service._TRIM_EVERY", 0.0)
    monkeypatch.setattr(Store, "trim", lambda _, keep: kept.append(keep))
    pipeline = world.pipeline()
    pipeline.keep = 7 * 86_400.0
    stop = threading.Event()
    following = threading.Thread(target=lambda: run(pipeline, stop=stop))
    following.start()
    try:
        until(lambda: bool(kept))
    finally:
        stop.set()
        following.join(30)
    assert set(kept) == {7 * 86_400.0}


@pytest.mark.parametrize("keep", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_time_to_keep(keep: float) -> None:
    with pytest.raises(DeclarationError, match="no time"):
        Pipeline("acme", keep=keep)
