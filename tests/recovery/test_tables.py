"""A table as the target: it has one build, which a restore replaces where it stands."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lockstep.agreement.report import Progress
from lockstep.engine.holds.target_watch import TargetWatch
from lockstep.errors import Refused, TargetReplaced
from lockstep.operations.verify import verify
from lockstep.ports import Target
from lockstep.recovery.drill import drill
from lockstep.recovery.restore import restore
from lockstep.recovery.snapshot import snapshot
from lockstep.systems.postgres import Postgres
from lockstep.systems.sqlite import SQLite
from tests.recovery.world import USERS, RecoveryWorld, soon
from tests.support.world import PEOPLE

COLUMNS = {name: {"JSON": "jsonb"}.get(type_, type_) for name, type_ in PEOPLE.items()}


class TablesWorld(RecoveryWorld):
    """`url` is of a PostgreSQL database, or None: then the target is a SQLite file."""

    def __init__(self, root: Path, url: str | None) -> None:
        self.url = url
        super().__init__(root)

    def target(self) -> Target:
        saved = self.root / "saved"
        if self.url is None:
            return SQLite(self.out, snapshots=saved).table("people", columns=PEOPLE)
        return Postgres(self.url, snapshots=saved).table("people", columns=COLUMNS)

    def copy(self, code: str) -> TablesWorld:
        made = TablesWorld(self.root, self.url)
        made.code = code
        return made

    def ask(self, *statements: str) -> list[tuple[Any, ...]]:
        """Edits the target behind Lockstep's back; the rows of the last statement."""
        found: list[tuple[Any, ...]] = []
        if self.url is None:
            with contextlib.closing(sqlite3.connect(self.out)) as connection, connection:
                for statement in statements:
                    found = connection.execute(statement).fetchall()
            return found
        with psycopg.connect(self.url) as server:
            for statement in statements:
                cursor = server.execute(statement.encode())
                found = cursor.fetchall() if cursor.description else []
        return found

    def tables(self) -> int:
        """How many tables the target has."""
        where = "sqlite_master" if self.url is None else "pg_class"
        named = "name" if self.url is None else "relname"
        kind = (
            "type = 'table'"
            if self.url is None
            else "relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        ((count,),) = self.ask(f"SELECT count(*) FROM {where} WHERE {kind} AND {named} NOT LIKE 'sqlite%'")
        return int(count)


WIPES = {
    "emptied": "DELETE FROM people",
    "half emptied": "DELETE FROM people WHERE id > 50",
    "dropped": "DROP TABLE people",
    "overwritten": "UPDATE people SET email = 'healed'",
}


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> TablesWorld:
    """Filled, saved, and gone on since."""
    url = None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    made = TablesWorld(tmp_path, url)
    made.fill()
    made.run()
    snapshot(made.pipeline())
    made.do(
        "UPDATE users SET email = 'since@example.com' WHERE id = 1",
        "DELETE FROM users WHERE id = 2",
        "INSERT INTO users (id, company_id, email) VALUES (1000, 1, 'new@example.com')",
    )
    made.run()
    return made


@pytest.mark.parametrize("wipe", WIPES)
def test_what_was_lost_comes_back_and_what_changed_since_is_derived(world: TablesWorld, wipe: str) -> None:
    world.ask(WIPES[wipe])
    if wipe == "dropped":
        with pytest.raises(TargetReplaced):
            world.run()
    done = restore(world.pipeline(), replace=wipe == "overwritten")
    assert (done.records, done.redriven, done.live) == (USERS, 3, True)
    assert world.build(1) == world.derived()
    world.do("UPDATE users SET email = 'later@example.com' WHERE id = 3")
    world.run()
    assert world.build(1) == world.derived()
    assert verify(world.pipeline(), "people", method="deep").agreement
    assert verify(world.pipeline(), "people").agreement


def test_a_run_notices_and_goes_on_after_the_restore(world: TablesWorld) -> None:
    with world.running():
        world.ask("DROP TABLE people")
        soon(lambda: world.holds() == ["target-gone"], within=6.0)
        world.do("UPDATE users SET email = 'meanwhile@example.com' WHERE id = 6")
        restore(world.copy("1").pipeline())
        world.do("UPDATE users SET email = 'after@example.com' WHERE id = 7")
        soon(lambda: world.build(1)[7]["email"] == "after@example.com")
    assert world.build(1) == world.derived()


def test_a_table_that_a_write_finds_missing_is_gone(
    world: TablesWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looked before it."""
    monkeypatch.setattr(TargetWatch, "due", property(lambda watch: False))
    with world.running():
        world.ask("DROP TABLE people")
        world.do("UPDATE users SET email = 'meanwhile@example.com' WHERE id = 6")
        soon(world.holds)
        assert world.holds() == ["target-gone"]


def test_a_run_does_not_take_a_restore_of_ours_for_somebody_elses(world: TablesWorld) -> None:
    """It looks, sees another build in its table, and waits in silence for what becomes of it."""
    seen: list[str] = []

    def look(now: Progress) -> None:
        if now.stage == "filling" and not seen:
            soon(world.waiting)
            seen.extend(world.waiting())

    with world.running():
        restore(world.copy("1").pipeline(), replace=True, on_progress=look)
        world.do("UPDATE users SET email = 'after@example.com' WHERE id = 7")
        soon(lambda: world.build(1)[7]["email"] == "after@example.com")
    assert len(seen) == 1
    assert seen[0].startswith("another build takes its place")
    assert world.happened("target") == []
    assert world.build(1) == world.derived()


def test_a_run_says_when_a_restore_was_broken_off(world: TablesWorld) -> None:
    with world.running():
        assert world.killed(_replace, "build-restored")
        soon(lambda: world.holds() == ["target-replaced"])
        with world.state() as store:
            (hold,) = store.holds.all()
        assert "a restore that was broken off" in hold.reason
        restore(world.copy("1").pipeline(), replace=True)
        world.do("UPDATE users SET email = 'after@example.com' WHERE id = 7")
        soon(lambda: world.build(1)[7]["email"] == "after@example.com")
    assert world.build(1) == world.derived()


def test_a_rehearsal_leaves_nothing_and_the_table_is_not_touched(world: TablesWorld) -> None:
    before = world.tables()
    world.ask(
        "ALTER TABLE people RENAME COLUMN threads TO thread",
        "ALTER TABLE people RENAME COLUMN thread TO threads",
    )
    done = drill(world.pipeline())
    assert (done.records, done.redriven) == (USERS, 3)
    assert world.tables() == before
    world.run()
    assert world.build(1) == world.derived()
    world.ask("ALTER TABLE people ADD COLUMN more TEXT")
    with pytest.raises(Refused, match="more is new"):
        drill(world.pipeline())
    assert world.tables() == before


@pytest.mark.parametrize(
    "point", ["build-begun", "build-restored", "build-hinted", "build-filled", "build-live"]
)
def test_a_restore_that_is_killed_goes_on(world: TablesWorld, point: str) -> None:
    world.ask("DELETE FROM people")
    assert world.killed(_restore, point)
    if point == "build-live":
        world.run()
    else:
        restore(world.pipeline())
    assert world.build(1) == world.derived()
    world.run()
    assert verify(world.pipeline(), "people", method="deep").agreement


def test_what_was_redriven_before_a_crash_is_not_undone(world: TablesWorld) -> None:
    world.ask("DELETE FROM people")
    assert world.killed(_restore, "build-filled")
    assert world.build(1) == world.derived()
    restore(world.pipeline())
    assert world.build(1) == world.derived()
    with world.state() as store:
        verdicts = [one.verdict for one in store.reports.newest("people", 10)]
    assert verdicts == ["agreement"], "there was nothing to mend"


def test_emptied_again_while_it_is_restored(world: TablesWorld) -> None:
    world.ask("DELETE FROM people")
    assert world.killed(_restore, "build-hinted")
    world.ask("DELETE FROM people WHERE id > 50")
    done = restore(world.pipeline())
    assert (done.redriven, done.generation) == (3, 3), "begun anew: the saved rows are needed once more"
    assert world.build(1) == world.derived()


def test_what_is_well_is_not_overwritten(world: TablesWorld) -> None:
    with pytest.raises(Refused, match="holds what it should"):
        restore(world.pipeline())
    with pytest.raises(Refused, match="one build only"):
        restore(world.pipeline(), beside=True)


def _replace(world: RecoveryWorld) -> object:
    return restore(world.pipeline(), replace=True)


def _restore(world: RecoveryWorld) -> object:
    return restore(world.pipeline())
