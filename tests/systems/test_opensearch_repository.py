"""Snapshot repositories as they are found: missing, another's, shared, busy; restores cut off anywhere."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lockstep.errors import DeclarationError, LockstepError, Refused, TargetReplaced, Unreachable
from lockstep.ports import Repository
from lockstep.systems.opensearch import OpenSearch, SearchIndex
from lockstep.testing.http_proxy import Fault, HttpProxy, Request
from lockstep.testing.servers import OpenSearchHandle
from lockstep.testing.writer_hooks import change, write
from lockstep.values import Held, version

BUSY = (
    b'{"error": {"type": "concurrent_snapshot_execution_exception", "reason": "in the way"}, "status": 503}'
)


class World:
    """An index with a few records on the real server, behind a proxy that can be told to misbehave."""

    def __init__(self, handle: OpenSearchHandle, proxy: HttpProxy, real: httpx.Client) -> None:
        self.name = f"kept-{uuid4().hex[:10]}"
        self.real, self.proxy = real, proxy
        self.location = str(Path(handle.snapshots, self.name))
        self.declared: dict[str, Any] = {
            "name": self.name,
            "type": "fs",
            "settings": {"location": self.location},
        }

    def target(self, snapshots: Any = ...) -> SearchIndex:
        declared = self.declared if snapshots is ... else snapshots
        return OpenSearch(self.proxy.url, snapshots=declared).index(
            self.name, settings={"number_of_replicas": 0}
        )

    def fill(self, generation: int = 1, count: int = 10, text: str = "record") -> list[Held]:
        """Makes a build of records with this text; all that it holds."""
        target = self.target()
        with contextlib.closing(target.open(generation)) as writer:
            if writer.identity() is None:
                writer.create(f"marker {generation}")
            at = version(len(text), 1)
            write(writer, *(change(target.key((f"k{n}",)), {"text": text}, at) for n in range(count)))
            return writer.scan(None, 1000)

    def held(self, generation: int) -> list[Held]:
        with contextlib.closing(self.target().open(generation)) as writer:
            return writer.scan(None, 1000)

    def marker(self, generation: int) -> str | None:
        with contextlib.closing(self.target().open(generation)) as writer:
            identity = writer.identity()
            return identity.marker if identity else None

    def put(self, path: str, body: Any) -> None:
        self.real.put(path, json=body).raise_for_status()

    def snapshots(self) -> list[str]:
        answer = self.real.get(f"/_snapshot/{self.name}/_all").json()
        return [one["snapshot"] for one in answer["snapshots"]]


@pytest.fixture
def world(opensearch_server: OpenSearchHandle) -> Iterator[World]:
    with (
        httpx.Client(base_url=opensearch_server.url, timeout=30) as real,
        HttpProxy(opensearch_server.url) as proxy,
    ):
        world = World(opensearch_server, proxy, real)
        yield world
        names = ",".join(f"{world.name}-g{n}" for n in range(5))
        real.delete(f"/{names},{world.name}-theirs?ignore_unavailable=true")
        real.delete(f"/_snapshot/{world.name}")


@pytest.fixture
def repository(world: World) -> Iterator[Repository]:
    with contextlib.closing(world.target().repository()) as repository:
        yield repository


# what is declared, and what is there


def test_without_a_place_it_is_said_how_to_declare_one(world: World) -> None:
    with pytest.raises(DeclarationError) as error:
        world.target(None).repository()
    assert "snapshots=" in error.value.remedy


@pytest.mark.parametrize(
    "snapshots",
    ["", "_all", "a b", 7, {"settings": {}}, {"type": "fs", "settings": 3}, {"type": "fs", "location": "/x"}],
)
def test_a_place_that_is_none_is_an_error_at_once(snapshots: Any) -> None:
    with pytest.raises(DeclarationError):
        OpenSearch("http://localhost:1", snapshots=snapshots)


def test_a_repository_that_nobody_registered_is_named_with_how_to(world: World) -> None:
    world.fill()
    with contextlib.closing(world.target(f"{world.name}-none").repository()) as repository:
        for ask in (
            lambda: repository.save(1, "one"),
            repository.saved,
            lambda: repository.restore("one", 2, "m"),
        ):
            with pytest.raises(Refused, match="no snapshot repository") as refused:
                ask()
            assert "PUT /_snapshot/" in refused.value.remedy
            assert "path.repo" in refused.value.remedy


def test_check_says_whether_it_is_there_and_can_be_used(world: World) -> None:
    (missing,) = world.target(world.name).check()
    assert f"no snapshot repository {world.name}" in missing.problem
    assert f"PUT /_snapshot/{world.name}" in missing.mend
    (unregistered,) = world.target().check()
    assert "not registered yet" in unregistered.problem
    assert world.real.get(f"/_snapshot/{world.name}").status_code == 404, "check registers nothing"
    assert not missing.blocks
    assert not unregistered.blocks
    world.put(f"/_snapshot/{world.name}", {"type": "fs", "settings": {"location": world.location}})
    assert world.target(world.name).check() == []
    assert world.target().check() == []
    shutil.rmtree(world.location)
    Path(world.location).write_text("a file stands where the directory was")
    for target in (world.target(), world.target(world.name)):
        (unusable,) = target.check()
        assert "its state cannot be saved" in unusable.problem
        assert f"POST /_snapshot/{world.name}/_verify" in unusable.mend
        assert not unusable.blocks
    Path(world.location).unlink()


def test_a_registered_one_is_used_by_its_name(world: World) -> None:
    held = world.fill()
    world.put(f"/_snapshot/{world.name}", {"type": "fs", "settings": {"location": world.location}})
    with contextlib.closing(world.target(world.name).repository()) as repository:
        repository.save(1, "one")
        repository.restore("one", 2, "back")
    assert world.held(2) == held


def test_a_place_that_the_cluster_does_not_allow_is_said(world: World) -> None:
    world.fill()
    world.declared["settings"] = {"location": "/nowhere/else"}
    with contextlib.closing(world.target().repository()) as repository, pytest.raises(Refused) as refused:
        repository.save(1, "one")
    assert "path.repo" in refused.value.remedy


def test_a_type_that_the_cluster_lacks_is_said(world: World) -> None:
    world.declared["type"] = "s3"
    with contextlib.closing(world.target().repository()) as repository, pytest.raises(Refused) as refused:
        repository.saved()
    assert "repository-s3" in refused.value.remedy


def test_another_repository_of_that_name_is_left_as_it_is(world: World) -> None:
    theirs = {"type": "fs", "settings": {"location": f"{world.location}-theirs"}}
    world.put(f"/_snapshot/{world.name}", theirs)
    with contextlib.closing(world.target().repository()) as repository, pytest.raises(Refused) as refused:
        repository.saved()
    assert world.location in str(refused.value)
    assert world.real.get(f"/_snapshot/{world.name}").json()[world.name] == theirs


def test_a_place_that_may_only_be_read_can_be_restored_from(world: World) -> None:
    held = world.fill()
    with contextlib.closing(world.target().repository()) as repository:
        saved = repository.save(1, "one")
    readonly = {"type": "fs", "settings": {"location": world.location, "readonly": "true"}}
    world.put(f"/_snapshot/{world.name}", readonly)
    with contextlib.closing(world.target(world.name).repository()) as repository:
        with pytest.raises(Refused, match="only be read"):
            repository.save(1, "two")
        assert repository.saved() == [saved]
        repository.restore("one", 2, "back")
    assert world.held(2) == held


def test_what_others_keep_there_is_not_touched(world: World, repository: Repository) -> None:
    world.fill()
    ours = repository.save(1, "one")
    body = {"indices": f"{world.name}-g1", "include_global_state": False}
    for name in ("nightly", f"lockstep-{world.name}", f"lockstep-{world.name}-x.two"):
        world.real.put(f"/_snapshot/{world.name}/{name}?wait_for_completion=true", json=body)
    assert repository.saved() == [ours]
    for name in ("nightly", "x.two", "two"):
        with contextlib.suppress(Refused):
            repository.forget(name)
    for name in ("*", "_all", "one,two", "../one", ""):
        with pytest.raises(Refused):
            repository.forget(name)
    assert len(world.snapshots()) == 4
    repository.forget("one")
    assert len(world.snapshots()) == 3


# saved, whatever happens on the way


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.HALF])
def test_a_save_whose_beginning_nobody_heard_of_is_found_begun(
    world: World, repository: Repository, fault: Fault
) -> None:
    world.fill()
    repository.saved()
    spoilt: list[str] = []

    def spoil(path: str, body: bytes) -> Fault | None:
        if b'"partial"' in body and not spoilt:
            spoilt.append(path)
            return fault
        return None

    world.proxy.after = spoil
    saved = repository.save(1, "one")
    assert spoilt, "the fault was made"
    assert repository.saved() == [saved]
    assert len([one for one in world.proxy.requests if b'"partial"' in one.body]) == 1


def test_another_snapshot_in_the_way_is_waited_for(world: World, repository: Repository) -> None:
    world.fill()
    answers = [(503, BUSY)] * 3
    world.proxy.before = lambda path, body: answers.pop() if b'"partial"' in body and answers else None
    assert repository.save(1, "one").name == "one"
    assert answers == []
    answers += [(503, BUSY)] * 3
    deleting = [True]
    world.proxy.before = lambda path, body: answers.pop() if deleting and answers else None
    repository.forget("one")
    assert answers == []
    assert repository.saved() == []


def test_a_half_made_one_is_made_anew(world: World, repository: Repository) -> None:
    """Whatever lies under the name and is not whole is not what was asked for."""
    held = world.fill()
    repository.saved()
    world.put(
        f"/{world.name}-theirs?wait_for_active_shards=0",
        {"settings": {"index.routing.allocation.include._name": "nobody", "number_of_replicas": 0}},
    )
    world.real.put(
        f"/_snapshot/{world.name}/lockstep-{world.name}.one?wait_for_completion=true",
        json={"indices": f"{world.name}-g1,{world.name}-theirs", "partial": True},
    )
    assert repository.saved() == [], "a partial one is not whole"
    assert "not whole" in str(repository.damage("one"))
    with pytest.raises(Refused):
        repository.restore("one", 2, "back")
    saved = repository.save(1, "one")
    assert repository.saved() == [saved]
    repository.restore("one", 2, "back")
    assert world.held(2) == held


def test_a_closed_index_and_a_red_one_are_said(world: World, repository: Repository) -> None:
    world.fill()
    world.real.post(f"/{world.name}-g1/_close").raise_for_status()
    with pytest.raises(Refused, match="closed") as refused:
        repository.save(1, "one")
    assert "_open" in refused.value.remedy
    world.real.delete(f"/{world.name}-g1").raise_for_status()
    unassigned = {"index.routing.allocation.include._name": "nobody", "number_of_replicas": 0}
    marked = {"_meta": {"lockstep": {"marker": "m", "format": 1}}}
    body = {"settings": unassigned, "mappings": marked}
    world.put(f"/{world.name}-g1?wait_for_active_shards=0", body)
    with pytest.raises(Unreachable, match="red"):
        repository.save(1, "one")
    assert repository.saved() == []


# restored, whatever happens on the way


def is_step(step: str, request: Request) -> bool:
    """Whether a request is this step of a restore."""
    body = request.body.decode(errors="replace")
    return {
        "begin": request.path.partition("?")[0].endswith("_restore"),
        "note": request.path.endswith("_mapping") and '"restoring"' in body,
        "mark": request.path.endswith("_mapping") and '"restoring"' not in body,
        "open": request.path.endswith("/_aliases"),
    }[step]


STEPS = ("begin", "note", "open", "mark")


def break_off(world: World, step: str, *, done: bool) -> None:
    """Begins a restore of `one` into generation 2 that gets no further than this step, `done` or not."""

    def no(path: str, body: bytes) -> tuple[int, bytes] | None:
        return (403, b"{}") if is_step(step, Request("", path, body)) else None

    world.proxy.before, world.proxy.after = (None, no) if done else (no, None)
    with contextlib.closing(world.target().repository()) as repository, pytest.raises(LockstepError):
        repository.restore("one", 2, "ours")
    world.proxy.before = world.proxy.after = None


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("done", [False, True])
def test_a_restore_that_was_broken_off_goes_on(
    world: World, repository: Repository, step: str, done: bool
) -> None:
    held = world.fill()
    repository.save(1, "one")
    break_off(world, step, done=done)
    assert world.marker(1) == "marker 1"
    assert repository.restore("one", 2, "ours").marker == "ours"
    assert world.held(2) == held
    with contextlib.closing(world.target().open(2)) as writer:
        write(writer, change(world.target().key(("new",)), {"text": "new"}, version(9, 9)))


@pytest.mark.parametrize("step", STEPS)
def test_a_restore_that_was_broken_off_may_take_another_saved_state(
    world: World, repository: Repository, step: str
) -> None:
    world.fill()
    repository.save(1, "one")
    later = world.fill(text="a longer text")
    repository.save(1, "two")
    break_off(world, step, done=True)
    if step == "mark":  # whole: it is a build like any other by now
        world.target().remove(2, "ours")
    repository.restore("two", 2, "ours")
    assert world.held(2) == later


@pytest.mark.parametrize("step", STEPS)
def test_what_a_broken_off_restore_left_is_removed_by_its_marker(
    world: World, repository: Repository, step: str
) -> None:
    world.fill()
    repository.save(1, "one")
    break_off(world, step, done=True)
    if step != "begin":
        with pytest.raises(Refused):
            world.target().remove(2, "theirs")
        with pytest.raises(Refused):
            repository.restore("one", 2, "theirs")
    if step != "mark":
        assert world.marker(2) != "ours", "nobody takes it for whole"
    if step in ("note", "open"):
        with pytest.raises(TargetReplaced):
            world.target().point(2)
    world.target().remove(2, "ours")
    assert world.marker(2) is None
    assert world.real.head(f"/{world.name}-g2").status_code == 404


def test_a_block_of_the_saved_moment_does_not_come_back(world: World, repository: Repository) -> None:
    world.fill()
    world.put(f"/{world.name}-g1/_settings", {"index.blocks.write": True})
    repository.save(1, "one")
    repository.restore("one", 2, "back")
    with contextlib.closing(world.target().open(2)) as writer:
        write(writer, change(world.target().key(("new",)), {"text": "new"}, version(9, 9)))


# the public alias


def test_what_is_set_on_the_alias_goes_with_it(world: World) -> None:
    world.fill()
    world.fill(2)
    rule = {"index": f"{world.name}-g1", "alias": world.name, "filter": {"term": {"text": "nothing"}}}
    world.real.post("/_aliases", json={"actions": [{"add": rule}]}).raise_for_status()
    world.target().point(2)
    found = world.real.get(f"/_alias/{world.name}").json()
    assert found == {
        f"{world.name}-g2": {"aliases": {world.name: {"filter": rule["filter"], "is_write_index": True}}}
    }


def test_an_alias_that_leads_to_another_index_is_left_alone(world: World) -> None:
    world.put(f"/{world.name}-theirs", {"aliases": {world.name: {}}})
    body = {"mappings": {"_meta": {"lockstep": {"marker": "m", "format": 1}}}}
    world.put(f"/{world.name}-g2", body)
    for ask in (world.target().searched, lambda: world.target().point(2)):
        with pytest.raises(Refused, match="not Lockstep's") as refused:
            ask()
        assert "_alias" in refused.value.remedy
    assert list(world.real.get(f"/_alias/{world.name}").json()) == [f"{world.name}-theirs"]


def test_an_alias_that_leads_to_two_builds_is_said_and_mended_by_pointing(world: World) -> None:
    world.fill()
    world.fill(2)
    add = {"index": f"{world.name}-g2", "alias": world.name}
    world.real.post("/_aliases", json={"actions": [{"add": add}]}).raise_for_status()
    with pytest.raises(Refused, match="no single generation"):
        world.target().searched()
    world.target().point(2)
    assert world.target().searched() == 2
    assert list(world.real.get(f"/_alias/{world.name}").json()) == [f"{world.name}-g2"]
