"""A bad network and a busy cluster: a proxy in front of the real OpenSearch that misbehaves on request."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from uuid import uuid4

import httpx
import pytest

from lockstep.errors import Refused, Unreachable
from lockstep.ports import Target, Writer
from lockstep.systems.opensearch import OpenSearch, SearchIndex
from lockstep.testing.http_proxy import Fault, HttpProxy
from lockstep.testing.servers import OpenSearchHandle
from lockstep.values import Change, Fingerprint, Meta, Outcome, Status, version


@pytest.fixture
def between(opensearch_server: OpenSearchHandle) -> Iterator[HttpProxy]:
    with HttpProxy(opensearch_server.url) as between:
        yield between


@pytest.fixture
def target(between: HttpProxy, opensearch_server: OpenSearchHandle) -> Iterator[SearchIndex]:
    name = f"faults-{uuid4().hex[:12]}"
    yield OpenSearch(between.url).index(name, settings={"number_of_replicas": 0}, largest_request=2000)
    httpx.delete(f"{opensearch_server.url}/{name}-g1?ignore_unavailable=true", timeout=30)


@pytest.fixture
def writer(target: SearchIndex) -> Iterator[Writer]:
    with contextlib.closing(target.open(1)) as writer:
        writer.create("marker")
        yield writer


def changes(target: Target, count: int, size: int = 10) -> list[Change]:
    """About 200 bytes each, so that a request of 2,000 holds some."""
    found = []
    for n in range(count):
        key = target.key((f"{n:03d}",))
        record = {"text": "x" * size}
        found.append(Change(key, record, Meta("m", key, Fingerprint(1), 1, version(1, 1))))
    return found


def statuses(outcomes: list[Outcome]) -> list[str]:
    return [outcome.status.value for outcome in outcomes]


def marks(body: bytes) -> list[str]:
    """The ids in a bulk request."""
    return [json.loads(line)["index"]["_id"] for line in body.splitlines()[::2]]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cut_leaves_the_items_of_that_request_unknown(
    target: SearchIndex, writer: Writer, between: HttpProxy, when: str
) -> None:
    """Cut after the server has worked: it holds what nobody could report. That is what unknown means."""
    cuts = iter([None, Fault.CUT])

    def rule(path: str, body: bytes) -> tuple[int, bytes] | Fault | None:
        return next(cuts, None) if "/_bulk" in path else None

    setattr(between, when, rule)
    sent = changes(target, 40)
    outcomes = writer.write(sent)
    lost = set(marks(between.bodies("_bulk")[1]))
    assert len(between.bodies("_bulk")) > 2
    assert len(lost) > 1
    for one, outcome in zip(sent, outcomes, strict=True):
        missed = one.meta.key[1:-1].decode() in lost
        assert outcome.status is (Status.UNKNOWN if missed else Status.APPLIED)
        assert bool(outcome.reason) == missed
    assert len(writer.scan(None, 50)) == (40 if when == "after" else 40 - len(lost))
    assert set(statuses(writer.write(sent))) == {"applied"}


def test_nothing_sent_is_unreachable_and_something_sent_is_not(target: SearchIndex, writer: Writer) -> None:
    gone = OpenSearch("http://127.0.0.1:1").index("users").open(1)
    with contextlib.closing(gone), pytest.raises(Unreachable) as raised:
        gone.write(changes(target, 3))
    assert raised.value.remedy


def test_what_the_server_finds_too_large_is_cut_further(
    target: SearchIndex, writer: Writer, between: HttpProxy
) -> None:
    """As behind a proxy that takes less than we think."""

    def rule(path: str, body: bytes) -> tuple[int, bytes] | Fault | None:
        return (413, b"<html>too large</html>") if "/_bulk" in path and len(body) > 700 else None

    between.before = rule
    sent = changes(target, 11)
    sent[4] = changes(target, 5, size=1000)[4]
    outcomes = writer.write(sent)
    assert statuses(outcomes) == [*["applied"] * 4, "rejected", *["applied"] * 6]
    assert "bytes" in str(outcomes[4].reason)
    assert len(writer.scan(None, 50)) == 10
    assert len(between.bodies("_bulk")) > 3


def test_one_document_that_refuses_the_whole_request(
    target: SearchIndex, writer: Writer, between: HttpProxy
) -> None:
    error = b'{"error":{"type":"action_request_validation_exception","reason":"not this one"},"status":400}'
    between.before = lambda path, body: (400, error) if b'"003"' in body and "_bulk" in path else None
    outcomes = writer.write(changes(target, 6))
    assert statuses(outcomes) == [*["applied"] * 3, "rejected", *["applied"] * 2]
    assert "not this one" in str(outcomes[3].reason)


def test_a_server_that_refuses_every_request_is_not_asked_for_ever(
    target: SearchIndex, writer: Writer, between: HttpProxy
) -> None:
    between.before = lambda path, _: (400, b'{"error":"no"}') if "_bulk" in path else None
    wide = OpenSearch(between.url).index(target.index)
    with contextlib.closing(wide.open(1)) as one, pytest.raises(Refused):
        one.write(changes(target, 400))
    assert len(between.bodies("_bulk")) < 50


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"<html>Sign in</html>", b'{"errors":false,"items":[]}', b'{"acknowledged":true}', b"null", b"[]"],
)
def test_200_with_rubbish_is_never_applied(
    target: SearchIndex, writer: Writer, between: HttpProxy, rubbish: bytes
) -> None:
    between.before = lambda *_: (200, rubbish)
    outcomes = writer.write(changes(target, 3))
    assert statuses(outcomes) == ["unknown"] * 3
    assert "something else" in str(outcomes[0].reason)
    with pytest.raises((Unreachable, Refused)):
        writer.scan(None, 5)
    with pytest.raises((Unreachable, Refused)):
        writer.read([target.key(("001",))])
    for ask in (writer.identity, writer.contents):
        with pytest.raises(Unreachable):
            ask()
    assert any(one.blocks for one in target.check())


def test_a_request_that_broke_inside_the_cluster_is_unknown(
    target: SearchIndex, writer: Writer, between: HttpProxy
) -> None:
    between.before = lambda path, _: (500, b"broken") if "_bulk" in path else None
    assert statuses(writer.write(changes(target, 3))) == ["unknown"] * 3
    assert len(between.bodies("_bulk")) == 1, "it is the engine's to find out whose fault it is"


@pytest.mark.parametrize("status", [401, 403])
def test_no_credentials_is_refused(
    target: SearchIndex, writer: Writer, between: HttpProxy, status: int
) -> None:
    between.before = lambda *_: (status, b"Unauthorized")
    for act in (
        lambda: writer.write(changes(target, 1)),
        writer.identity,
        writer.contents,
        lambda: writer.scan(None, 1),
        lambda: writer.read([target.key(("1",))]),
    ):
        with pytest.raises(Refused) as raised:
            act()
        assert raised.value.remedy
    assert any(one.blocks for one in target.check())


@pytest.mark.parametrize("fault", [Fault.CUT, (503, b""), (429, b"{}")], ids=["cut", "503", "429"])
def test_reading_is_tried_again(
    target: SearchIndex, writer: Writer, between: HttpProxy, fault: tuple[int, bytes] | Fault
) -> None:
    writer.write(changes(target, 2))
    faults = iter([fault, fault])
    between.before = lambda *_: next(faults, None)
    assert len(writer.scan(None, 5)) == 2
    faults = iter([fault])
    assert writer.identity() is not None
    faults = iter([fault])
    assert len(writer.read([one.key for one in changes(target, 2)])) == 2
    between.before = lambda *_: fault
    with pytest.raises(Unreachable):
        writer.scan(None, 5)


def test_a_failed_refresh_is_made_up_for(target: SearchIndex, writer: Writer, between: HttpProxy) -> None:
    first, *others = changes(target, 3)
    writer.write([first])
    assert len(writer.scan(None, 1)) == 1
    writer.write(others)
    failed = b'{"_shards":{"total":1,"successful":0,"failed":1}}'
    between.before = lambda path, _: (200, failed) if "_refresh" in path else None
    for act in (writer.contents, lambda: writer.scan(first.key, 5)):
        with pytest.raises(Unreachable):
            act()
    between.before = None
    assert len(writer.scan(first.key, 5)) == 2


def test_half_an_answer_from_the_shards_is_none(
    target: SearchIndex, writer: Writer, between: HttpProxy
) -> None:
    answer = {"timed_out": False, "_shards": {"failed": 1}, "hits": {"total": {"value": 0}, "hits": []}}
    between.before = lambda path, _: (200, json.dumps(answer).encode()) if "_search" in path else None
    with pytest.raises(Unreachable):
        writer.scan(None, 5)


def test_no_answer_in_time_is_unknown_though_it_was_applied(
    target: SearchIndex, writer: Writer, between: HttpProxy
) -> None:
    impatient = OpenSearch(between.url, timeout=1).index(target.index)
    between.after = lambda path, _: Fault.STALL if "_bulk" in path else None
    with contextlib.closing(impatient.open(1)) as other:
        outcomes = other.write(changes(target, 3))
    assert statuses(outcomes) == ["unknown"] * 3
    assert "did not answer in full" in str(outcomes[0].reason)
    between.after = None
    assert len(writer.scan(None, 5)) == 3
    assert statuses(writer.write(changes(target, 3))) == ["applied"] * 3
