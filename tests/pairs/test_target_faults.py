"""PostgreSQL → OpenSearch while the target, or what stands before it, misbehaves: nothing is lost, and what
is the target's fault makes no key stuck."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import lockstep as ls
from lockstep.engine.consumers import patience
from lockstep.systems.opensearch import pace
from lockstep.testing.http_proxy import Fault, HttpProxy, Rule
from lockstep.testing.servers import OpenSearchHandle
from tests.pairs.world import SCHEMA, Following, Person, World, document, until


class Faulty(World):
    """The small product, written through a proxy that misbehaves on request."""

    def __init__(self, root: Path, url: str, proxy: HttpProxy, real: httpx.Client) -> None:
        self.name = f"faulty_{uuid.uuid4().hex[:8]}"
        super().__init__(root, url, f"opensearch|{proxy.url}|{self.name}")
        self.proxy = proxy
        self.real = real

    @property
    def index(self) -> str:
        return f"{self.name}-g1"

    def change(self, number: int) -> None:
        """A change of some documents, another one for each number."""
        self.do(
            f"UPDATE users SET email = 'mail-{number}@example.com' WHERE id % 7 = {number % 7}",
            f"UPDATE companies SET name = 'Company {number}' WHERE id = {number % 5 + 1}",
        )

    def stuck(self) -> list[str]:
        return [one.error for one in ls.stuck(self.root / "state", "people")]

    def settings(self, **settings: object) -> None:
        self.real.put(f"/{self.index}/_settings", json=settings).raise_for_status()


@pytest.fixture
def faulty(
    tmp_path: Path, postgres_url: str, opensearch_server: OpenSearchHandle, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Faulty]:
    """With short waits: what is tested is what comes after them."""
    monkeypatch.setattr(patience, "_LONGEST_WAIT", 0.3)
    monkeypatch.setattr(pace, "_LONGEST", 0.2)
    monkeypatch.setattr(pace, "_ALTOGETHER", 1.0)
    with (
        HttpProxy(opensearch_server.url) as proxy,
        httpx.Client(base_url=opensearch_server.url, timeout=30) as real,
    ):
        made = Faulty(tmp_path, postgres_url, proxy, real)
        made.do(*SCHEMA.strip().rstrip(";").split(";"))
        yield made
        real.delete(f"/{made.name}*?ignore_unavailable=true")


def bulk(answer: tuple[int, bytes] | Fault) -> Rule:
    return lambda path, body: answer if "/_bulk" in path else None


def everything(answer: tuple[int, bytes] | Fault) -> Rule:
    return lambda path, body: answer


def some_items(path: str, body: bytes) -> tuple[int, bytes] | None:
    """An answer that is well-formed and is not the one to this request."""
    if "/_bulk" not in path:
        return None
    return 200, json.dumps({"errors": False, "items": [{"index": {"status": 201}}]}).encode()


BUSY = json.dumps(
    {"error": {"type": "es_rejected_execution_exception", "reason": "queue is full"}, "status": 429}
).encode()

BEFORE = {
    "429": bulk((429, BUSY)),
    "503 of everything": everything((503, b"no healthy upstream")),
    "500": bulk((500, b'{"error":{"type":"null_pointer_exception","reason":"x"},"status":500}')),
    "a login page": bulk((200, b"<html>Sign in</html>")),
    "half of a JSON": bulk((200, b'{"errors":false,"items":[{"index":{"sta')),
    "too few items": some_items,
    "errors and no items": bulk((200, b'{"errors":true,"items":[]}')),
    "cut before it arrives": bulk(Fault.CUT),
    "401": everything((401, b'{"error":{"type":"security_exception","reason":"unable to authenticate"}}')),
    "403": bulk((403, b'{"error":{"type":"security_exception","reason":"no permissions"}}')),
}
AFTER = {
    "applied, and cut before the answer": bulk(Fault.CUT),
    "applied, and cut in the middle of the answer": bulk(Fault.HALF),
    "applied, and answered by a gateway that gave up": bulk((504, b"<html>timeout</html>")),
}


def test_no_fault_of_the_target_makes_a_key_stuck(faulty: Faulty) -> None:
    """Each goes on for longer than a batch is tried, and more keys are concerned than stop a mapping."""
    faulty.do("INSERT INTO users SELECT i, i % 5 + 1, 'U' || i FROM generate_series(1001, 1200) i")
    with Following(faulty) as following:
        until(lambda: len(faulty.actual_or_none()) == 260, 60)
        for number, (name, rule) in enumerate((*BEFORE.items(), *AFTER.items())):
            setattr(faulty.proxy, "after" if name in AFTER else "before", rule)
            known = len(faulty.proxy.requests)
            faulty.change(number)
            faulty.do(f"UPDATE users SET email = 'U{number}' WHERE id > 1000")
            until(lambda known=known: len(faulty.proxy.requests) > known + 12, 60)  # type: ignore[misc]
            faulty.proxy.before = faulty.proxy.after = None
            until(lambda: faulty.actual() == faulty.expected(), 60)
            assert faulty.stuck() == [], name
        assert following.result is None, "it has stopped"
    faulty.assert_agreement()


@pytest.mark.parametrize("block", ["write", "read_only_allow_delete"])
def test_an_index_that_was_blocked_is_waited_for(faulty: Faulty, block: str) -> None:
    """By hand, or by a cluster whose disk is full: 403 and 429 for every item."""
    with Following(faulty):
        until(lambda: len(faulty.actual_or_none()) == 60, 60)
        faulty.settings(**{f"index.blocks.{block}": True})
        faulty.change(1)
        known = len(faulty.proxy.requests)
        until(lambda: len(faulty.proxy.requests) > known + 12, 60)
        (shown,) = ls.status(faulty.root / "state").mappings
        assert "block" in str(shown.reason), shown
        assert faulty.stuck() == []
        faulty.settings(**{f"index.blocks.{block}": None})
        until(lambda: faulty.actual() == faulty.expected(), 60)
    faulty.assert_agreement()
    assert faulty.stuck() == []


@pytest.mark.parametrize("how", ["deleted", "alias moved", "alias to two"])
def test_a_target_that_is_not_itself_any_more_stops_its_mapping(faulty: Faulty, how: str) -> None:
    faulty.run()
    door, other = f"{faulty.index}-WRITE", f"{faulty.name}-other"
    if how != "deleted":
        faulty.real.put(f"/{other}").raise_for_status()
        actions: list[object] = [{"add": {"index": other, "alias": door}}]
        if how == "alias moved":
            actions.append({"remove": {"index": faulty.index, "alias": door}})
        faulty.real.post("/_aliases", json={"actions": actions}).raise_for_status()
    else:
        faulty.real.delete(f"/{faulty.index}").raise_for_status()
    faulty.change(1)
    with pytest.raises(ls.TargetReplaced) as raised:
        faulty.run()
    assert raised.value.remedy
    assert faulty.stuck() == []
    if how == "deleted":
        assert faulty.real.get(f"/{faulty.name}*").json() == {}, "nothing has come into being"
        return
    back = [{"add": {"index": faulty.index, "alias": door}}, {"remove": {"index": other, "alias": door}}]
    faulty.real.post("/_aliases", json={"actions": back}).raise_for_status()
    faulty.run()
    assert faulty.actual() == faulty.expected()
    faulty.assert_agreement()


def with_alias(user: Person) -> dict[str, object]:
    made = document(user)
    return {**made, "alias": "new"} if made["email"] == "one@example.com" else made


def test_a_mapping_changed_by_hand_makes_stuck_what_it_rejects_and_no_more(faulty: Faulty) -> None:
    """Strict, and a new field of a wrong type: the reason names the field; mended, it clears by itself."""
    faulty.run()
    strict = {"dynamic": "strict", "properties": {"nickname": {"type": "keyword"}}}
    faulty.real.put(f"/{faulty.index}/_mapping", json=strict).raise_for_status()
    faulty.change(1)
    faulty.run()
    assert faulty.stuck() == []
    pipeline = faulty.pipeline()
    pipeline.mappings["people"].function = with_alias
    faulty.do("UPDATE users SET email = 'one@example.com' WHERE id = 1")
    ls.run(pipeline, once=True)
    (reason,) = faulty.stuck()
    assert "alias" in reason
    assert "strict" in reason
    faulty.real.put(f"/{faulty.index}/_mapping", json={"dynamic": True}).raise_for_status()
    ls.retry(pipeline, "people")
    ls.run(pipeline, once=True)
    assert faulty.stuck() == []
    assert faulty.actual()["1"]["alias"] == "new"


def test_a_record_of_ten_megabytes_is_delivered(faulty: Faulty) -> None:
    """Larger than a request may be: it goes alone."""
    faulty.do("UPDATE conversations SET title = repeat('0123456789', 1000000) WHERE id = 7")
    faulty.run()
    assert faulty.stuck() == []
    assert max(map(len, faulty.proxy.bodies("_bulk"))) > 10_000_000
    assert faulty.actual() == faulty.expected()
