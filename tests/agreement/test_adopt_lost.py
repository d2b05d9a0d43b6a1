"""What was made of an index of others is lost before readers were moved to it: it comes back, and they still
can be."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import lockstep as ls
from lockstep.errors import Declined
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
    with pytest.raises(Declined, match="another index has that name") as declined:
        ls.move_readers(world.pipeline(), "people")
    kept = f"{theirs.name}-before-lockstep"
    assert f"DELETE /{kept}" in declined.value.remedy
    theirs.ask("DELETE", f"/{kept}")
    assert ls.move_readers(world.pipeline(), "people").kept == kept
