"""Contracts that change hands again and again, under faults, in processes that are killed: each is where the
app says in the end, was made once, and was never cancelled."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import lockstep as ls
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api, sign_in
from tests.zuora import app
from tests.zuora.handing_over import kinds, on
from tests.zuora.transfer_worker import pipeline_of

CUSTOMERS, CONTRACTS, ROUNDS = 8, 10, 5

FAULTS = (
    Fault(kind="timeout", method="POST", path="/v1/orders", probability=0.15, after=0.3),
    Fault(kind="timeout_lost", method="POST", path="/v1/orders", probability=0.1),
    Fault(kind="cut", method="POST", path="/v1/orders", probability=0.15),
    Fault(kind="lock", method="POST", path="/v1/orders", probability=0.1),
    Fault(kind="503", path="/(v1|object-query)/.*", probability=0.05),
)


def test_contracts_that_change_hands_are_never_lost(tmp_path: Path, zuora_twin: ZuoraTwin, api: Api) -> None:
    choose = random.Random(7)
    db = app.made(tmp_path / "app.db")
    for n in range(CUSTOMERS):
        db.execute("INSERT INTO customers VALUES (?, 'Ltd', 'EUR', NULL)", (f"A-{n}",))
    for n in range(CONTRACTS):
        _give(db, n, f"A-{n % CUSTOMERS}", 3)
    away: list[int] = []
    """Contracts that are nobody's until the next round."""
    pipeline = pipeline_of(tmp_path / "app.db", tmp_path / "state", app.tenant_of(zuora_twin))
    ls.run(pipeline, once=True)
    for at in range(ROUNDS):
        for n in away:
            _give(db, n, f"A-{choose.randrange(CUSTOMERS)}", choose.randint(1, 9))
        some = choose.sample(range(CONTRACTS), CONTRACTS // 2)
        away = some[:2] if at < ROUNDS - 1 else []
        for n in some:
            db.execute("BEGIN")
            db.execute("DELETE FROM moves WHERE id = ?", (n,))
            db.execute("DELETE FROM contracts WHERE id = ?", (f"S-{n}",))
            if n not in away:
                _give(db, n, f"A-{choose.randrange(CUSTOMERS)}", choose.randint(1, 9))
            db.execute("COMMIT")
        zuora_twin.faults(*FAULTS, seed=at)
        worker = _worker(tmp_path, zuora_twin)
        try:
            worker.wait(choose.uniform(2.0, 4.5))
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    zuora_twin.faults()
    for _ in range(4):
        ls.retry(pipeline, "accounts")
        ls.run(pipeline, once=True)
    assert [one.error for one in ls.stuck(pipeline, "accounts")] == []
    (report,) = pipeline.verify("accounts", method="deep")
    assert report.agreement, report
    sign_in(api)
    for number, owner in db.execute("SELECT id, customer_id FROM contracts"):
        assert on(api, number) == (owner, owner, "Active")
        done = kinds(api, number)
        assert done.count("CreateSubscription") == 1
        assert "CancelSubscription" not in done
        (wanted,) = db.execute("SELECT seats FROM moves WHERE contract_id = ?", (number,)).fetchone()
        assert app.segments(api, number)[-1][3] == wanted
    transfers = sum(kinds(api, f"S-{n}").count("OwnerTransfer") for n in range(CONTRACTS))
    assert transfers >= CONTRACTS
    db.close()


def _give(db: sqlite3.Connection, n: int, owner: str, seats: int) -> None:
    db.execute("INSERT INTO contracts VALUES (?, ?, '2026-01-01', 24, NULL)", (f"S-{n}", owner))
    db.execute("INSERT INTO moves VALUES (?, ?, '2026-01-01', NULL, 'Pro', 9.00, ?)", (n, f"S-{n}", seats))


def _worker(place: Path, twin: ZuoraTwin) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.zuora.transfer_worker"]
    environment = {**os.environ, "ZUORA_CLIENT_SECRET": twin.client_secret}
    with (place / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [*command, str(place / "app.db"), str(place / "state"), twin.url, twin.client_id],
            env=environment,
            stdout=log,
            stderr=log,
        )
