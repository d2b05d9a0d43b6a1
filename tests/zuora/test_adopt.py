"""A tenant that has years of subscriptions made by hand is taken over, nothing written for what is equal."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api
from tests.zuora import app, by_hand
from tests.zuora.test_target import writes

MOVE = "INSERT INTO moves (id, contract_id, day, plan, price, seats)"
FOUND = {"different": 1, "equal": 2, "failed": 2, "source-only": 1, "target-only": 1}


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    """What people made in the tenant: A-1 and A-7 as the app has them, A-7 but for what was billed."""
    made = app.stocked(zuora_twin)
    for number in ("A-1", "A-2", "A-4", "A-6", "A-7"):
        by_hand.account(made, number)
    by_hand.account(made, "A-5", "USD")
    by_hand.subscribed(made, "A-1", "S-1", "Basic", 3, 9)
    by_hand.seats(made, "A-1", "S-1", "2026-02-10", 3)  # a cut between equal rows is no difference
    by_hand.changed(made, "A-1", "S-1", "2026-03-03", "Pro", 4, 12.5)
    by_hand.subscribed(made, "A-2", "S-2", "Basic", 5, 9)
    by_hand.subscribed(made, "A-4", "S-4", "Basic", 1, 9)
    by_hand.subscribed(made, "A-6", "S-6", "Basic", 3, 9)
    by_hand.subscribed(made, "A-6", "S-66", "Pro", 1, 20)
    by_hand.subscribed(made, "A-7", "S-7", "Basic", 4, 9)
    by_hand.billed(made, "2026-02-01")
    by_hand.seats(made, "A-7", "S-7", "2026-03-01", 3)
    yield made
    made.http.close()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = app.made(tmp_path / "app.db")
    for n in (1, 2, 3, 5, 6, 7):
        made.execute("INSERT INTO customers VALUES (?, 'Ada Ltd', 'EUR', 'ada@example.com')", (f"A-{n}",))
        made.execute("INSERT INTO contracts VALUES (?, ?, '2026-01-01', 12, NULL)", (f"S-{n}", f"A-{n}"))
        made.execute(
            f"{MOVE} VALUES (?, ?, '2026-01-01', 'Basic', 9.00, 3)",
            (n, f"S-{n}"),
        )
    made.execute(f"{MOVE} VALUES (11, 'S-1', '2026-03-03', 'Pro', 12.50, 4)")
    yield made
    made.close()


@pytest.fixture
def pipeline(tmp_path: Path, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin) -> ls.Pipeline:
    return app.pipeline_of(tmp_path / "app.db", tmp_path / "state", app.tenant_of(zuora_twin))


def test_what_is_equal_is_taken_over_without_a_write(
    pipeline: ls.Pipeline, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin, tmp_path: Path
) -> None:
    counts = zuora_twin.tenant.counts
    counts.clear()
    plan = ls.adopt(pipeline, "accounts", dry_run=True)
    assert (plan.outcome, plan.counts) == ("planned", FOUND)
    assert not (tmp_path / "state").exists(), "a plan makes no state"
    told = {one.key or one.target_key: one for one in plan.examples}
    assert "currency USD in Zuora, not EUR" in str(told["A-5"].reason)
    assert "give it another key" in str(told["A-5"].reason)
    assert "subscription S-66" in str(told["A-6"].reason)
    assert "S-7 Basic from 2026-01-01 to 2026-03-01" in str(told["A-7"].reason)
    assert any("quantity" in field.path and field.actual == 5 for field in told["A-2"].fields)
    assert all(field.path.startswith("subscriptions[S-2]") for field in told["A-2"].fields)
    assert told.keys() == {"A-2", "A-3", "A-4", "A-5", "A-6", "A-7"}
    done = ls.adopt(pipeline, "accounts")
    assert (done.outcome, done.counts) == ("adopted", FOUND)
    assert writes(zuora_twin) == 0
    each = counts["GET /v1/subscriptions/accounts/{key}"]
    assert each == 2 * 5, "each account that both have is read once by each of the two"
    ls.run(pipeline, once=True)
    assert writes(zuora_twin) == 1, "A-3 is made with its subscription, by one order"
    (deep,) = pipeline.verify("accounts", method="deep")
    assert {(one.kind, one.key) for one in deep.divergences} == {
        ("different", "A-2"),
        ("different", "A-5"),
        ("different", "A-6"),
    }
    assert app.segments(api, "S-4"), "nobody touches what the target alone has"


def test_what_was_taken_over_is_followed_as_ones_own(
    pipeline: ls.Pipeline, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin
) -> None:
    ls.adopt(pipeline, "accounts")
    ls.run(pipeline, once=True)
    zuora_twin.tenant.counts.clear()
    db.execute(f"{MOVE} VALUES (12, 'S-1', '2026-06-01', 'Pro', 13.00, 4)")
    db.execute("UPDATE moves SET seats = 6 WHERE id = 2")
    ls.run(pipeline, once=True)
    assert writes(zuora_twin) == 2, "one order for each"
    assert app.segments(api, "S-1")[-1] == ("Pro", "2026-06-01", "2027-01-01", 4, 13)
    assert app.segments(api, "S-2") == [
        ("Basic", "2026-01-01", "2026-03-01", 5, 9),
        ("Basic", "2026-03-01", "2027-01-01", 6, 9),
    ], "what was left is written once the source changes it, and what was billed of it stays"
    for table, column in (("moves", "contract_id"), ("contracts", "id")):
        db.execute(f"DELETE FROM {table} WHERE {column} = 'S-1'")
    db.execute("DELETE FROM customers WHERE id = 'A-1'")
    ls.run(pipeline, once=True)
    assert app.segments(api, "S-1")[-1][2] == "2026-03-01", "its subscription ends where nothing is billed"


def test_what_differs_is_made_so_by_the_next_run_where_asked(
    pipeline: ls.Pipeline, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin
) -> None:
    db.execute("DELETE FROM customers WHERE id IN ('A-5', 'A-6')")
    ls.adopt(pipeline, "accounts", take_different=True)
    zuora_twin.tenant.counts.clear()
    ls.run(pipeline, once=True)
    assert writes(zuora_twin) == 2, "A-3 is made, A-2 changed"
    assert app.segments(api, "S-2")[-1] == ("Basic", "2026-03-01", "2027-01-01", 3, 9)
    (deep,) = pipeline.verify("accounts", method="deep")
    assert deep.agreement, deep


def test_what_a_person_makes_equal_afterwards_agrees(
    pipeline: ls.Pipeline, api: Api, zuora_twin: ZuoraTwin
) -> None:
    ls.adopt(pipeline, "accounts")
    by_hand.seats(api, "A-2", "S-2", "2026-03-01", 3)
    ls.run(pipeline, once=True)
    (deep,) = pipeline.verify("accounts", method="deep")
    assert all(one.fields == () for one in deep.divergences if one.key == "A-2")


@pytest.mark.parametrize("crash", ["created", "intended", "written", "settled"])
def test_killed_at_any_moment_it_goes_on(
    crash: str, pipeline: ls.Pipeline, tmp_path: Path, zuora_twin: ZuoraTwin
) -> None:
    zuora_twin.tenant.counts.clear()
    code = (
        "import sys, os; from pathlib import Path; import lockstep as ls; from tests.zuora import app\n"
        "tenant = ls.Zuora(sys.argv[1], client_id=sys.argv[2], client_secret=os.environ['SECRET'])\n"
        "ls.adopt(app.pipeline_of(Path(sys.argv[3]), Path(sys.argv[4]), tenant), 'accounts')"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "LOCKSTEP_CRASH": crash,
        "SECRET": zuora_twin.client_secret,
    }
    given = [zuora_twin.url, zuora_twin.client_id, str(tmp_path / "app.db"), str(tmp_path / "state")]
    killed = subprocess.run([sys.executable, "-c", code, *given], env=environment, timeout=60, check=False)
    assert killed.returncode == -9
    with pytest.raises(ls.Refused, match="half taken over"):
        ls.run(pipeline, once=True)
    assert ls.adopt(pipeline, "accounts").counts == FOUND
    assert writes(zuora_twin) == 0
    ls.run(pipeline, once=True)
    assert writes(zuora_twin) == 1
