"""What is to be taken over is not there, or not any more: that is said, in the words of a run, and nothing is
made anew as if it had never been."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.errors import Declined
from tests.agreement.test_adopt import filled, table_of
from tests.agreement.test_adopt_search import Theirs, killed
from tests.pairs.world import World, document

TABLES = ["sql", "postgres"]


def dropped(world: World) -> None:
    with table_of(world) as (do, name):
        do(f"DROP TABLE {name}")


def gone(world: World) -> None:
    """Both ways to ask say so."""
    for dry_run in (True, False):
        with pytest.raises(ls.TargetReplaced, match="is gone: there is nothing to adopt") as raised:
            ls.adopt(world.pipeline(), "people", dry_run=dry_run)
        assert "lockstep restore" in raised.value.remedy


@pytest.mark.parametrize("world", [*TABLES, "opensearch"], indirect=True)
def test_what_was_never_there_is_absent_and_an_empty_table_holds_nothing(world: World) -> None:
    for dry_run in (True, False):
        assert ls.adopt(world.pipeline(), "people", dry_run=dry_run).outcome == "absent"
    if not world.target.startswith("opensearch"):
        with table_of(world) as (do, name):
            columns = "email TEXT, company TEXT, tags TEXT, threads TEXT"
            do(f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {columns})")
        for dry_run in (True, False):
            assert ls.adopt(world.pipeline(), "people", dry_run=dry_run).outcome == "nothing"
    assert not Path(world.state).exists()


def test_a_table_that_no_run_could_make_is_named_as_check_names_it(tmp_path: Path, postgres_url: str) -> None:
    made = ls.Pipeline("pairs", state=tmp_path / "state")
    there = tmp_path / "out.db"
    target = ls.SQLite(there).table("people", key=("id",))
    made.mapping(ls.Postgres(postgres_url), to=target, name="people")(document)
    for mend in ("Correct the path, or create it", "or declare `columns`"):
        said = [one.problem for one in target.check() if one.blocks]
        for dry_run in (True, False):
            with pytest.raises(Declined) as raised:
                ls.adopt(made, "people", dry_run=dry_run)
            assert said[0] in str(raised.value)
            assert mend in raised.value.remedy
        with contextlib.closing(sqlite3.connect(there)) as out:
            out.execute("CREATE TABLE IF NOT EXISTS another (id INTEGER)")


@pytest.mark.parametrize("world", TABLES, indirect=True)
def test_dropped_after_it_was_taken_over_no_run_makes_it_anew(world: World) -> None:
    filled(world)
    ls.adopt(world.pipeline(), "people")
    dropped(world)
    gone(world)
    with pytest.raises(ls.LockstepError, match="is gone"):
        world.run()
    with table_of(world) as (do, name), pytest.raises(Exception, match=r"no such table|does not exist"):
        do(f"SELECT 1 FROM {name}")


@pytest.mark.parametrize("world", TABLES, indirect=True)
def test_dropped_when_it_was_half_taken_over(world: World) -> None:
    filled(world)
    killed(world, "adopt", "carried")
    dropped(world)
    gone(world)
    ls.backfill(world.pipeline(), "people", rebuild=True)
    world.generation = 2
    world.run()
    assert world.actual() == world.expected()


@pytest.mark.parametrize("world", TABLES, indirect=True)
def test_emptied_when_it_was_half_taken_over_it_is_finished(world: World) -> None:
    filled(world)
    killed(world, "adopt", "carried")
    with table_of(world) as (do, name):
        do(f"DELETE FROM {name}")
    done = ls.adopt(world.pipeline(), "people")
    assert (done.outcome, done.counts) == ("adopted", {"source-only": 60})


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_an_index_of_others_that_vanishes(world: World, theirs: Theirs) -> None:
    theirs.fill(world, alias=True)
    killed(world, "adopt", "written:1")
    theirs.ask("DELETE", f"/{theirs.index}")
    for dry_run in (True, False):
        with pytest.raises(Declined, match=f"{theirs.index} is gone") as raised:
            ls.adopt(world.pipeline(), "people", dry_run=dry_run)
        assert f"DELETE /{theirs.name}-g1" in raised.value.remedy
    theirs.ask("DELETE", f"/{theirs.name}-g1")
    gone(world)
    with pytest.raises(ls.LockstepError, match="is gone"):
        world.run()
    world.generation = ls.deploy(world.pipeline()).generation
    assert world.actual() == world.expected()


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_an_index_of_others_that_vanishes_once_it_is_taken_over(world: World, theirs: Theirs) -> None:
    theirs.fill(world, alias=True)
    ls.adopt(world.pipeline(), "people")
    theirs.ask("DELETE", f"/{theirs.index}")
    with pytest.raises(Declined, match="taken over already"):
        ls.adopt(world.pipeline(), "people", dry_run=True)
    world.run()
    theirs.ask("DELETE", f"/{theirs.name}-g1")
    gone(world)
