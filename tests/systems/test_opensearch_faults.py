"""A bad network and a busy cluster: a proxy in front of the real OpenSearch that misbehaves on request."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import httpx
import pytest

from lockstep.errors import Refused, Unreachable
from lockstep.ports import Target, Writer
from lockstep.systems.opensearch import OpenSearch, SearchIndex
from lockstep.testing.servers import OpenSearchHandle
from lockstep.values import Change, Fingerprint, Meta, Outcome, Status, version

CUT = (0, b"")
"""Close the connection instead of an answer."""

Rule = Callable[[str, bytes], tuple[int, bytes] | None]
"""From path and body to what is answered; None lets the request through."""


class Between:
    """Forwards to the real server. `before` may answer instead of it, `after` may change its answer."""

    def __init__(self, real: str) -> None:
        self.before: Rule | None = None
        self.after: Rule | None = None
        self.bulks: list[bytes] = []
        between, upstream = self, httpx.Client(base_url=real, timeout=60)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if "/_bulk" in self.path:
                    between.bulks.append(body)
                answer = between.before(self.path, body) if between.before else None
                if answer is None:
                    kind = self.headers.get("content-type") or "application/json"
                    said = upstream.request(
                        self.command, self.path, content=body, headers={"content-type": kind}
                    )
                    changed = between.after(self.path, body) if between.after else None
                    answer = changed or (said.status_code, said.content)
                if answer == CUT:
                    self.close_connection = True
                    return
                self.send_response(answer[0])
                self.send_header("content-length", str(len(answer[1])))
                self.end_headers()
                self.wfile.write(answer[1])

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _handle

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._upstream = upstream
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._upstream.close()


@pytest.fixture
def between(opensearch_server: OpenSearchHandle) -> Iterator[Between]:
    with contextlib.closing(Between(opensearch_server.url)) as between:
        yield between


@pytest.fixture
def target(between: Between, opensearch_server: OpenSearchHandle) -> Iterator[SearchIndex]:
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
    target: SearchIndex, writer: Writer, between: Between, when: str
) -> None:
    """Cut after the server has worked: it holds what nobody could report. That is what unknown means."""
    cuts = iter([None, CUT])

    def rule(path: str, body: bytes) -> tuple[int, bytes] | None:
        return next(cuts, None) if "/_bulk" in path else None

    setattr(between, when, rule)
    sent = changes(target, 40)
    outcomes = writer.write(sent)
    lost = set(marks(between.bulks[1]))
    assert len(between.bulks) > 2
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
    target: SearchIndex, writer: Writer, between: Between
) -> None:
    """As behind a proxy that takes less than we think."""

    def rule(path: str, body: bytes) -> tuple[int, bytes] | None:
        return (413, b"<html>too large</html>") if "/_bulk" in path and len(body) > 700 else None

    between.before = rule
    sent = changes(target, 11)
    sent[4] = changes(target, 5, size=1000)[4]
    outcomes = writer.write(sent)
    assert statuses(outcomes) == [*["applied"] * 4, "rejected", *["applied"] * 6]
    assert "bytes" in str(outcomes[4].reason)
    assert len(writer.scan(None, 50)) == 10
    assert len(between.bulks) > 3


def test_one_document_that_refuses_the_whole_request(
    target: SearchIndex, writer: Writer, between: Between
) -> None:
    error = b'{"error":{"type":"action_request_validation_exception","reason":"not this one"},"status":400}'
    between.before = lambda path, body: (400, error) if b'"003"' in body and "_bulk" in path else None
    outcomes = writer.write(changes(target, 6))
    assert statuses(outcomes) == [*["applied"] * 3, "rejected", *["applied"] * 2]
    assert "not this one" in str(outcomes[3].reason)


def test_a_server_that_refuses_every_request_is_not_asked_for_ever(
    target: SearchIndex, writer: Writer, between: Between
) -> None:
    between.before = lambda path, _: (400, b'{"error":"no"}') if "_bulk" in path else None
    wide = OpenSearch(between.url).index(target.index)
    with contextlib.closing(wide.open(1)) as one, pytest.raises(Refused):
        one.write(changes(target, 400))
    assert len(between.bulks) < 50


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"<html>Sign in</html>", b'{"errors":false,"items":[]}', b'{"acknowledged":true}', b"null", b"[]"],
)
def test_200_with_rubbish_is_never_applied(
    target: SearchIndex, writer: Writer, between: Between, rubbish: bytes
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


def test_items_of_a_busy_cluster_are_unknown_and_the_others_applied(
    target: SearchIndex, writer: Writer, between: Between
) -> None:
    busy = {"status": 429, "error": {"type": "rejected_execution_exception", "reason": "queue is full"}}

    def rule(path: str, body: bytes) -> tuple[int, bytes] | None:
        if "_bulk" not in path:
            return None
        items = [{"index": busy if n % 2 else {"status": 201}} for n in range(len(marks(body)))]
        return 200, json.dumps({"errors": True, "items": items}).encode()

    between.after = rule
    outcomes = writer.write(changes(target, 4))
    assert statuses(outcomes) == ["applied", "unknown"] * 2
    assert "queue is full" in str(outcomes[1].reason)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_request_nobody_could_take_is_unknown(
    target: SearchIndex, writer: Writer, between: Between, status: int
) -> None:
    between.before = lambda path, _: (status, b"busy") if "_bulk" in path else None
    sent = changes(target, 3)
    assert statuses(writer.write(sent)) == ["unknown"] * 3
    assert len(between.bulks) == 1, "a write is not repeated here"


@pytest.mark.parametrize("status", [401, 403])
def test_no_credentials_is_refused(
    target: SearchIndex, writer: Writer, between: Between, status: int
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


@pytest.mark.parametrize("fault", [CUT, (503, b""), (429, b"{}")], ids=["cut", "503", "429"])
def test_reading_is_tried_again(
    target: SearchIndex, writer: Writer, between: Between, fault: tuple[int, bytes]
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


def test_a_failed_refresh_is_made_up_for(target: SearchIndex, writer: Writer, between: Between) -> None:
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
    target: SearchIndex, writer: Writer, between: Between
) -> None:
    answer = {"timed_out": False, "_shards": {"failed": 1}, "hits": {"total": {"value": 0}, "hits": []}}
    between.before = lambda path, _: (200, json.dumps(answer).encode()) if "_search" in path else None
    with pytest.raises(Unreachable):
        writer.scan(None, 5)
