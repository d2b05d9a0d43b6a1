"""Tokens, limits, faults on request, callouts, and a process that is killed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

from tests.twins.api import Api, sign_in, stocked
from tests.twins.process import started


def test_a_token_is_needed_and_ends(api: Api) -> None:
    with httpx.Client(base_url=str(api.http.base_url)) as stranger:
        said = stranger.get("/v1/accounts/A-1")
        assert (said.status_code, said.json()["reasons"][0]["code"]) == (401, 90000011)
        form = {"client_id": api.credentials[0], "grant_type": "client_credentials"}
        assert stranger.post("/oauth/token", data={**form, "client_secret": "wrong"}).status_code == 401
    api.faults({"kind": "token", "times": 1})
    assert api.http.get("/v1/accounts/A-1").status_code == 401
    assert api.http.get("/v1/accounts/A-1").status_code == 401, "it does not come back"
    sign_in(api)
    assert api.http.get("/v1/accounts/A-1").status_code == 200


def test_a_token_ends_by_itself(api: Api) -> None:
    api.put("/twin/settings", {"token_seconds": 2})
    sign_in(api)
    assert api.http.get("/v1/accounts/A-1").status_code == 200
    time.sleep(2.1)
    assert api.http.get("/v1/accounts/A-1").status_code == 401


def test_the_rate_limit_and_its_headers(api: Api) -> None:
    before = api.http.get("/v1/accounts/A-1").headers
    assert before["RateLimit-Limit"].startswith("50000")
    left = int(before["RateLimit-Remaining"])
    assert int(api.http.get("/v1/accounts/A-1").headers["RateLimit-Remaining"]) in {left - 1, 50_000 - 1}
    api.put("/twin/settings", {"requests_per_minute": 1})
    api.http.get("/v1/accounts/A-1")
    over = api.http.get("/v1/accounts/A-1")
    assert over.status_code == 429
    assert 1 <= int(over.headers["Retry-After"]) <= 60
    assert over.json()["code"] == "REQUEST_EXCEEDED_LIMIT"


def test_too_many_at_once(api: Api) -> None:
    api.put("/twin/settings", {"concurrent_heavy": 0})
    said = api.http.get("/object-query/accounts")
    assert (said.status_code, said.headers["Retry-After"]) == (429, "120")
    assert api.http.get("/v1/accounts/A-1").headers["Concurrency-Limit-Type"] == "Tenant"


@pytest.mark.parametrize(
    ("kind", "status", "made"),
    [
        ("429", 429, False),
        ("concurrent", 429, False),
        ("500", 500, False),
        ("503", 503, False),
        ("timeout_lost", 504, False),
        ("timeout", 504, True),
    ],
)
def test_faults(api: Api, kind: str, status: int, made: bool) -> None:
    api.account()
    api.faults({"kind": kind, "times": 1, "path": "/v1/orders", "method": "POST"})
    body = api.order_body(api.subscribe())
    keyed = {"Idempotency-Key": "k"}
    assert api.http.post("/v1/orders", json=body, headers=keyed).status_code == status
    deadline = time.monotonic() + 5
    while made and not api.get("/object-query/subscriptions")["data"]:
        assert time.monotonic() < deadline
    assert bool(api.get("/object-query/subscriptions")["data"]) is made
    assert api.post("/v1/orders", body, Idempotency_Key="k")["success"], "the same again is harmless"
    assert len(api.get("/object-query/subscriptions")["data"]) == 1


def test_a_connection_cut_within_the_answer(api: Api) -> None:
    api.account()
    api.faults({"kind": "cut", "times": 1, "path": "/v1/orders"})
    with pytest.raises(httpx.RemoteProtocolError):
        api.order(api.subscribe())
    assert api.get("/v1/subscriptions/S-1")["version"] == 1


def test_faults_come_by_chance_and_the_same_again_by_seed(api: Api) -> None:
    def met() -> list[int]:
        api.faults({"kind": "429", "probability": 0.5, "path": "/v1/accounts/.*"}, seed=7)
        return [api.http.get("/v1/accounts/A-1").status_code for _ in range(20)]

    first = met()
    assert {200, 429} == set(first)
    assert met() == first
    assert api.http.put("/twin/faults", json={"rules": [{"kind": "no such"}]}).status_code == 400


class _Heard(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server: Any = self.server
        server.heard.append((self.headers["Authorization"], body, self.headers["Zuora-Request-Id"]))
        self.send_response(server.answers.pop(0) if server.answers else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def ear(api: Api) -> Iterator[Any]:
    """Somebody who is called about orders, with basic authentication."""
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), _Heard)
    server.heard, server.answers = [], []
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/orders"
    callout = {
        "name": "orders",
        "calloutBaseurl": url,
        "httpMethod": "POST",
        "eventTypeName": "OrderProcessed",
        "requiredAuth": True,
        "calloutAuth": {"username": "u", "password": "p"},
        "calloutParams": {"account": "<Account.AccountNumber>", "order": "<Order.OrderNumber>"},
    }
    made = api.post(
        "/notifications/notification-definitions",
        {
            "name": "orders",
            "eventTypeName": "OrderProcessed",
            "active": True,
            "calloutActive": True,
            "callout": callout,
        },
    )
    assert made["active"], made
    assert "p" not in made["callout"]["calloutAuth"].values()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def _heard(ear: Any, count: int) -> list[Any]:
    deadline = time.monotonic() + 5
    while len(ear.heard) < count:
        assert time.monotonic() < deadline, ear.heard
        time.sleep(0.01)
    return list(ear.heard)


def test_a_callout_takes_ids_and_credentials(api: Api, ear: Any) -> None:
    api.account()
    order = api.order(api.subscribe())["orderNumber"]
    ((auth, body, _),) = _heard(ear, 1)
    assert (auth, body) == ("Basic dTpw", {"account": "A-1", "order": order})
    history = api.get("/v1/notification-history/callout")["calloutHistories"]
    assert [(one["responseCode"], one["attemptedNum"]) for one in history] == [("200", "1")]


def test_a_callout_that_fails_is_sent_again_under_another_id(api: Api, ear: Any) -> None:
    ear.answers += [500]
    api.account()
    api.order(api.subscribe())
    first, second = _heard(ear, 2)
    assert first[1] == second[1]
    assert first[2] != second[2]


@pytest.mark.parametrize(
    ("kind", "count"), [("callout_lost", 0), ("callout_doubled", 2), ("callout_late", 1)]
)
def test_callouts_are_lost_doubled_and_late(api: Api, ear: Any, kind: str, count: int) -> None:
    api.account()
    api.faults({"kind": kind, "times": 1, "after": 0.5})
    begun = time.monotonic()
    api.order(api.subscribe())
    api.order(api.update("2025-02-01", quantity=1))
    heard = _heard(ear, count + 1)
    assert len(heard) == count + 1
    if kind == "callout_late":
        assert time.monotonic() - begun >= 0.5


def test_a_refused_order_calls_nobody(api: Api, ear: Any) -> None:
    api.account()
    api.order(api.update_of_nothing())
    api.order(api.subscribe())
    assert len(_heard(ear, 1)) == 1


def test_what_is_done_outlives_a_kill(tmp_path: Path) -> None:
    """SIGKILL between orders: all of them are there after the restart, once, with their kept answers."""
    file = tmp_path / "tenant.db"
    with started(file) as (process, api):
        stocked(api)
        api.clock("2025-01-01")
        api.account()
        for n in range(5):
            body = api.order_body(api.subscribe(), number=f"S-{n}")
            assert api.post("/v1/orders", body, Idempotency_Key=f"k-{n}")["success"]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with started(file) as (_, again):
        assert again.get("/twin")["today"] == "2025-01-01"
        again.plan, again.charge = api.plan, api.charge
        for n in range(5):
            body = again.order_body(again.subscribe(), number=f"S-{n}")
            assert again.post("/v1/orders", body, Idempotency_Key=f"k-{n}")["success"]
        assert len(again.get("/object-query/subscriptions", pageSize=50)["data"]) == 5
