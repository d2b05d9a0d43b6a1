"""kill -9 at every stage: a restart converges, nothing is lost and nothing doubled."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import time

import pytest

import lockstep as ls
from lockstep.engine.points import POINTS
from lockstep.testing.http_proxy import HttpProxy
from tests.pairs.changes import CHANGES
from tests.pairs.world import Person, World, document, target_of, until
from tests.recovery.test_restore import RECOVERY
from tests.support.world import died

LOADING = ("begun", "hinted", "created", "taken", "drawn", "derived", "intended", "written", "settled")
FOLLOWING = ("caught", "journalled", "acknowledged", *LOADING[3:])
SELDOM = ("recovered", "retrying", "appended", "released", "trimmed")
"""Points that take more than a load and some changes."""
ELSEWHERE = ("spanned", "followed", "carried", "moving")
"""Of a first start: `tests/crash/test_points.py`; of taking over: `tests/agreement/test_adopt_search.py`."""


def killed_at(world: World, point: str) -> None:
    killed = world.spawn(crash=f"{point}:1")
    assert killed.wait(60) == -9, f"it never came to {point}"


def test_every_point_is_here_or_elsewhere() -> None:
    assert {*LOADING, *FOLLOWING, *SELDOM, *RECOVERY, *ELSEWHERE} == set(POINTS)


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_killed_at_every_stage_one_after_another(world: World) -> None:
    """While it loads, while it follows, and while what the last crash left is recovered."""
    for point in LOADING:
        killed_at(world, point)
    world.do("UPDATE users SET email = 'same'")
    world.run()
    world.assert_agreement()
    for at, point in enumerate(FOLLOWING):
        some = f"WHERE id % 7 = {at % 7}"
        world.do(f"UPDATE users SET email = 'other' {some}", *CHANGES["child" if at % 2 else "links"])
        killed_at(world, point)
        world.do(f"UPDATE users SET email = 'same' {some}", "DELETE FROM conversations WHERE id = 1000")
        if point == "written":
            killed_at(world, "recovered")
        world.run()
        world.assert_agreement()


@pytest.mark.parametrize("world", ["tantivy"], indirect=True)
@pytest.mark.parametrize("point", ["taken", "intended", "written", "settled", "journalled", "acknowledged"])
def test_kill_at_every_stage(world: World, point: str) -> None:
    """Killed there while it loads, and again while it follows changes; then it converges."""
    if point in LOADING:
        killed_at(world, point)
    world.run()
    for at, statements in enumerate(CHANGES.values()):
        world.do(*statements)
        if at == 2:
            killed_at(world, point)
    world.run()
    world.assert_agreement()


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_killed_while_a_new_generation_is_built(world: World) -> None:
    """The old one stands untouched meanwhile; what changes meanwhile is in the new one."""
    world.run()
    ls.backfill(world.pipeline(), "people", rebuild=True)
    before = world.actual()
    for at, point in enumerate(LOADING[2:]):
        world.do(
            f"UPDATE users SET email = 'meanwhile {at}' WHERE id % 5 = {at % 5}",
            f"DELETE FROM users WHERE id = {at + 1}",
        )
        killed_at(world, point)
    assert world.actual() == before
    world.generation = 2
    world.run()
    world.assert_agreement()


def test_killed_while_it_follows(world: World) -> None:
    process = world.spawn(once=False)
    until(lambda: len(world.actual_or_none()) == 60)
    process.kill()
    assert process.wait(30) == -9
    world.do(*CHANGES["child"])
    world.run()
    world.assert_agreement()


class Claiming(World):
    """Records by address: a key that two users may want, so that one of them waits for it."""

    def pipeline(self) -> ls.Pipeline:
        made = ls.Pipeline("pairs", state=self.state)
        source = ls.Postgres(self.url, slot=self.url.rpartition("/")[2])
        made.mapping(source, to=target_of(self.target), name="people", version="1")(by_address)
        return made


class Slow(World):
    """It takes seconds to derive what it has taken, and no time for the sample that a start looks at."""

    def pipeline(self) -> ls.Pipeline:
        made = super().pipeline()
        made.named("people").function = slowly
        return made


_sampled: set[int] = set()


def slowly(user: Person) -> dict[str, object]:
    time.sleep(2.0 if user.id in _sampled else 0.0)
    _sampled.add(user.id)
    return document(user)


def by_address(user: Person) -> ls.Keyed:
    return ls.Keyed(user.email.lower(), document(user))


def ledger(world: World, statement: str) -> list[tuple[object, ...]]:
    """Asks or edits the ledger behind Lockstep's back."""
    with contextlib.closing(sqlite3.connect(f"{world.state}/ledger.db")) as found, found:
        return found.execute(statement).fetchall()


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_killed_at_points_that_come_seldom(world: World) -> None:
    world.run()

    world.do("UPDATE users SET email = 'poison' WHERE id = 2")
    world.run()
    ledger(world, "UPDATE stuck SET retry_at = 0")
    assert died(world, "retrying")
    (before,) = ls.stuck(world.pipeline())
    ledger(world, "UPDATE stuck SET retry_at = 0 WHERE retry_at IS NOT NULL")  # ten minutes later
    world.run()
    (after,) = ls.stuck(world.pipeline())
    assert after.attempts > before.attempts
    world.do("UPDATE users SET email = 'well' WHERE id = 2")
    world.run()
    world.assert_agreement()

    ls.backfill(world.pipeline(), "people")
    world.do("UPDATE companies SET name = 'of all of theirs' WHERE id = 1")
    assert died(world, "appended")
    world.do("DELETE FROM users WHERE id = 5")
    world.run()
    world.assert_agreement()

    world.do(*CHANGES["child"])
    slow = Slow(world.root, world.url, world.target)
    assert died(slow, "trimmed", trimming=True)  # while a batch is taken, and not settled
    with contextlib.closing(sqlite3.connect(f"{world.state}/journal.db")) as journal:
        assert journal.execute("SELECT count(*) FROM entries").fetchone() > (0,)
    world.do(*CHANGES["links"])
    world.run()
    world.assert_agreement()


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
@pytest.mark.parametrize("point", ["settled", "released"])
def test_killed_when_a_key_was_given_up_for_who_waits_for_it(world: World, point: str) -> None:
    claiming = Claiming(world.root, world.url, world.target)
    claiming.run()
    claiming.do("UPDATE users SET email = 'U1@example.com' WHERE id = 2")
    claiming.run()
    (waits,) = ls.stuck(claiming.pipeline())
    assert waits.stage == "claim"
    ledger(claiming, f"UPDATE stuck SET retry_at = {time.time() + 3_600}")
    claiming.do("UPDATE users SET email = 'moved@example.com' WHERE id = 1")
    assert died(claiming, point)
    claiming.do("UPDATE users SET email = 'gone@example.com' WHERE id = 3")
    claiming.run()
    assert not ls.stuck(claiming.pipeline())
    claiming.assert_agreement()
    assert ledger(claiming, "SELECT count(*) FROM intents") == [(0,)]


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
@pytest.mark.parametrize("when", ["loading", "following"])
def test_killed_within_a_bulk_that_is_split(world: World, when: str) -> None:
    """Killed when a part of it has been refused as too large, or was taken and the answer is on its way."""
    kind, where, name = world.target.split("|")
    if when == "following":
        world.run()
    dying: list[subprocess.Popen[bytes]] = []
    refused, taken, last = [0], [0], [(0, 0)]

    def counted(count: list[int], most: int) -> None:
        count[0] += 1
        if count[0] == most:
            dying[0].kill()
            dying[0].wait()

    def before(path: str, body: bytes) -> tuple[int, bytes] | None:
        if "/_bulk" not in path or len(body) <= 4_000:
            return None
        counted(refused, last[0][0])
        return 413, b"<html>too large</html>"

    def after(path: str, _: bytes) -> None:
        if "/_bulk" in path:
            counted(taken, last[0][1])

    with HttpProxy(where) as proxy:
        proxy.before, proxy.after = before, after
        split = World(world.root, world.url, f"{kind}|{proxy.url}|{name}")
        for at, last[0] in enumerate([(1, 0), (3, 0), (0, 1), (0, 2), (0, 4)]):
            world.do(
                f"UPDATE users SET email = 'round {at}' WHERE id % 2 = {at % 2}",
                f"UPDATE companies SET name = 'round {at}' WHERE id > 0",
                f"DELETE FROM users WHERE id = {at + 10}",
            )
            refused[0] = taken[0] = 0
            dying[:] = [split.spawn()]
            assert dying[0].wait(60) == -9, f"it was not killed at {last[0]}"
            assert refused[0] >= 1
        assert split.run().outcome == "done"
    world.assert_agreement()
    assert ledger(world, "SELECT count(*) FROM intents") == [(0,)]
