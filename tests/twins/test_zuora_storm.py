"""Intents under all faults at once, and a process that is killed: each is done once, by a client that follows
the documents. What the client does is what a connector must do; what the stand-in does must let it."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from tests.twins.api import Api, sign_in, stocked
from tests.twins.process import started

RULES = [
    {"kind": "429", "probability": 0.05, "after": 0.01},
    {"kind": "500", "probability": 0.05},
    {"kind": "503", "probability": 0.05},
    {"kind": "token", "probability": 0.03, "path": "/v1/.*"},
    {"kind": "lock", "probability": 0.1, "path": "/v1/orders"},
    {"kind": "timeout", "probability": 0.1, "path": "/v1/orders", "after": 0.05},
    {"kind": "timeout_lost", "probability": 0.1, "path": "/v1/orders"},
    {"kind": "cut", "probability": 0.1, "path": "/v1/orders"},
]


def test_each_intent_is_done_once(tmp_path: Path) -> None:
    dice = random.Random(3)
    file = tmp_path / "tenant.db"
    met: Counter[str] = Counter()
    plan = charge = ""
    done = 0
    for life in range(3):
        with started(file) as (process, api):
            if life == 0:
                stocked(api)
                api.clock("2025-01-01")
                for n in range(3):
                    api.account(f"A-{n}")
                    assert api.order(api.subscribe(), number=f"S-{n}", account=f"A-{n}")["success"]
                plan, charge = api.plan, api.charge
            api.plan, api.charge = plan, charge
            api.faults(*RULES, seed=life)
            for _ in range(20):
                _carry_out(api, done % 3, done + 1, met)
                done += 1
            # The last order of this life is under way when the process dies.
            body = _body(api, 0, 1_000 + life)
            number = body["orderNumber"]
            _ask(api, body, str(uuid.uuid4()), met)
            if dice.random() < 0.7:
                time.sleep(dice.random() * 0.1)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        with started(file) as (_, api):
            api.plan, api.charge = plan, charge
            _settle(api, body, met)
            assert api.get(f"/v1/orders/{number}")["order"]["status"] == "Completed"
    with started(file) as (_, api):
        versions = [api.get(f"/v1/subscriptions/S-{n}")["version"] for n in range(3)]
        assert versions == [1 + 20 + 3, 1 + 20, 1 + 20]
    assert {"504", "409", "429", "500", "503", "401", "lock", "cut", "done"} <= met.keys(), met


def _body(api: Api, subscription: int, quantity: int) -> dict[str, Any]:
    plan = {"subscriptionRatePlanNumber": f"SRP-{subscription + 1:08d}"}
    change = {"productRatePlanChargeId": api.charge, "pricing": {"recurringPerUnit": {"quantity": quantity}}}
    action = {
        "type": "UpdateProduct",
        "triggerDates": [{"name": "ContractEffective", "triggerDate": "2025-03-01"}],
        "updateProduct": {**plan, "chargeUpdates": [change]},
    }
    number, account = f"S-{subscription}", f"A-{subscription}"
    body: dict[str, Any] = api.order_body(action, number=number, account=account)
    return body | {"orderNumber": f"O-{uuid.uuid4()}"}


def _carry_out(api: Api, subscription: int, quantity: int, met: Counter[str]) -> None:
    _settle(api, _body(api, subscription, quantity), met)


def _settle(api: Api, body: dict[str, Any], met: Counter[str]) -> None:
    """The same request under the same key until the answer is definite; after a failure another key."""
    key = str(uuid.uuid4())
    deadline = time.monotonic() + 30
    while (category := _ask(api, body, key, met)) not in {0, 43}:
        assert time.monotonic() < deadline, met
        if category == 50:
            key = str(uuid.uuid4())
        elif category is not None:
            raise AssertionError(f"refused: {category}")


def _sign_in(api: Api) -> None:
    """Until it is let: the faults are of this path too."""
    while api.http.get("/v1/catalog/products").status_code == 401:
        with contextlib.suppress(ValueError, KeyError):
            sign_in(api)


def _ask(api: Api, body: dict[str, Any], key: str, met: Counter[str]) -> int | None:
    """0: done. Else the category of the error; None where nothing is known."""
    try:
        answer = api.http.post("/v1/orders", json=body, headers={"Idempotency-Key": key})
    except httpx.TransportError:
        met["cut"] += 1
        return None
    if answer.status_code != 200:
        met[str(answer.status_code)] += 1
        if answer.status_code == 401:
            _sign_in(api)
        time.sleep(0.01)
        return None
    said = answer.json()
    category = 0 if said["success"] else said["reasons"][0]["code"] % 100
    met[{0: "done", 50: "lock", 43: "there"}.get(category, str(category))] += 1
    return int(category)
