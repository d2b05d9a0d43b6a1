"""A target that is lost again after it was restored: what the restored build knew is not lost with it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from lockstep.operations.verify import verify
from lockstep.recovery.restore import Restored, restore
from lockstep.recovery.snapshot import snapshot
from tests.recovery.world import RecoveryWorld, saved_world, wipe


@pytest.fixture
def world(tmp_path: Path) -> RecoveryWorld:
    """Filled and saved. The journal remembers nothing from one run to the next."""
    return saved_world(tmp_path)


def lost(world: RecoveryWorld, saved: int = 1) -> Restored:
    """Gone, what is settled or replaced forgotten, and restored."""
    world.trim_all()
    wipe(world)
    done = restore(world.pipeline(), snapshot=str(saved))
    assert world.build(done.generation) == world.derived()
    assert verify(world.pipeline(), "people", method="deep").agreement
    world.trim_all()
    return done


def kept(world: RecoveryWorld) -> tuple[int, list[str]]:
    """Consumers of whom the ledger knows a key, and what is noted of saved states that ledgers cover."""
    with contextlib.closing(sqlite3.connect(world.root / "state" / "ledger.db")) as books:
        (tables,) = books.execute(
            "SELECT count(DISTINCT consumer) FROM "
            "(SELECT consumer FROM ledger UNION ALL SELECT consumer FROM tombstones)"
        ).fetchone()
        noted = books.execute("SELECT value FROM meta WHERE name LIKE 'covered:%'").fetchall()
    return tables, [value for (value,) in noted]


def test_only_what_changed_since_is_derived_each_time(world: RecoveryWorld) -> None:
    world.do("UPDATE users SET email = 'one@example.com' WHERE id = 1", "DELETE FROM users WHERE id = 2")
    world.run()
    assert lost(world).redriven == 2
    world.do("UPDATE users SET email = 'three@example.com' WHERE id = 3", "DELETE FROM users WHERE id = 4")
    world.run()
    done = lost(world)
    assert (done.redriven, done.generation) == (4, 3)
    assert lost(world).redriven == 4
    assert kept(world) == (1, ["[1]"])


def test_an_older_saved_state_is_covered_as_well(world: RecoveryWorld) -> None:
    """What was removed between the two is in the older one, and in no ledger's rows."""
    world.do("DELETE FROM users WHERE id = 2", "UPDATE users SET email = 'x@example.com' WHERE id = 3")
    world.run()
    snapshot(world.pipeline())
    world.do("DELETE FROM users WHERE id = 4")
    world.run()
    assert lost(world, 2).redriven == 1
    world.do("UPDATE users SET email = 'y@example.com' WHERE id = 5")
    world.run()
    assert lost(world, 1).redriven == 4
    assert kept(world) == (1, ["[1]"]), "the newer one is not: from it all would be derived"


def test_a_newer_saved_state_is_not_taken_for_covered(world: RecoveryWorld) -> None:
    """It holds what was written between the two; the ledger of who was restored from the older one may not
    know of it."""
    world.do("UPDATE users SET email = 'there@example.com' WHERE id = 3")
    world.run()
    snapshot(world.pipeline())
    world.do("UPDATE users SET email = 'user3@example.com' WHERE id = 3")
    assert lost(world, 1).redriven == 1
    assert lost(world, 2).redriven is None


def test_saved_states_that_are_pruned_are_not_remembered(world: RecoveryWorld) -> None:
    lost(world)
    snapshot(world.pipeline())
    assert lost(world, 2).redriven == 0
    assert kept(world) == (1, ["[1,2]"])
    assert snapshot(world.pipeline(), keep=1).forgotten == (1,)
    assert lost(world, 3).redriven == 0
    assert kept(world) == (1, ["[2,3]"])
