"""A cluster that is too busy: for whole requests, for items of them, for a while, and for good."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from lockstep.errors import Unreachable
from lockstep.systems.opensearch import OpenSearch, SearchIndex
from lockstep.systems.opensearch.pace import Pace
from lockstep.systems.opensearch.writer import IndexWriter
from lockstep.testing.http_proxy import HttpProxy
from lockstep.testing.servers import OpenSearchHandle
from lockstep.values import Change, Fingerprint, Meta, Outcome, Status, version

APPLIED = Outcome(Status.APPLIED)
BUSY = {"status": 429, "error": {"type": "rejected_execution_exception", "reason": "queue is full"}}


@pytest.fixture
def between(opensearch_server: OpenSearchHandle) -> Iterator[HttpProxy]:
    with HttpProxy(opensearch_server.url) as between:
        yield between


@pytest.fixture
def target(between: HttpProxy, opensearch_server: OpenSearchHandle) -> Iterator[SearchIndex]:
    name = f"busy-{uuid4().hex[:12]}"
    yield OpenSearch(between.url).index(name, settings={"number_of_replicas": 0})
    httpx.delete(f"{opensearch_server.url}/{name}-g1?ignore_unavailable=true", timeout=30)


@pytest.fixture
def writer(target: SearchIndex) -> Iterator[IndexWriter]:
    with contextlib.closing(target.open(1)) as writer:
        writer.create("marker")
        yield writer


def change(target: SearchIndex, number: int, record: dict[str, object] | None) -> Change:
    key = target.key((f"{number:03d}",))
    return Change(key, record, Meta("m", key, Fingerprint(1), 1, version(1, 1)))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_storm_is_waited_out_more_and_more_slowly(
    target: SearchIndex, writer: IndexWriter, between: HttpProxy, status: int
) -> None:
    waits: list[float] = []
    writer._pace = Pace(1 << 20, waits.append)
    storm = iter(range(6))
    between.before = lambda path, _: (
        (status, b"{}") if "_bulk" in path and next(storm, None) is not None else None
    )
    assert writer.write([change(target, n, {"n": n}) for n in range(100)]) == [APPLIED] * 100
    assert len(writer.scan(None, 200)) == 100
    assert len(waits) == 6
    assert all(later > 1.2 * earlier for earlier, later in itertools.pairwise(waits[:5])), waits
    assert writer._pace.size < 1 << 20, "the next batch is cut into smaller requests"
    for _ in range(30):
        writer.write([change(target, 1, {"n": 1})])
    assert writer._pace.size == 1 << 20, "and larger ones once the cluster has recovered"


def test_a_storm_without_end_is_the_clusters_fault(
    target: SearchIndex, writer: IndexWriter, between: HttpProxy
) -> None:
    """No item gets an outcome, so no key is stuck; and the cluster is not asked without a pause."""
    writer._pace = Pace(1 << 20, patience=1.0)
    full = json.dumps({"error": BUSY["error"], "status": 429}).encode()
    between.before = lambda path, _: (429, full) if "_bulk" in path else None
    with pytest.raises(Unreachable, match="queue is full"):
        writer.write([change(target, n, {"n": n}) for n in range(100)])
    assert len(between.bodies("_bulk")) < 10
    between.before = None
    assert writer.write([change(target, n, {"n": n}) for n in range(100)]) == [APPLIED] * 100


def test_items_that_were_refused_are_sent_again_alone_and_in_order(
    target: SearchIndex, writer: IndexWriter, between: HttpProxy, opensearch_server: OpenSearchHandle
) -> None:
    """The cluster takes every third item and has no room for the others, six times in a row. One key comes
    twice in the batch: what came last must stay last, though its first half was refused."""
    writer._pace = Pace(1 << 20, lambda seconds: None)
    rounds = iter(range(6))

    def some(path: str, body: bytes) -> tuple[int, bytes] | None:
        if "_bulk" not in path or next(rounds, None) is None:
            return None
        lines = body.splitlines(keepends=True)
        places = list(range(len(lines) // 2))
        taken = b"".join(lines[2 * n] + lines[2 * n + 1] for n in places if n % 3 == 2)
        answers: Iterator[object] = iter([])
        if taken:
            said = httpx.post(
                opensearch_server.url + path, content=taken, headers={"content-type": "application/x-ndjson"}
            )
            answers = iter(said.json()["items"])
        items = [next(answers) if n % 3 == 2 else {"index": BUSY} for n in places]
        return 200, json.dumps({"errors": True, "items": items}).encode()

    between.before = some
    sent = [change(target, n // 3 if n < 6 else n, {"n": n}) for n in range(90)]
    assert writer.write(sent) == [APPLIED] * 90
    held = {one.key: one.record for one in writer.scan(None, 200)}
    assert held == {one.key: one.record for one in sent}
    assert held[sent[5].key] == {"n": 5}
    assert next(rounds, None) is None


def test_one_document_too_large_for_the_memory_left_stops_no_other(
    target: SearchIndex, writer: IndexWriter, between: HttpProxy
) -> None:
    """The cluster's breaker answers 429 to it each time, as to a busy moment; alone, it is the document's."""
    writer._pace = Pace(1 << 20, lambda seconds: None, patience=0.2)
    error = {"type": "circuit_breaking_exception", "reason": "[parent] Data too large"}
    answer = json.dumps({"error": error, "status": 429}).encode()
    between.before = lambda path, body: (429, answer) if "_bulk" in path and b'"003"' in body else None
    outcomes = writer.write([change(target, n, {"n": n}) for n in range(20)])
    assert [outcome.status is Status.APPLIED for outcome in outcomes] == [n != 3 for n in range(20)]
    assert outcomes[3].status is Status.UNKNOWN
    assert "Data too large" in str(outcomes[3].reason)
