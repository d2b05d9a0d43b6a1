"""Callouts of the stand-in wake the feed; what is said in them counts for nothing."""

from __future__ import annotations

import datetime as dt
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection

import httpx
import pytest

import lockstep as ls
from lockstep.errors import DeclarationError, Refused
from lockstep.systems.zuora.tables.callouts import MOST_BYTES, Callouts, Listener
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import Table
from tests.twins.api import opened, stocked

OURS = Callouts("127.0.0.1", 0, user="zuora", password="a secret")
TABLE = Table("subscriptions", ("originalId",), ("originalId",))


@pytest.fixture
def heard() -> Iterator[tuple[list[None], str]]:
    calls: list[None] = []
    with closing(Listener(OURS, lambda: calls.append(None))) as listener:
        yield calls, f"http://127.0.0.1:{listener.port}/"


def test_only_who_knows_the_secret_is_heard(heard: tuple[list[None], str]) -> None:
    calls, url = heard
    for auth in (None, ("zuora", "another"), ("é", "a secret")):
        assert httpx.post(url, json={}, auth=auth).status_code == 401
    assert calls == []
    assert httpx.post(url, content=b"\xff no JSON", auth=("zuora", "a secret")).status_code == 204
    assert calls == [None]
    assert "secret" not in repr(OURS)


def test_a_body_is_bounded(heard: tuple[list[None], str]) -> None:
    calls, url = heard
    for header, status in (
        (("content-length", str(MOST_BYTES + 1)), 413),
        (("transfer-encoding", "chunked"), 411),
    ):
        with closing(HTTPConnection("127.0.0.1", httpx.URL(url).port, timeout=5)) as http:
            http.putrequest("POST", "/")
            http.putheader("authorization", "Basic " + b64encode(b"zuora:a secret").decode())
            http.putheader(*header)
            http.endheaders()  # and no body: it is not waited for
            assert http.getresponse().status == status
    assert calls == []


def test_an_address_that_is_taken_is_refused_with_a_mend(heard: tuple[list[None], str]) -> None:
    port = httpx.URL(heard[1]).port or 0
    with pytest.raises(Refused, match="cannot be listened for") as refused:
        Listener(Callouts("127.0.0.1", port, user="a", password="b"), lambda: None)
    assert refused.value.remedy
    with pytest.raises(DeclarationError):
        Callouts("127.0.0.1", port, user="a", password="")


@pytest.mark.parametrize("kind", [None, "callout_doubled"])
def test_a_callout_makes_the_feed_look_at_once(zuora_twin: ZuoraTwin, kind: str | None) -> None:
    api = stocked(opened(zuora_twin))
    tenant = ls.Zuora(zuora_twin.url, client_id=zuora_twin.client_id, client_secret=zuora_twin.client_secret)
    source = tenant.tables(every=60.0, overlap=dt.timedelta(seconds=30), callouts=OURS)
    with closing(api.http), closing(source.feed()) as feed:
        following = feed.follow(feed.prepare([TABLE], None).position)
        assert [next(following).hints for _ in range(2)] == [[], []], "it has looked, and would in a minute"
        assert feed.listener is not None
        api.calls_out(feed.listener.port, "zuora", "a secret")
        if kind is not None:
            zuora_twin.faults(Fault(kind=kind))
        api.account()
        assert api.order(api.subscribe())["success"]
        begun = time.monotonic()
        hints = next(caught.hints for caught in following if caught.hints or time.monotonic() - begun > 15)
        assert {one.table for one in hints} == {"subscriptions"}
