"""What the next invoice would be, shown before anything is ordered: in a hold, in a plan of named keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import lockstep as ls
from lockstep.cli.main import cli
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api
from tests.zuora import app

DEARER = "INSERT INTO moves VALUES (2, 'S-1', '2026-02-01', NULL, 'Pro', 12.50, 4)"


@pytest.fixture
def db(tmp_path: Path, api: Api) -> Iterator[sqlite3.Connection]:
    made = app.made(tmp_path / "app.db")
    made.execute("INSERT INTO customers VALUES ('A-1', 'Ada Ltd', 'EUR', NULL)")
    made.execute("INSERT INTO contracts VALUES ('S-1', 'A-1', '2026-01-01', 12, NULL)")
    made.execute("INSERT INTO moves VALUES (1, 'S-1', '2026-01-01', NULL, 'Pro', 9.00, 4)")
    yield made
    made.close()


def changes(numbers: ls.Numbers) -> str | None:
    return "somebody is asked about every change" if numbers.updates or numbers.removes else None


@pytest.fixture
def pipeline(tmp_path: Path, zuora_twin: ZuoraTwin) -> ls.Pipeline:
    guard = ls.Guard(also=(changes,))
    return app.pipeline_of(tmp_path / "app.db", tmp_path / "state", app.tenant_of(zuora_twin), guard=guard)


def hold(pipeline: ls.Pipeline) -> ls.operations.holds.Held:
    with pytest.raises(ls.HeldBack):
        ls.run(pipeline, once=True)
    (held,) = ls.holds(pipeline)
    return held


def orders(twin: ZuoraTwin) -> int:
    return twin.tenant.counts["POST /v1/orders"]


def billed(api: Api, through: str) -> float:
    """The amount of the invoices that a bill run makes."""
    before = {one["id"] for one in api.get("/object-query/invoices")["data"]}
    run = api.post("/v1/bill-runs", {"targetDate": through, "invoiceDate": through})
    api.put(f"/v1/bill-runs/{run['id']}/post", {})
    made = [one for one in api.get("/object-query/invoices")["data"] if one["id"] not in before]
    return float(sum(one["amount"] for one in made))


def test_a_hold_shows_the_next_invoice_and_that_is_what_is_billed(
    pipeline: ls.Pipeline, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin, tmp_path: Path
) -> None:
    ls.run(pipeline, once=True)
    assert billed(api, "2026-01-31") == 36
    before = orders(zuora_twin)
    db.execute(DEARER)
    held = hold(pipeline)
    assert orders(zuora_twin) == before, "a preview leaves nothing"
    assert held.preview == (
        "A-1: the next invoice, of all that is due up to 2026-03-01: 100.00 EUR",
        "A-1:   S-1 Pro-seat, 2026-02-01 to 2026-03-01: 50.00",
        "A-1:   S-1 Pro-seat, 2026-03-01 to 2026-04-01: 50.00",
    )
    said = CliRunner().invoke(cli, ["--state", str(tmp_path / "state"), "holds"]).output
    assert "what would follow, as the target says:" in said
    assert "100.00 EUR" in said
    ls.approve(pipeline, held.id, why="the list has changed", by="a person")
    ls.run(pipeline, once=True)
    assert billed(api, "2026-03-01") == 100


def test_of_what_ends_the_credit_is_shown(
    pipeline: ls.Pipeline, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin
) -> None:
    ls.run(pipeline, once=True)
    for table in ("moves", "contracts", "customers"):
        db.execute(f"DELETE FROM {table}")
    assert hold(pipeline).preview == ("A-1: nothing more is invoiced up to 2026-03-01",)
    (planned,) = ls.plan(pipeline, "accounts", ["A-1"])
    assert planned.action == "delete"
    assert planned.preview == ("nothing more is invoiced up to 2026-03-01",)
    assert planned.steps is not None
    assert planned.steps.steps == ("S-1: 2026-01-01 CancelSubscription",)


def test_a_preview_that_cannot_be_had_is_said_and_holds_all_the_same(
    pipeline: ls.Pipeline, db: sqlite3.Connection, zuora_twin: ZuoraTwin
) -> None:
    ls.run(pipeline, once=True)
    before = orders(zuora_twin)
    db.execute(DEARER)
    zuora_twin.faults(Fault(kind="500", path="/v1/orders/preview"))
    (line,) = hold(pipeline).preview
    assert line.startswith("what would follow cannot be said: POST /v1/orders/preview")
    assert orders(zuora_twin) == before


def test_a_plan_of_named_keys_says_it_too(
    pipeline: ls.Pipeline, db: sqlite3.Connection, zuora_twin: ZuoraTwin
) -> None:
    (planned,) = ls.plan(pipeline, "accounts", ["A-1"])
    assert planned.action == "create"
    ls.run(pipeline, once=True)
    db.execute(DEARER)
    (planned,) = ls.plan(pipeline, "accounts", ["A-1"])
    assert planned.preview[0].startswith("the next invoice, of all that is due up to 2026-03-01: 136.00 EUR")
    (planned,) = ls.plan(pipeline, "accounts")
    assert planned.preview == (), "of all keys it would cost a call each"


def test_what_was_billed_and_is_taken_back_is_a_credit(
    tmp_path: Path, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin
) -> None:
    tenant = app.tenant_of(zuora_twin)
    pipeline = ls.Pipeline("billing", state=tmp_path / "state")
    accounts = tenant.accounts(today=lambda: app.TODAY, rewrite_billed=True)
    pipeline.mapping(ls.SQLite(tmp_path / "app.db"), to=accounts, name="accounts")(app.account)
    ls.run(pipeline, once=True)
    assert billed(api, "2026-02-15") == 72
    db.execute("UPDATE contracts SET cancelled = '2026-02-01'")
    (planned,) = ls.plan(pipeline, "accounts", ["A-1"])
    assert (
        planned.preview[0] == "the next invoice, of all that is due up to 2026-03-01: -36.00 EUR (a credit)"
    )
