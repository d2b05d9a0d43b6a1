"""What is left, and told, where taking over an index or moving its readers ends before its end."""

from __future__ import annotations

import json
import threading

import pytest

import lockstep as ls
from lockstep.agreement.report import Progress
from lockstep.operations.opened import existing
from lockstep.testing.http_proxy import HttpProxy
from tests.agreement.test_adopt_search import Theirs, killed
from tests.pairs.world import World


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_stopped_between_two_pages_it_leaves_no_scroll_open(
    world: World, theirs: Theirs, dry_run: bool
) -> None:
    theirs.fill(world, alias=True)
    lines = [line for n in range(2_500) for line in ({"index": {"_id": f"many{n}"}}, {"email": "old"})]
    content = "".join(f"{json.dumps(line)}\n" for line in lines)
    kind = {"content-type": "application/x-ndjson"}
    theirs.http.post(f"/{theirs.index}/_bulk?refresh=true", content=content, headers=kind).raise_for_status()
    stop = threading.Event()

    def seen(progress: Progress) -> None:
        if progress.stage == "target":
            stop.set()

    done = ls.adopt(world.pipeline(), "people", dry_run=dry_run, stop=stop, on_progress=seen)
    assert (done.outcome, done.target_records) == ("interrupted", 1_000)
    left = theirs.ask("GET", f"/{theirs.index}/_stats/search")["_all"]["total"]["search"]
    assert (left["scroll_total"] > 0, left["open_contexts"], left["scroll_current"]) == (True, 0, 0)


def one_written_again(world: World, theirs: Theirs) -> None:
    """Two records went with their sources, and others have written one of them again in their index."""
    theirs.fill(world, alias=True)
    ls.adopt(world.pipeline(), "people")
    world.do("DELETE FROM users WHERE id IN (10, 11)")
    world.run()
    theirs.put("11", {"email": "written again"})
    theirs.ask("POST", f"/{theirs.index}/_refresh")


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_what_is_back_is_counted_as_it_stands_also_when_asked_again(world: World, theirs: Theirs) -> None:
    one_written_again(world, theirs)
    killed(world, "move_readers", "moving:2")
    moved = ls.move_readers(world.pipeline(), "people")
    assert (moved.outcome, moved.returned) == ("moved", 1)


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_moved_is_told_though_the_target_does_not_answer_afterwards(world: World, theirs: Theirs) -> None:
    one_written_again(world, theirs)
    kind, url, name = world.target.split("|")
    with HttpProxy(url) as proxy:

        def gone(path: str, body: bytes) -> tuple[int, bytes] | None:
            switched = any(b"must_exist" in one for one in proxy.bodies("/_aliases"))
            return (403, b"{}") if switched and "_mget" in path else None

        proxy.before = gone
        world.target = f"{kind}|{proxy.url}|{name}"
        moved = ls.move_readers(world.pipeline(), "people")
    world.target = f"{kind}|{url}|{name}"
    assert (moved.outcome, moved.returned) == ("moved", None)
    with existing(world.pipeline()) as store:
        told = [one.text for one in store.events.since(0.0) if "had readers of" in one.text]
    assert len(told) == 1
    assert ls.move_readers(world.pipeline(), "people").outcome == "already"
