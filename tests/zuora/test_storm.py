"""Many accounts with random histories, under all faults at once, in a process that is killed again and again:
no order twice, no change lost, what comes in a month equal at every date. The tenant is in a zone far from
UTC, and the app knows instants: each is the day that it is there. `LOCKSTEP_ZUORA_ACCOUNTS` says how many
accounts, `LOCKSTEP_ZUORA_ZONE` where (`make soak-billing`)."""

from __future__ import annotations

import datetime as dt
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import lockstep as ls
from lockstep.forms import keys
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api, sign_in
from tests.twins.tenant import on
from tests.zuora import app, by_hand
from tests.zuora.histories import Histories, History, joined, wanted

ACCOUNTS = int(os.environ.get("LOCKSTEP_ZUORA_ACCOUNTS", "16"))
ZONE = os.environ.get("LOCKSTEP_ZUORA_ZONE", "Pacific/Auckland")
ROUNDS = 4 + ACCOUNTS // 50
EVENTS = max(ACCOUNTS // 3, 24)
"""In each round."""
LONGEST = 6.0
"""Seconds that a process lives beyond its first request, at most."""

FAULTS = (
    Fault(kind="timeout", method="POST", path="/v1/orders", probability=0.1, after=0.3),
    Fault(kind="timeout_lost", method="POST", path="/v1/orders", probability=0.05),
    Fault(kind="cut", method="POST", path="/v1/orders", probability=0.1),
    Fault(kind="lock", method="POST", path="/v1/orders", probability=0.1),
    Fault(kind="500", path="/(v1|object-query)/.*", probability=0.05),
    Fault(kind="503", path="/(v1|object-query)/.*", probability=0.05),
    Fault(kind="429", path="/(v1|object-query)/.*", probability=0.02),  # each makes all wait for a second
    Fault(kind="token", path="/v1/.*", probability=0.03),
)


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    made = app.stocked(zuora_twin)
    assert "zone" in str(made.put("/twin/settings", {"zone": ZONE}))
    yield made
    made.http.close()


def test_no_order_is_made_twice_and_no_change_is_lost(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api
) -> None:
    choose = random.Random(ACCOUNTS)
    db = app.made(tmp_path / "app.db")
    histories = Histories(db, ZONE, choose)
    for n in range(ACCOUNTS):
        histories.begin(n)
    for at in range(ROUNDS):
        zuora_twin.faults(*FAULTS, seed=at)
        worker = _worker(tmp_path, zuora_twin)
        try:
            worker.wait(choose.uniform(0.5, 2.0) + min(ACCOUNTS / 100, LONGEST))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
        for _ in range(EVENTS):
            histories.happens(f"A-{choose.randrange(ACCOUNTS)}")
        done = f"{len(_orders(zuora_twin))} orders, {len(_made(zuora_twin))} subscriptions"
        _tell(f"{at + 1} of {ROUNDS} processes ended ({worker.returncode}): {done}")
    for _ in range(9999):
        if set(histories.kinds) != KINDS:
            histories.happens(f"A-{choose.randrange(ACCOUNTS)}")
    zuora_twin.faults(*FAULTS, seed=ROUNDS)
    assert _worker(tmp_path, zuora_twin).wait(900) == 0, "the last may come to its end, under all faults"
    _tell(f"the last process ended: {len(_orders(zuora_twin))} orders")
    zuora_twin.faults()
    _tell(f"happened: {dict(histories.kinds)}")
    assert set(histories.kinds) == KINDS
    pipeline = app.pipeline_of(tmp_path / "app.db", tmp_path / "state", app.tenant_of(zuora_twin, ZONE))
    pipeline.amounts("accounts")(app.monthly_revenue)
    sign_in(api)
    _mended_by_a_person(pipeline, histories, api, zuora_twin)
    (report,) = pipeline.verify("accounts", method="deep")
    assert report.agreement, report
    _tell(f"checked in full: {report.records_compared} accounts, {report.invariants} invariant")
    assert report.invariants == 1
    made = _made(zuora_twin)
    for one in _all(histories):
        said = wanted(db, one.contract)  # what never has a plan need not be made
        there = joined(app.segments(api, one.contract)) if said or one.contract in made else []
        assert said == there, one
    assert set(made.values()) == {1}
    _tell(f"{ACCOUNTS} accounts are as the app says at every date, each subscription made once")
    _found_wrong_when_it_is(pipeline, histories, api)
    db.close()


KINDS = {"move", "extra", "trial", "pause", "resume", "cancel", "reinstate", "take back", "too early"}


def _mended_by_a_person(pipeline: ls.Pipeline, histories: Histories, api: Api, twin: ZuoraTwin) -> None:
    """What was ordered and cannot be taken back is stuck, says why, and is as it should be once a person has
    done what it says. Two such accounts are made so that there are some."""
    fit = (one for one in _all(histories) if not one.over and one.since is None)
    back, early = [one for one in fit if one.floor < dt.date(2026, 12, 1)][:2]
    for one in (back, early):
        histories.charged(one)
    ls.run(pipeline, once=True)
    histories.cancel(back, histories.days[-1])
    day = early.floor
    histories.pause(early, day + dt.timedelta(14), day + dt.timedelta(28))
    ls.run(pipeline, once=True)
    histories.take_back(back)
    histories.too_early(early, day)
    ls.run(pipeline, once=True)
    stuck = {str(keys.decode(one.key)[0]): one.error for one in ls.stuck(pipeline)}
    _tell(f"{len(stuck)} stuck: {next(iter(stuck.values()))}; …")
    assert {back.customer, early.customer} <= set(stuck)
    for one in (histories.of[customer][-1] for customer in stuck):
        assert one.excuse is not None, one
        assert f"subscription {one.contract} " in stuck[one.customer]
        assert one.excuse in stuck[one.customer]
        if one.over == "too early":
            histories.later(one)
        else:
            assert "Delete the order that cancelled it in Zuora" in stuck[one.customer]
            _uncancelled(api, twin, one.contract)
    ls.retry(pipeline, "accounts")
    ls.run(pipeline, once=True)
    assert not ls.stuck(pipeline)


def _uncancelled(api: Api, twin: ZuoraTwin, number: str) -> None:
    """Deletes the order that cancelled a subscription: its last."""
    (order,) = (one for one in _orders(twin) if ("CancelSubscription", number) in _actions(one))
    assert api.delete(f"/v1/orders/{order['orderNumber']}")["success"]


def _found_wrong_when_it_is(pipeline: ls.Pipeline, histories: Histories, api: Api) -> None:
    """The invariant can fail: ten seats more, from one day on, in one subscription."""
    one, plan, seats, price = next(
        (one, row[0], *row[3:])
        for one in _all(histories)
        for row in reversed(wanted(histories.db, one.contract))
        if row[2] == "2028-01-01" and row[4]
    )
    said = api.get(f"/v1/subscriptions/{one.contract}", **{"charge-detail": "all-segments"})
    line, charge = next(
        (line["id"], charge["number"])
        for line in said["ratePlans"]
        if line["productRatePlanNumber"] == plan
        for charge in line["ratePlanCharges"]
        for segment in charge["chargeSegments"]
        if segment["effectiveEndDate"] == "2028-01-01" != segment["effectiveStartDate"]
    )
    pricing = {"recurringPerUnit": {"quantity": seats + 10}}
    update = {"ratePlanId": line, "chargeUpdates": [{"chargeNumber": charge, "pricing": pricing}]}
    action = {"type": "UpdateProduct", "triggerDates": on("2027-12-01"), "updateProduct": update}
    by_hand.order(api, one.customer, one.contract, action)
    (report,) = pipeline.verify("accounts")
    (found,) = [each for each in report.divergences if each.kind == "invariant"]
    currency = api.get(f"/v1/accounts/{one.customer}")["billingAndPayment"]["currency"]
    assert found.key == f"monthly_revenue {one.customer} {currency} 2027-12-01"
    (field,) = found.fields
    assert field.actual - field.expected == Decimal(str(price)) * 10
    _tell(f"and ten seats more are found: {found.key}: {found.reason}")


def _all(histories: Histories) -> Iterator[History]:
    return (one for each in histories.of.values() for one in each)


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - `make soak-billing` shows it


def _worker(place: Path, twin: ZuoraTwin) -> subprocess.Popen[bytes]:
    """A process that works, and has asked the tenant something, or is at its end."""
    command = [sys.executable, "-m", "tests.zuora.worker", str(place / "app.db"), str(place / "state")]
    environment = {**os.environ, "ZUORA_CLIENT_SECRET": twin.client_secret}
    asked = sum(twin.tenant.counts.values())
    with (place / "worker.log").open("ab") as log:
        worker = subprocess.Popen(
            [*command, twin.url, twin.client_id, ZONE], env=environment, stdout=log, stderr=log
        )
    while worker.poll() is None and sum(twin.tenant.counts.values()) == asked:
        time.sleep(0.02)
    return worker


def _made(twin: ZuoraTwin) -> dict[str, int]:
    """How often each subscription was made, by all orders there are."""
    done = (each for order in _orders(twin) for each in _actions(order))
    return Counter(number for type, number in done if type == "CreateSubscription")


def _orders(twin: ZuoraTwin) -> list[dict[str, Any]]:
    return twin.tenant.store.where("orders", "TRUE", [])


def _actions(order: dict[str, Any]) -> list[tuple[str, str]]:
    """Their types and subscriptions."""
    return [
        (action["type"], one["subscriptionNumber"])
        for one in order["subscriptions"]
        for action in one["orderActions"]
    ]
