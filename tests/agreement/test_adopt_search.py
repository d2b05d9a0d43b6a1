"""An index that others have filled is taken over beside, value for value; readers are moved when asked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any

import httpx
import pytest

import lockstep as ls
from lockstep.errors import Declined
from tests.pairs.world import World

FOUND = {"equal": 55, "different": 2, "source-only": 3, "target-only": 2}
SERVERS = ["opensearch", "opensearch3", "elasticsearch8", "elasticsearch9"]
FIELDS = {
    "properties": {
        "email": {"type": "keyword", "normalizer": "quiet", "fields": {"raw": {"type": "keyword"}}}
    }
}
QUIET = {"normalizer": {"quiet": {"type": "custom", "filter": ["lowercase"]}}}
KILLED = ("created", "intended:2", "written:1", "settled:2", "carried")


class Theirs:
    """The cluster past Lockstep: an index that somebody filled, found as `name`."""

    def __init__(self, world: World) -> None:
        _, self.url, self.name = world.target.split("|")
        self.http = httpx.Client(base_url=self.url, timeout=60)
        self.index = self.name

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.http.request(method, path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def fill(self, world: World, *, alias: bool) -> None:
        """Most of it right, in its own fields; two differ, three are missing, two are nobody's."""
        self.index = f"{self.name}-theirs" if alias else self.name
        aliases = {f"{self.name}-too": {"filter": {"exists": {"field": "email"}}}}
        if alias:
            aliases[self.name] = {}
        settings = {"number_of_shards": 2, "number_of_replicas": 0, "analysis": QUIET}
        body = {"settings": settings, "mappings": FIELDS, "aliases": aliases}
        self.ask("PUT", f"/{self.index}", body)
        documents = {key: one for key, one in world.expected().items() if key not in ("7", "8", "9")}
        for key in ("5", "6"):
            documents[key] = {**documents[key], "email": "wrong", "weight": 10.0}
        for key in ("900", "901"):
            documents[key] = {"email": "old"}
        for key, one in documents.items():
            self.put(key, one)
        self.ask("POST", f"/{self.index}/_refresh")

    def put(self, key: str, document: dict[str, Any]) -> None:
        self.ask("PUT", f"/{self.index}/_doc/{key}", document)

    def searched(self, name: str | None = None) -> dict[str, Any]:
        """What a reader of the public name finds, without what is Lockstep's."""
        self.ask("POST", f"/{name or self.name}/_refresh")
        found = self.ask("POST", f"/{name or self.name}/_search?size=9999", {"query": {"match_all": {}}})
        return {
            hit["_id"]: {field: value for field, value in hit["_source"].items() if field != "_lockstep"}
            for hit in found["hits"]["hits"]
        }

    def untouched(self) -> list[Any]:
        """All that a write to the index of others would change."""
        found = self.ask(
            "POST", f"/{self.index}/_search?size=9999", {"version": True, "seq_no_primary_term": True}
        )
        hits = sorted(
            (hit["_id"], hit["_version"], hit["_seq_no"], str(hit["_source"]))
            for hit in found["hits"]["hits"]
        )
        return [*hits, self.ask("GET", f"/{self.index}")]

    def close(self) -> None:
        for name in ("", "-g1", "-theirs", "-before-lockstep"):
            self.http.delete(f"/{self.name}{name}?ignore_unavailable=true")
        self.http.close()


class Reading:
    """Somebody who searches all the while. `failed`: what found too little; `busy`: when it was told to come
    again, or that a shard had not answered, which a cluster says while it removes an index."""

    def __init__(self, theirs: Theirs) -> None:
        self._path = f"{theirs.url}/{theirs.name}/_search"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self.searches = 0
        self.failed: list[str] = []
        self.busy: list[float] = []

    def _read(self) -> None:
        with httpx.Client(timeout=30) as http:
            while not self._stop.is_set():
                answer = http.post(self._path, json={"size": 0, "track_total_hits": True})
                self.searches += 1
                shards = answer.json().get("_shards", {"total": 0, "successful": 0})
                if answer.status_code == 503 or shards["successful"] < shards["total"]:
                    self.busy.append(time.monotonic())
                elif answer.status_code != 200 or answer.json()["hits"]["total"]["value"] < 59:
                    self.failed.append(answer.text)

    @property
    def lost(self) -> float:
        """Seconds from the first such answer to the last."""
        return self.busy[-1] - self.busy[0] if self.busy else 0.0

    def __enter__(self) -> Reading:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)


def killed(world: World, verb: str, crash: str) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "LOCKSTEP_CRASH": crash}
    code = (
        "import sys; from pathlib import Path; import lockstep as ls\n"
        "from tests.pairs.world import World\n"
        f"ls.{verb}(World(Path(sys.argv[1]), *sys.argv[2:]).pipeline(), 'people')"
    )
    given = [str(world.root), world.url, world.target]
    ended = subprocess.run([sys.executable, "-c", code, *given], env=environment, timeout=120, check=False)
    assert ended.returncode == -9, crash


def kinds(report: Any) -> set[tuple[str, str | None]]:
    return {(one.kind, one.target_key or one.key) for one in report.divergences}


def still_elsewhere(world: World) -> list[Any]:
    """What `check` says of readers, and of anything that would stop a run."""
    return [one for one in ls.check(world.pipeline()) if one.blocks or "still find" in one.problem]


@pytest.mark.parametrize("alias", [True, False], ids=["alias", "index"])
@pytest.mark.parametrize("world", SERVERS, indirect=True)
def test_from_the_first_look_until_its_readers_are_moved(world: World, theirs: Theirs, alias: bool) -> None:
    theirs.fill(world, alias=alias)
    before, seen = theirs.untouched(), theirs.searched()
    with pytest.raises(ls.Refused, match="not taken over"):
        ls.move_readers(world.pipeline(), "people")
    plan = ls.adopt(world.pipeline(), "people", dry_run=True)
    assert (plan.outcome, plan.counts, plan.readers) == ("planned", FOUND, None)
    assert theirs.untouched() == before
    done = ls.adopt(world.pipeline(), "people")
    assert (done.outcome, done.counts, done.readers) == ("adopted", FOUND, theirs.index)
    assert theirs.untouched() == before
    assert theirs.searched(f"{theirs.name}-g1") == seen, "value for value"
    world.run()
    for method in ("fast", "deep"):
        report = ls.verify(world.pipeline(), "people", method=method)
        assert report.counts == {"different": 2, "extra": 2}, method
        assert report.target_records == 62, method
    assert kinds(report) == {("different", "5"), ("different", "6"), ("extra", "900"), ("extra", "901")}
    assert theirs.untouched() == before
    (said,) = still_elsewhere(world)
    assert theirs.index in said.problem
    assert not said.blocks

    world.do("DELETE FROM users WHERE id IN (10, 11)")
    world.run()
    theirs.put("11", {"email": "written again"})
    theirs.put("5", {"email": "WRONGER"})
    theirs.put("902", {"email": "new"})
    theirs.put("20", {"email": "nonsense"})
    theirs.ask("DELETE", f"/{theirs.index}/_doc/901")
    wanted = theirs.searched(f"{theirs.name}-g1") | {
        "5": {"email": "WRONGER"},
        "11": {"email": "written again"},
        "902": {"email": "new"},
    }
    del wanted["901"]
    last = theirs.searched()
    planned = ls.move_readers(world.pipeline(), "people", dry_run=True)
    with Reading(theirs) as reading:
        moved = ls.move_readers(world.pipeline(), "people")
    assert (planned.outcome, moved.outcome, moved.before) == ("planned", "moved", theirs.index)
    assert (moved.carried, moved.removed, moved.returned) == (3, 1, 1)
    assert reading.failed == []
    assert reading.busy == [] if alias else reading.lost < 1
    assert reading.searches > 1
    assert theirs.searched() == wanted, "10 is not back, 20 is what the source says"
    assert moved.kept
    assert theirs.searched(moved.kept) == last
    refused = theirs.http.put(f"/{moved.kept}/_doc/1", json={})
    assert "block" in refused.text
    aliases = theirs.ask("GET", f"/{theirs.name}-g1/_alias")[f"{theirs.name}-g1"]["aliases"]
    assert (f"{theirs.name}-too" in aliases) is not alias
    assert (
        theirs.ask("POST", f"/{theirs.name}/_count", {"query": {"term": {"email": "wronger"}}})["count"] == 1
    )
    assert still_elsewhere(world) == []
    assert ls.move_readers(world.pipeline(), "people").outcome == "already"
    with pytest.raises(ls.Refused, match="taken over already"):
        ls.adopt(world.pipeline(), "people")
    deep = ls.verify(world.pipeline(), "people", method="deep")
    extras = {("extra", key) for key in ("11", "900", "902")}
    assert kinds(deep) == {("different", "5"), ("different", "6"), *extras}
    ls.repair(world.pipeline(), "people")
    world.run()
    assert theirs.searched() == world.expected() | {
        "11": {"email": "written again"},
        "900": {"email": "old"},
        "902": {"email": "new"},
    }


@pytest.mark.parametrize(
    ("world", "alias"), [("opensearch", True), ("elasticsearch9", False)], indirect=["world"]
)
def test_killed_at_any_moment_it_goes_on(world: World, theirs: Theirs, alias: bool) -> None:
    world.do("INSERT INTO users SELECT i, 1, 'many' || i FROM generate_series(1000, 3499) i")
    theirs.fill(world, alias=alias)
    before, seen = theirs.untouched(), theirs.searched()
    for crash in KILLED:
        killed(world, "adopt", crash)
        with pytest.raises(ls.Refused, match="half taken over"):
            world.run()
        with pytest.raises(ls.Refused, match="half taken over"):
            ls.move_readers(world.pipeline(), "people")
    assert ls.adopt(world.pipeline(), "people").counts == {**FOUND, "equal": 2555}
    assert theirs.untouched() == before
    assert theirs.searched(f"{theirs.name}-g1") == seen
    steps = ("moving:1", "moving:2", *([] if alias else ["moving:3"]), f"moving:{3 if alias else 4}")
    for crash in steps:
        killed(world, "move_readers", crash)
        assert theirs.searched() == seen
    assert ls.move_readers(world.pipeline(), "people").outcome == "already"
    assert still_elsewhere(world) == []
    world.run()
    assert set(theirs.searched()) == set(world.expected()) | {"900", "901"}


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_broken_off_readers_and_writers_go_on_as_before(world: World, theirs: Theirs) -> None:
    theirs.fill(world, alias=True)
    ls.adopt(world.pipeline(), "people")
    seen, stop = theirs.searched(), threading.Event()
    stop.set()
    assert ls.move_readers(world.pipeline(), "people", stop=stop).outcome == "interrupted"
    theirs.put("903", {"email": "still"})
    assert theirs.searched() == seen | {"903": {"email": "still"}}
    for ask in (
        lambda: ls.deploy(world.pipeline()),
        lambda: ls.backfill(world.pipeline(), "people", rebuild=True),
    ):
        with pytest.raises(Declined, match="still find") as declined:
            ask()
        assert "move-readers people" in declined.value.remedy
    theirs.ask("POST", "/_aliases", {"actions": [{"remove": {"index": theirs.index, "alias": theirs.name}}]})
    with pytest.raises(Declined, match="but find nothing"):
        ls.move_readers(world.pipeline(), "people")
    said = [one for one in ls.check(world.pipeline()) if "find nothing" in one.problem]
    assert [(theirs.index in one.mend, one.blocks) for one in said] == [(True, False)]


@pytest.mark.parametrize("world", ["opensearch", "elasticsearch9"], indirect=True)
def test_what_cannot_be_taken_over_is_refused_before_anything_is_made(world: World, theirs: Theirs) -> None:
    theirs.fill(world, alias=True)
    theirs.ask("PUT", f"/{theirs.index}/_doc/routed?routing=a&refresh=true", {"email": "x"})
    with pytest.raises(Declined, match="a routing of their own"):
        ls.adopt(world.pipeline(), "people")
    theirs.ask("DELETE", f"/{theirs.index}/_doc/routed?routing=a&refresh=true")
    theirs.ask("PUT", f"/{theirs.name}-before-lockstep", {"aliases": {theirs.name: {}}})
    with pytest.raises(Declined, match="several indices"):
        ls.adopt(world.pipeline(), "people")
    theirs.ask("DELETE", f"/{theirs.name}-before-lockstep")
    theirs.ask("PUT", f"/{theirs.name}-g1")
    with pytest.raises(Declined, match="not Lockstep's"):
        ls.adopt(world.pipeline(), "people", dry_run=True)
    assert "Take it over" in ls.check(world.pipeline())[0].mend
