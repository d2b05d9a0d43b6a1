"""Taking over an index, and moving its readers: what goes wrong between two requests of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lockstep.errors import Declined, SystemError_, TargetReplaced, Unreachable
from lockstep.forms import keys
from lockstep.ports import adopting
from lockstep.systems.opensearch import OpenSearch
from lockstep.systems.opensearch.adopting.foreign import ForeignIndex
from lockstep.systems.opensearch.client import Client
from lockstep.systems.opensearch.writer import IndexWriter
from lockstep.testing.servers import OpenSearchHandle
from lockstep.values import Change, Fingerprint, Meta, Status, version

NAMES = ("", "-g1", "-theirs", "-before-lockstep")


@pytest.fixture
def real(opensearch_server: OpenSearchHandle) -> Iterator[httpx.Client]:
    """The server past Lockstep."""
    with httpx.Client(base_url=opensearch_server.url, timeout=30) as client:
        yield client


class Place:
    """An index of others, found by an alias as `name`, and the writer of generation 1."""

    def __init__(self, real: httpx.Client, name: str, writer: IndexWriter) -> None:
        self.real, self.name, self.writer = real, name, writer
        self.theirs = f"{name}-theirs"
        free = {"properties": {"free": {"type": "object", "enabled": False}}}
        body = {"settings": {"number_of_replicas": 0}, "mappings": free, "aliases": {name: {}}}
        real.put(f"/{self.theirs}", json=body).raise_for_status()
        for found in ("1", "2"):
            self.put(found, {"free": {"n": 1}}).raise_for_status()

    @property
    def foreign(self) -> ForeignIndex:
        return self.writer.foreign()

    def put(self, found: str, document: dict[str, Any]) -> httpx.Response:
        return self.real.put(f"/{self.theirs}/_doc/{found}?refresh=true", json=document)

    def adopt(self) -> None:
        """As `adopt` does where nothing is equal."""
        foreign = self.foreign
        foreign.leave(adopting("m", "people"))
        assert foreign.carry_over(_nothing, _never)
        foreign.leave("m")

    def change(self, found: str, record: dict[str, Any] | None, at: int) -> Change:
        key = keys.encode((found,))
        return Change(key, record, Meta("m", key, Fingerprint(1), 2, version(1, at)))

    def move(self) -> list[str]:
        return list(self.foreign.move().steps(_nothing, _never))

    def ours(self) -> dict[str, Any]:
        self.real.post(f"/{self.name}-g1/_refresh").raise_for_status()
        hits = self.real.get(f"/{self.name}-g1/_search").json()["hits"]["hits"]
        return {hit["_id"]: hit["_source"] for hit in hits}


@pytest.fixture
def place(real: httpx.Client, opensearch_server: OpenSearchHandle) -> Iterator[Place]:
    name = f"moving-{uuid4().hex[:12]}"
    with contextlib.closing(OpenSearch(opensearch_server.url).index(name).open(1)) as writer:
        assert isinstance(writer, IndexWriter)
        yield Place(real, name, writer)
    for ending in NAMES:
        real.delete(f"/{name}{ending}?ignore_unavailable=true")


def _nothing(_: int) -> None: ...


def _never() -> bool:
    return False


def _before(monkeypatch: pytest.MonkeyPatch, method: str, path: str, do: Callable[[], object]) -> None:
    """Has something done by others just before the next such request is sent."""
    ask, done = Client.ask, list[object]()

    def asked(client: Client, by: str, to: str, *rest: Any, **named: Any) -> Any:
        if not done and by == method and path in to:
            done.append(do())
        return ask(client, by, to, *rest, **named)

    monkeypatch.setattr(Client, "ask", asked)


def test_the_alias_for_writing_goes_while_documents_are_copied(place: Place) -> None:
    foreign = place.foreign
    foreign.leave(adopting("m", "people"))
    place.real.delete(f"/{place.name}-g1/_alias/{place.name}-g1-WRITE").raise_for_status()
    with pytest.raises(TargetReplaced):
        foreign.carry_over(_nothing, _never)


def test_a_later_edit_is_copied_also_where_python_takes_it_for_the_same(place: Place) -> None:
    place.adopt()
    place.put("1", {"free": {"n": True}}).raise_for_status()
    place.put("2", {"free": {"n": 1.0}}).raise_for_status()
    assert place.move()[-1] == "moved"
    assert {found: repr(one["free"]["n"]) for found, one in place.ours().items()} == {"1": "True", "2": "1.0"}


def test_the_old_index_goes_just_before_readers_are_moved(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.adopt()
    _before(monkeypatch, "POST", "/_aliases", lambda: place.real.delete(f"/{place.theirs}"))
    with pytest.raises(SystemError_):
        place.move()
    assert place.real.get(f"/{place.name}").status_code == 404, "readers find nothing, and it was said"
    assert place.foreign.readers() == place.theirs, "it is not forgotten that they are to be moved"


def test_readers_were_moved_and_the_answer_was_lost(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.adopt()
    ask = Client.ask

    def asked(client: Client, method: str, path: str, *rest: Any, **named: Any) -> Any:
        answer = ask(client, method, path, *rest, **named)
        if path == "/_aliases":
            raise Unreachable("cut", "wait")
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(Client, "ask", asked)
        with pytest.raises(Unreachable, match="cut"):
            place.move()
    assert list(place.real.get(f"/{place.name}").json()) == [f"{place.name}-g1"]
    assert place.put("3", {"n": 3}).status_code == 403, "nobody writes where nobody reads"
    assert place.move() == []
    assert place.foreign.readers() is None


def test_a_block_that_the_shards_did_not_confirm(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes may be under way then: what they write would be lost."""
    place.adopt()
    ask = Client.ask

    def asked(client: Client, method: str, path: str, *rest: Any, **named: Any) -> Any:
        answer = ask(client, method, path, *rest, **named)
        if path.endswith("/_block/write"):
            assert answer["shards_acknowledged"] is True
            return {**answer, "shards_acknowledged": False}
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(Client, "ask", asked)
        with pytest.raises(Unreachable, match="writes"):
            place.move()
    assert list(place.real.get(f"/{place.name}").json()) == [place.theirs]
    assert place.put("3", {"n": 3}).status_code == 201, "writers go on as before"
    assert place.move()[-1] == "moved"
    assert set(place.ours()) == {"1", "2", "3"}


def test_what_was_removed_since_stays_so_when_another_mapping_is_taken_over(place: Place) -> None:
    place.adopt()
    removed = place.change("1", None, 1)
    assert place.writer.write([removed])[0].status in (Status.APPLIED, Status.UNCHANGED)
    place.put("3", {"n": 3})
    place.adopt()
    assert set(place.ours()) == {"2", "3"}


def test_that_readers_were_moved_is_looked_at(place: Place) -> None:
    place.adopt()
    assert place.move()[-1] == "moved"
    assert place.move() == []
    names = {"alias": place.name}
    back = [{"remove": {"index": f"{place.name}-g1", **names}}, {"add": {"index": place.theirs, **names}}]
    place.real.post("/_aliases", json={"actions": back}).raise_for_status()
    with pytest.raises(Declined, match=f"were moved, but find {place.theirs}"):
        place.move()


def test_what_was_read_whole_counts_though_the_cluster_could_not_be_told_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Client.send

    def sent(client: Client, method: str, path: str, *rest: Any, **named: Any) -> Any:
        if (method, path) == ("DELETE", "/_search/scroll"):
            raise Unreachable("cut", "wait")
        return send(client, method, path, *rest, **named)

    monkeypatch.setattr(Client, "send", sent)
    place.adopt()
    assert set(place.ours()) == {"1", "2"}
