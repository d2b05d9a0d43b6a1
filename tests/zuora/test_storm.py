"""Many accounts with random histories, under all faults at once, in a process that is killed again and again:
no order twice, no change lost. The tenant is in a zone far from UTC, and the app knows instants: each is the
day that it is there. `LOCKSTEP_ZUORA_ACCOUNTS` says how many accounts, `LOCKSTEP_ZUORA_ZONE` where (`make
soak-billing`)."""

from __future__ import annotations

import datetime as dt
import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import lockstep as ls
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api, sign_in
from tests.zuora import app

ACCOUNTS = int(os.environ.get("LOCKSTEP_ZUORA_ACCOUNTS", "12"))
ZONE = os.environ.get("LOCKSTEP_ZUORA_ZONE", "Pacific/Auckland")
ROUNDS = 5 + ACCOUNTS // 50
LONGEST = 6.0
"""Seconds that a process lives beyond its start, at most."""

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
    for n in range(ACCOUNTS):
        currency = choose.choice(["EUR", "USD"])
        db.execute("INSERT INTO customers VALUES (?, ?, ?, NULL)", (f"A-{n}", f"Customer {n}", currency))
        db.execute("INSERT INTO contracts VALUES (?, ?, '2026-01-01', 24, NULL)", (f"S-{n}", f"A-{n}"))
        _move(db, n, dt.date(2026, 1, 1), choose)
    for at in range(ROUNDS):
        zuora_twin.faults(*FAULTS, seed=at)
        worker = _worker(tmp_path, zuora_twin)
        try:
            worker.wait(choose.uniform(1.0, 2.5) + min(ACCOUNTS / 100, LONGEST))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
        for _ in range(ACCOUNTS // 3):
            _change(db, choose.randrange(ACCOUNTS), choose)
        _tell(f"{at + 1} of {ROUNDS} processes ended ({worker.returncode}); {len(_made(zuora_twin))} made")
    zuora_twin.faults()
    pipeline = app.pipeline_of(tmp_path / "app.db", tmp_path / "state", app.tenant_of(zuora_twin, ZONE))
    ls.run(pipeline, once=True)
    (report,) = pipeline.verify("accounts", method="deep")
    _tell(f"checked in full: {report}")
    assert report.agreement, report
    sign_in(api)
    made = _made(zuora_twin)
    for n in range(ACCOUNTS):
        wanted = _wanted(db, n)  # what never has a plan need not be made
        assert wanted == (_joined(app.segments(api, f"S-{n}")) if wanted or f"S-{n}" in made else []), n
    assert set(made.values()) == {1}
    _tell(f"{ACCOUNTS} accounts are as the app says at every date, each subscription made once")
    db.close()


def _tell(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - `make soak-billing` shows it


def _worker(place: Path, twin: ZuoraTwin) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.zuora.worker", str(place / "app.db"), str(place / "state")]
    environment = {**os.environ, "ZUORA_CLIENT_SECRET": twin.client_secret}
    log = (place / "worker.log").open("ab")
    with log:
        return subprocess.Popen(
            [*command, twin.url, twin.client_id, ZONE], env=environment, stdout=log, stderr=log
        )


def _change(db: sqlite3.Connection, n: int, choose: random.Random) -> None:
    """A move, or a cancellation, after which it stays as it is: what is cancelled cannot be changed."""
    ((cancelled,),) = db.execute("SELECT cancelled FROM contracts WHERE id = ?", (f"S-{n}",))
    if cancelled is not None:
        return
    if choose.random() < 0.05:
        day = choose.choice([app.today_in(ZONE), dt.date(2026, 6, 15), dt.date(2027, 2, 28)])
        db.execute("UPDATE contracts SET cancelled = ? WHERE id = ?", (day.isoformat(), f"S-{n}"))
    else:
        _move(db, n, choose.choice(DAYS), choose)


def _move(db: sqlite3.Connection, n: int, day: dt.date, choose: random.Random) -> None:
    """Another plan, other seats, another price, or none, from an instant of that day on: its first, one in
    the hours in which clocks change, or its last."""
    plan = choose.choice([*app.PLANS, *app.PLANS, None])
    local = dt.datetime.combine(day, choose.choice(HOURS), ZoneInfo(ZONE))
    price, seats = choose.choice([0, 9, 10.5, 12]), choose.randint(1, 9)
    row = (f"S-{n}", day.isoformat(), local.astimezone(dt.UTC).isoformat(), plan, price, seats)
    db.execute("INSERT INTO moves (contract_id, day, at, plan, price, seats) VALUES (?, ?, ?, ?, ?, ?)", row)


DAYS = [dt.date(2026, 1, 15), app.TODAY, app.today_in(ZONE), dt.date(2026, 2, 28), dt.date(2026, 6, 1)]
DAYS += [dt.date(2026, month, day) for month, day in ((4, 5), (9, 27), (3, 8), (11, 1))]
"""Before today, on it, after it; the last of February; the days on which clocks change, of Auckland and of
Los Angeles."""
HOURS = [dt.time(0), dt.time(2, 30), dt.time(23, 59, 59)]


Told = list[tuple[str, str, str | None, int, float]]


def _wanted(db: sqlite3.Connection, n: int) -> Told:
    """What the app says, told as `app.segments` does: of a day the last instant wins."""
    moves = db.execute(
        "SELECT day, plan, seats, price FROM moves WHERE contract_id = ? ORDER BY at, id", (f"S-{n}",)
    )
    ((cancelled,),) = db.execute("SELECT cancelled FROM contracts WHERE id = ?", (f"S-{n}",))
    held = ls.Timeline.from_events(
        (
            (dt.date.fromisoformat(day), (plan, seats, price) if plan else None)
            for day, plan, seats, price in moves
        ),
        end=dt.date.fromisoformat(cancelled or "2028-01-01"),
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
