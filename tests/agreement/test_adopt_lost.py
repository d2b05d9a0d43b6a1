"""What was made of an index of others is lost before readers were moved to it: it comes back, and they still
can be. Also where the first build still stands, so that two were made of what readers find."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import lockstep as ls
from lockstep.errors import Declined
from lockstep.operations.opened import existing
from lockstep.ports import Generational, Restorable
from tests.agreement.test_adopt_search import Theirs, killed, still_elsewhere
from tests.pairs.conftest import SEARCH
from tests.pairs.world import SCHEMA, World


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path, postgres_url: str) -> Iterator[World]:
    """One whose target has a place for saved states."""
    kind, fixture = SEARCH[request.param]
    server = request.getfixturevalue(fixture)
    name = f"people_{uuid.uuid4().hex[:8]}"
    made = World(tmp_path, postgres_url, f"{kind}|{server.url}|{name}|{server.snapshots}/{name}")
    made.do(*SCHEMA.strip().rstrip(";").split(";"))
    yield made
    httpx.delete(f"{server.url}/{name}*?expand_wildcards=all", timeout=30)


@pytest.fixture
def theirs(world: World) -> Iterator[Theirs]:
    made = Theirs(World(world.root, world.url, world.target.rpartition("|")[0]))
    yield made
    made.close()


def refused(world: World, *, mend: str) -> None:
    """Nothing that would end at the public name is begun."""
    for ask in (
        lambda: ls.deploy(world.pipeline()),
        lambda: ls.backfill(world.pipeline(), "people", rebuild=True),
        lambda: ls.move_readers(world.pipeline(), "people"),
    ):
        with pytest.raises(Declined, match="is gone") as declined:
            ask()
        assert mend in declined.value.remedy


def read(theirs: Theirs) -> str:
    """The index that a reader finds."""
    (found,) = theirs.ask("GET", f"/{theirs.name}")
    return str(found)


def saved(world: World, theirs: Theirs, *, alias: bool) -> None:
    """It is taken over, and saved."""
    theirs.fill(world, alias=alias)
    ls.adopt(world.pipeline(), "people")
    world.run()
    ls.snapshot(world.pipeline(), "people")


@pytest.mark.parametrize(
    ("world", "alias"), [("opensearch", False), ("elasticsearch9", True)], indirect=["world"]
)
def test_from_a_saved_state(world: World, theirs: Theirs, alias: bool) -> None:
    theirs.fill(world, alias=alias)
    ls.adopt(world.pipeline(), "people")
    world.run()
    ls.snapshot(world.pipeline(), "people")
    world.do("UPDATE users SET email = 'later@example.com' WHERE id = 12", "DELETE FROM users WHERE id = 10")
    world.run()
    theirs.put("902", {"email": "new"})
    theirs.ask("POST", f"/{theirs.index}/_refresh")
    before = theirs.untouched()
    theirs.ask("DELETE", f"/{theirs.name}-g1")
    refused(world, mend="lockstep restore")
    done = ls.restore(world.pipeline(), "people")
    assert (done.live, done.generation) == (True, 2)
    assert theirs.untouched() == before, "readers and writers go on as before"
    (said,) = still_elsewhere(world)
    assert f"still find the index {theirs.index}" in said.problem
    assert f"{theirs.name}-g2" in said.problem
    world.do("UPDATE users SET email = 'latest@example.com' WHERE id = 13")
    world.run()
    moved = ls.move_readers(world.pipeline(), "people")
    assert (moved.outcome, moved.carried) == ("moved", 1)
    strangers = {"900": {"email": "old"}, "901": {"email": "old"}, "902": {"email": "new"}}
    assert theirs.searched() == world.expected() | strangers
    assert still_elsewhere(world) == []
    assert ls.move_readers(world.pipeline(), "people").outcome == "already"


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_without_a_saved_state_it_is_taken_over_again(world: World, theirs: Theirs) -> None:
    theirs.fill(world, alias=True)
    ls.adopt(world.pipeline(), "people")
    world.run()
    world.do("UPDATE users SET email = 'later@example.com' WHERE id = 12")
    world.run()
    theirs.ask("DELETE", f"/{theirs.name}-g1")
    refused(world, mend="lockstep adopt people")
    again = ls.adopt(world.pipeline(), "people")
    assert (again.outcome, again.readers) == ("adopted", theirs.index)
    assert again.counts == {"equal": 54, "different": 3, "source-only": 3, "target-only": 2}
    world.run()
    deep = ls.verify(world.pipeline(), "people", method="deep")
    assert {(one.kind, one.target_key or one.key) for one in deep.divergences} == {
        ("different", "5"),
        ("different", "6"),
        ("different", "12"),
        ("extra", "900"),
        ("extra", "901"),
    }
    assert ls.move_readers(world.pipeline(), "people").outcome == "moved"


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_nothing_is_begun_in_its_place_where_nothing_can_be_taken_over(world: World, theirs: Theirs) -> None:
    theirs.fill(world, alias=True)
    ls.adopt(world.pipeline(), "people")
    world.run()
    before = books(world)
    theirs.ask("DELETE", f"/{theirs.name}-g1")
    theirs.ask("PUT", f"/{theirs.index}/_doc/routed?routing=a&refresh=true", {"email": "x"})
    with pytest.raises(Declined, match="a routing of their own"):
        ls.adopt(world.pipeline(), "people")
    assert books(world) == before
    everything: dict[str, Any] = {"query": {"match_all": {}}}
    theirs.ask("POST", f"/{theirs.index}/_delete_by_query?refresh=true", everything)
    assert ls.adopt(world.pipeline(), "people", dry_run=True).outcome == "nothing"
    assert ls.adopt(world.pipeline(), "people").outcome == "nothing"
    assert books(world) == before, "the ledger of what is gone is not given up for nothing"


def books(world: World) -> tuple[int, int]:
    """Which generation is the live one, and how many keys its ledger knows."""
    target = world.pipeline().named("people").target.name
    with existing(world.pipeline()) as store:
        consumer = store.generations.consumer("people", target)
        assert consumer is not None
        return consumer.number, store.ledger.count(consumer.id)


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_broken_off_after_the_old_index_was_cloned_it_is_finished(world: World, theirs: Theirs) -> None:
    theirs.fill(world, alias=False)
    ls.adopt(world.pipeline(), "people")
    killed(world, "move_readers", "moving:3")
    kept = f"{theirs.name}-before-lockstep"
    assert theirs.searched(kept) == theirs.searched()
    said = [one for one in ls.check(world.pipeline()) if "takes no writes" in one.problem]
    assert [("move-readers" in one.mend, one.blocks) for one in said] == [(True, False)]
    theirs.ask("PUT", f"/{theirs.name}/_settings", {"index.blocks.write": None})
    theirs.put("903", {"email": "meanwhile"})
    theirs.ask("POST", f"/{theirs.name}/_refresh")
    last = theirs.searched()
    moved = ls.move_readers(world.pipeline(), "people")
    assert (moved.outcome, moved.kept, moved.carried) == ("moved", kept, 1)
    assert theirs.searched(kept) == last
    assert theirs.searched()["903"] == {"email": "meanwhile"}


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_a_clone_that_nobody_remembers_is_not_removed_but_named(world: World, theirs: Theirs) -> None:
    theirs.fill(world, alias=False)
    ls.adopt(world.pipeline(), "people")
    world.run()
    ls.snapshot(world.pipeline(), "people")
    killed(world, "move_readers", "moving:3")
    theirs.ask("DELETE", f"/{theirs.name}-g1")
    assert ls.restore(world.pipeline(), "people").live
    (said,) = still_elsewhere(world)
    assert "takes no writes" in said.problem
    assert f'PUT /{theirs.name}/_settings {{"index.blocks.write": null}}' in said.mend
    with pytest.raises(Declined, match="another index has that name") as declined:
        ls.move_readers(world.pipeline(), "people")
    kept = f"{theirs.name}-before-lockstep"
    assert f"DELETE /{kept}" in declined.value.remedy
    theirs.ask("DELETE", f"/{kept}")
    assert ls.move_readers(world.pipeline(), "people").kept == kept


@pytest.mark.parametrize(
    ("world", "alias"), [("opensearch", True), ("opensearch", False)], indirect=["world"]
)
def test_one_that_was_emptied_comes_back_and_readers_stay(world: World, theirs: Theirs, alias: bool) -> None:
    saved(world, theirs, alias=alias)
    theirs.put("902", {"email": "new"})
    theirs.ask("POST", f"/{theirs.index}/_refresh")
    before = theirs.untouched()
    everything: dict[str, Any] = {"query": {"match_all": {}}}
    theirs.ask("POST", f"/{theirs.name}-g1/_delete_by_query?refresh=true", everything)
    done = ls.restore(world.pipeline(), "people")
    assert (done.live, done.generation) == (True, 2)
    assert read(theirs) == theirs.index
    assert theirs.untouched() == before
    (said,) = still_elsewhere(world)
    assert f"{theirs.name}-g2" in said.problem
    with pytest.raises(Declined, match="still find"):
        ls.deploy(world.pipeline())
    moved = ls.move_readers(world.pipeline(), "people")
    assert (moved.outcome, moved.carried, read(theirs)) == ("moved", 1, f"{theirs.name}-g2")
    strangers = {"900": {"email": "old"}, "901": {"email": "old"}, "902": {"email": "new"}}
    assert theirs.searched() == world.expected() | strangers
    assert still_elsewhere(world) == []


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_moved_to_the_second_a_rollback_leads_to_the_first(world: World, theirs: Theirs) -> None:
    saved(world, theirs, alias=False)
    assert ls.restore(world.pipeline(), "people", replace=True).generation == 2
    assert read(theirs) == theirs.name
    ls.move_readers(world.pipeline(), "people")
    assert (read(theirs), still_elsewhere(world)) == (f"{theirs.name}-g2", [])
    assert ls.rollback(world.pipeline(), "people").generation == 1
    assert (read(theirs), still_elsewhere(world)) == (f"{theirs.name}-g1", [])


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_where_readers_find_another_index_the_books_stay_as_they_are(world: World, theirs: Theirs) -> None:
    saved(world, theirs, alias=False)
    ls.restore(world.pipeline(), "people", replace=True)
    kept = ls.move_readers(world.pipeline(), "people").kept
    there = {"index": f"{theirs.name}-g2", "alias": theirs.name}
    other = {"index": kept, "alias": theirs.name}
    theirs.ask("POST", "/_aliases", {"actions": [{"remove": there}, {"add": other}]})
    with pytest.raises(ls.Refused, match="not Lockstep's"):
        ls.rollback(world.pipeline(), "people")
    with existing(world.pipeline()) as store:
        target = world.pipeline().named("people").target.name
        assert [one.number for one in store.builds.of(target, "live")] == [2]
        assert store.builds.pointing(target) is None
    theirs.ask("POST", "/_aliases", {"actions": [{"remove": other}, {"add": there}]})
    assert ls.rollback(world.pipeline(), "people").generation == 1


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_moved_to_the_first_the_second_can_take_its_place(world: World, theirs: Theirs) -> None:
    saved(world, theirs, alias=True)
    assert not ls.restore(world.pipeline(), "people", beside=True).live
    ls.move_readers(world.pipeline(), "people")
    assert read(theirs) == f"{theirs.name}-g1"
    done = ls.restore(world.pipeline(), "people", replace=True)
    assert (done.generation, read(theirs)) == (2, f"{theirs.name}-g2")
    assert still_elsewhere(world) == []
    assert ls.deploy(world.pipeline()).generation == 3
    assert read(theirs) == f"{theirs.name}-g3"


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_a_block_that_came_after_the_saved_moment_is_not_lifted(world: World, theirs: Theirs) -> None:
    theirs.fill(world, alias=True)
    ls.adopt(world.pipeline(), "people")
    world.run()
    killed(world, "move_readers", "moving:1")
    ls.snapshot(world.pipeline(), "people")
    theirs.ask("DELETE", f"/{theirs.name}-g1")
    assert ls.restore(world.pipeline(), "people").live
    stop = threading.Event()
    stop.set()
    assert ls.move_readers(world.pipeline(), "people", stop=stop).outcome == "interrupted"
    refused = theirs.http.put(f"/{theirs.index}/_doc/1", json={})
    assert "block" in refused.text, "nobody knows by now whose it is"
    assert ls.move_readers(world.pipeline(), "people").outcome == "moved"


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_what_a_rehearsal_left_says_nothing_of_readers(world: World, theirs: Theirs) -> None:
    saved(world, theirs, alias=True)
    target = world.pipeline().named("people").target
    assert isinstance(target, Restorable)
    assert isinstance(target, Generational)
    with contextlib.closing(target.repository()) as repository:
        repository.restore(repository.saved()[-1].name, 0, "rehearsal")
    (said,) = still_elsewhere(world)
    assert f"taken over into {theirs.name}-g1" in said.problem
    assert target.searched() is None
    target.point(1)
    assert read(theirs) == theirs.index
    ls.move_readers(world.pipeline(), "people")
    assert (target.searched(), still_elsewhere(world)) == (1, [])
