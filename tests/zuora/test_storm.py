"""Many accounts with random histories, under all faults at once, in a process that is killed again and again:
no order twice, no change lost. `LOCKSTEP_ZUORA_ACCOUNTS` says how many accounts: 12, where it does not."""

from __future__ import annotations

import datetime as dt
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api, sign_in
from tests.zuora import app

ACCOUNTS = int(os.environ.get("LOCKSTEP_ZUORA_ACCOUNTS", "12"))
ROUNDS = 5

FAULTS = (
    Fault(kind="timeout", method="POST", path="/v1/orders", probability=0.1, after=0.3),
    Fault(kind="timeout_lost", method="POST", path="/v1/orders", probability=0.05),
    Fault(kind="cut", method="POST", path="/v1/orders", probability=0.1),
    Fault(kind="lock", method="POST", path="/v1/orders", probability=0.1),
    Fault(kind="500", path="/(v1|object-query)/.*", probability=0.05),
    Fault(kind="503", path="/(v1|object-query)/.*", probability=0.05),
    Fault(kind="429", path="/(v1|object-query)/.*", probability=0.02),
    Fault(kind="token", path="/v1/.*", probability=0.03),
)


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    made = app.stocked(zuora_twin)
    yield made
    made.http.close()


def test_no_order_is_made_twice_and_no_change_is_lost(
    tmp_path: Path, zuora_twin: ZuoraTwin, api: Api
) -> None:
    choose = random.Random(ACCOUNTS)
    db = app.made(tmp_path / "app.db")
    for n in range(ACCOUNTS):
        db.execute("INSERT INTO customers VALUES (?, ?, 'EUR', NULL)", (f"A-{n}", f"Customer {n}"))
        db.execute("INSERT INTO contracts VALUES (?, ?, '2026-01-01', 24, NULL)", (f"S-{n}", f"A-{n}"))
        _move(db, n, dt.date(2026, 1, 1), choose)
    for at in range(ROUNDS):
        zuora_twin.faults(*FAULTS, seed=at)
        worker = _worker(tmp_path, zuora_twin)
        try:
            worker.wait(choose.uniform(1.0, 2.5) + ACCOUNTS / 100)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
        for _ in range(ACCOUNTS // 3):
            _move(db, choose.randrange(ACCOUNTS), _day(choose), choose)
    zuora_twin.faults()
    pipeline = app.pipeline_of(tmp_path / "app.db", tmp_path / "state", app.tenant_of(zuora_twin))
    ls.run(pipeline, once=True)
    (report,) = pipeline.verify("accounts", method="deep")
    assert report.agreement, report
    sign_in(api)
    made = _made(zuora_twin)
    for n in range(ACCOUNTS):
        wanted = _wanted(db, n)  # what never has a plan need not be made
        assert wanted == (_joined(app.segments(api, f"S-{n}")) if wanted or f"S-{n}" in made else []), n
    assert set(made.values()) == {1}
    db.close()


def _worker(place: Path, twin: ZuoraTwin) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.zuora.worker", str(place / "app.db"), str(place / "state")]
    environment = {**os.environ, "ZUORA_CLIENT_SECRET": twin.client_secret}
    log = (place / "worker.log").open("ab")
    with log:
        return subprocess.Popen([*command, twin.url, twin.client_id], env=environment, stdout=log, stderr=log)


def _move(db: sqlite3.Connection, n: int, day: dt.date, choose: random.Random) -> None:
    """Another plan, other seats, another price, or none, from a day on."""
    plan = choose.choice([*app.PLANS, *app.PLANS, None])
    row = (f"S-{n}", day.isoformat(), plan, choose.choice([9, 10.5, 12]), choose.randint(1, 9))
    db.execute("INSERT INTO moves (contract_id, day, plan, price, seats) VALUES (?, ?, ?, ?, ?)", row)


def _day(choose: random.Random) -> dt.date:
    """Before today, on it, or after it; the last of February among them."""
    return choose.choice([dt.date(2026, 1, 15), app.TODAY, dt.date(2026, 2, 28), dt.date(2026, 6, 1)])


Told = list[tuple[str, str, str | None, int, float]]


def _wanted(db: sqlite3.Connection, n: int) -> Told:
    """What the app says, told as `app.segments` does."""
    moves = db.execute(
        "SELECT day, plan, seats, price FROM moves WHERE contract_id = ? ORDER BY id", (f"S-{n}",)
    )
    held = ls.Timeline.from_events(
        (
            (dt.date.fromisoformat(day), (plan, seats, price) if plan else None)
            for day, plan, seats, price in moves
        ),
        end=dt.date(2028, 1, 1),
    )
    return sorted(
        (plan, str(start), str(end), seats, float(price)) for start, end, (plan, seats, price) in held
    )


def _joined(rows: Told) -> Told:
    """Neighbours that say the same are one."""
    made: Told = []
    for plan, start, end, seats, price in rows:
        if made and (made[-1][0], made[-1][2], *made[-1][3:]) == (plan, start, seats, price):
            made[-1] = (plan, made[-1][1], end, seats, price)
        else:
            made.append((plan, start, end, seats, float(price)))
    return made


def _made(twin: ZuoraTwin) -> dict[str, int]:
    """How often each subscription was made, by all orders there are."""
    counted: dict[str, int] = {}
    for order in twin.tenant.store.where("orders", "TRUE", []):
        for one in order["subscriptions"]:
            for action in one["orderActions"]:
                if action["type"] == "CreateSubscription":
                    number = one["subscriptionNumber"]
                    counted[number] = counted.get(number, 0) + 1
    return counted
