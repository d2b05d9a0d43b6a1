"""Scans of a real OpenSearch that also holds documents Lockstep did not write."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from uuid import uuid4

import httpx
import pytest

from lockstep.errors import DataError, Refused, Unreachable
from lockstep.ports import SummingWriter, Writer
from lockstep.systems.opensearch import OpenSearch, SearchIndex, scan
from lockstep.systems.opensearch import walk as everything
from lockstep.testing.servers import OpenSearchHandle
from lockstep.values import EVERYTHING, Change, Fingerprint, Held, Meta, version


@pytest.fixture
def real(opensearch_server: OpenSearchHandle) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=opensearch_server.url, timeout=60) as client:
        yield client


@pytest.fixture
def target(real: httpx.Client, opensearch_server: OpenSearchHandle) -> Iterator[SearchIndex]:
    name = f"scan-{uuid4().hex[:12]}"
    settings = {"number_of_replicas": 0, "number_of_shards": 3, "refresh_interval": "1h"}
    yield OpenSearch(opensearch_server.url).index(name, settings=settings)
    real.delete(f"/{name}-g1?ignore_unavailable=true")


@pytest.fixture
def writer(target: SearchIndex) -> Iterator[Writer]:
    with contextlib.closing(target.open(1)) as writer:
        writer.create("marker")
        yield writer


def plant(real: httpx.Client, target: SearchIndex, ids: Sequence[str]) -> None:
    lines = "".join(f'{{"index":{{"_id":{json.dumps(one)}}}}}\n{{"theirs":true}}\n' for one in ids)
    answer = real.post(
        f"/{target.index}-g1/_bulk", content=lines, headers={"content-type": "application/x-ndjson"}
    )
    assert answer.json()["errors"] is False


def ours(target: SearchIndex, writer: Writer, ids: Sequence[str]) -> None:
    changes = []
    for one in ids:
        key = target.key((one,))
        changes.append(Change(key, {"ours": True}, Meta("m", key, Fingerprint(1), 1, version(1, 1))))
    writer.write(changes)


def walk(writer: Writer, size: int) -> list[Held]:
    seen: list[Held] = []
    while page := writer.scan(seen[-1].key if seen else None, size):
        seen += page
        if len(page) < size:
            break
    return seen


DELETED = {"query": {"ids": {"values": ["t2", "t3", "t4"]}}}
IDS = [*(f"{n:04d}" for n in range(200)), "a\0b", "a", "a\x01", "é", "z", "\uffff", "\U0001f600", "A|b", '"']


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
@pytest.mark.parametrize("many", [10_000, 0], ids=["merged", "sorted by the server"])
def test_theirs_come_at_their_place(
    target: SearchIndex,
    writer: Writer,
    real: httpx.Client,
    size: int,
    many: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scan, "MOST_FOREIGN", many)
    monkeypatch.setattr(scan, "_PAGE", 20)
    ids = IDS if size > 1 else IDS[195:]
    ours(target, writer, ids[::2])
    plant(real, target, ids[1::2])
    seen = walk(writer, size)
    assert [held.key for held in seen] == sorted(target.key((one,)) for one in ids)
    mine = {target.key((one,)) for one in ids[::2]}
    assert all((held.meta is not None) == (held.key in mine) for held in seen)
    assert all(held.record == ({"ours": True} if held.key in mine else {"theirs": True}) for held in seen)


def test_more_than_ten_thousand_of_theirs(target: SearchIndex, writer: Writer, real: httpx.Client) -> None:
    ids = [f"t{n:05d}" for n in range(10_050)]
    plant(real, target, ids)
    ours(target, writer, ["t00000x", "zz"])
    seen = walk(writer, 4000)
    assert [held.key for held in seen] == sorted(target.key((one,)) for one in [*ids, "t00000x", "zz"])


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_copy_of_ours_is_named_and_never_missed(
    target: SearchIndex, writer: Writer, real: httpx.Client, size: int
) -> None:
    ours(target, writer, ["a", "b", "c", "d"])
    source = real.get(f"/{target.index}-g1/_source/b").json()
    for copy in ("0", "b0", "zz"):
        path = f"/{target.index}-g1/_doc/{copy}"
        real.put(path, json=source).raise_for_status()
        with pytest.raises(DataError, match=repr(copy)) as raised:
            walk(writer, size)
        assert path in raised.value.remedy
        real.delete(path).raise_for_status()
        assert len(walk(writer, size)) == 4


def test_theirs_that_go_or_become_ours_during_a_walk(
    target: SearchIndex, writer: Writer, real: httpx.Client
) -> None:
    plant(real, target, [f"t{n}" for n in range(9)])
    seen = writer.scan(None, 2)
    real.post(f"/{target.index}-g1/_delete_by_query?refresh=true", json=DELETED).raise_for_status()
    with contextlib.closing(target.open(1)) as other:
        ours(target, other, ["t5"])
        other.contents()
    while page := writer.scan(seen[-1].key, 2):
        seen += page
    assert [held.key for held in seen] == [target.key((f"t{n}",)) for n in (0, 1, 5, 6, 7, 8)]
    assert [held.meta is not None for held in seen] == [False, False, True, False, False, False]


def test_a_walk_is_refreshed_once(target: SearchIndex, writer: Writer, real: httpx.Client) -> None:
    def refreshes() -> int:
        found = real.get(f"/{target.index}-g1/_stats/refresh").json()
        return int(found["_all"]["primaries"]["refresh"]["external_total"])

    ours(target, writer, [f"{n:04d}" for n in range(100)])
    before = refreshes()
    assert len(walk(writer, 9)) == 100
    assert refreshes() - before == 3, "one for each of three shards"
    ours(target, writer, ["zz"])
    assert [held.key for held in writer.scan(target.key(("0098",)), 5)] == [
        target.key((one,)) for one in ("0099", "zz")
    ]


def test_a_reading_left_half_way_is_forgotten_without_the_client(
    real: httpx.Client, target: SearchIndex, writer: Writer
) -> None:
    """A process that ends closes the client first; what was being read is left to the cluster."""
    ours(target, writer, [str(one) for one in range(3)])
    real.post(f"/{target.index}-g1/_refresh")
    client = target.system.connect()
    pages = everything.pages(
        client, f"{target.index}-g1", {"query": {"match_all": {}}}, "preference=lockstep"
    )
    assert len(next(pages)) == 3
    client.close()
    pages.close()


def test_a_part_that_is_nowhere_is_never_taken_for_an_empty_one(
    target: SearchIndex, writer: Writer, real: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    _short_of_one(real, f"{target.index}-g1")
    monkeypatch.setattr(scan.Scanner, "refresh", lambda _: None)  # it waits a minute for the part
    said = real.post(f"/{target.index}-g1/_search", json={}).json()["_shards"]
    assert (said["total"], said["successful"], said["failed"]) == (3, 2, 0), "answered in part, unasked"
    assert isinstance(writer, SummingWriter)
    reads: dict[str, Callable[[], object]] = {
        "scan": lambda: writer.scan(None, 1000),
        "contents": writer.contents,
        "sums": lambda: writer.sums("m", []),
        "marks": lambda: list(writer.marks("m", EVERYTHING)),
        "strangers": lambda: writer.strangers(["m"], 10),
    }
    answered = set()
    for name, read in reads.items():
        with contextlib.suppress(Unreachable):
            read()
            answered.add(name)
    assert answered == set()


def _short_of_one(real: httpx.Client, index: str) -> None:
    """The same index once more, where its node may have two of its three shards."""
    mappings = real.get(f"/{index}").json()[index]["mappings"]
    real.delete(f"/{index}")
    settings = {
        "number_of_shards": 3,
        "number_of_replicas": 0,
        "routing.allocation.total_shards_per_node": 2,
    }
    body = {"mappings": mappings, "settings": {"index": settings}}
    made = real.put(f"/{index}?wait_for_active_shards=0", json=body)
    assert made.status_code == 200, made.text
    while [one["state"] for one in real.get(f"/_cat/shards/{index}?format=json").json()].count("STARTED") < 2:
        time.sleep(0.05)


def test_an_index_that_somebody_closed_is_named_with_the_call_that_opens_it(
    real: httpx.Client, target: SearchIndex, writer: Writer
) -> None:
    assert isinstance(writer, SummingWriter)
    ours(target, writer, ["a"])
    assert real.post(f"/{target.index}-g1/_close").status_code == 200
    key = target.key(("a",))
    for ask in (lambda: walk(writer, 10), lambda: writer.sums("m", []), lambda: writer.read([key])):
        with pytest.raises(Refused, match=f"index {target.index}-g1 is closed") as told:
            ask()
        assert told.value.remedy == f"Open it: POST /{target.index}-g1/_open"
