"""An app's accounts, brought by the real engine into the stand-in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.operations.opened import closed_door, existing
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import Listed
from tests.twins.api import Api
from tests.zuora import app


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = app.made(tmp_path / "app.db")
    made.execute("INSERT INTO customers VALUES ('A-1', 'Ada Ltd', 'EUR', 'ada@example.com')")
    made.execute("INSERT INTO contracts VALUES ('S-1', 'A-1', '2026-01-01', 12, NULL)")
    made.execute("INSERT INTO moves VALUES (1, 'S-1', '2026-01-01', NULL, 'Basic', 9.00, 3)")
    made.execute("INSERT INTO moves VALUES (2, 'S-1', '2026-03-03', NULL, 'Pro', 12.50, 4)")
    yield made
    made.close()


@pytest.fixture
def pipeline(tmp_path: Path, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin) -> ls.Pipeline:
    return app.pipeline_of(tmp_path / "app.db", tmp_path / "state", app.tenant_of(zuora_twin))


def writes(twin: ZuoraTwin) -> int:
    """Calls that changed something, since the counts were last cleared."""
    counts = twin.tenant.counts
    return counts["POST /v1/orders"] + counts["POST /v1/accounts"] + counts["PUT /v1/accounts/{key}"]


def test_an_account_is_made_and_a_second_run_writes_nothing(
    pipeline: ls.Pipeline, api: Api, zuora_twin: ZuoraTwin
) -> None:
    ls.run(pipeline, once=True)
    assert app.segments(api, "S-1") == [
        ("Basic", "2026-01-01", "2026-03-03", 3, 9),
        ("Pro", "2026-03-03", "2027-01-01", 4, 12.5),
    ]
    zuora_twin.tenant.counts.clear()
    ls.run(pipeline, once=True)
    assert writes(zuora_twin) == 0
    (report,) = pipeline.verify("accounts", method="deep")
    assert report.agreement, report
    assert writes(zuora_twin) == 0
    assert zuora_twin.tenant.counts["GET /v1/subscriptions/accounts/{key}"] == 1, "a check reads it once"


def test_what_is_listed_is_what_is_scanned(pipeline: ls.Pipeline, db: sqlite3.Connection) -> None:
    db.executemany("INSERT INTO customers VALUES (?, 'Ltd', 'EUR', NULL)", [(f"B-{n}",) for n in range(5)])
    ls.run(pipeline, once=True)
    with existing(pipeline) as store, closed_door(pipeline.named("accounts"), 1, store) as door:
        for after, limit in ((None, 10), (None, 2), (door.scan(None, 2)[-1].key, 3)):
            scanned = door.scan(after, limit)
            assert door.listed(after, limit) == [Listed(one.key, one.meta) for one in scanned]
            assert scanned


def test_a_change_costs_two_calls(
    pipeline: ls.Pipeline, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin
) -> None:
    ls.run(pipeline, once=True)
    zuora_twin.tenant.counts.clear()
    db.execute("INSERT INTO moves VALUES (3, 'S-1', '2026-06-01', NULL, 'Pro', 13.00, 4)")
    ls.run(pipeline, once=True)
    assert app.segments(api, "S-1")[-2:] == [
        ("Pro", "2026-03-03", "2026-06-01", 4, 12.5),
        ("Pro", "2026-06-01", "2027-01-01", 4, 13),
    ]
    of_account = {"POST /v1/orders": 1, "GET /v1/subscriptions/accounts/{key}": 1}
    counts = zuora_twin.tenant.counts
    assert {name: counts[name] for name in of_account} == of_account
    assert writes(zuora_twin) == 1
    assert counts["GET /object-query/{kind}"] == 0


def test_an_account_that_goes_has_its_subscriptions_cancelled_where_nothing_is_billed(
    pipeline: ls.Pipeline, db: sqlite3.Connection, api: Api
) -> None:
    ls.run(pipeline, once=True)
    run = api.post("/v1/bill-runs", {"targetDate": "2026-02-01", "invoiceDate": "2026-02-01"})
    api.put(f"/v1/bill-runs/{run['id']}/post", {})
    billed = api.get("/v1/subscriptions/S-1", **{"charge-detail": "all-segments"})
    segments = [one for plan in billed["ratePlans"] for one in plan["ratePlanCharges"][0]["chargeSegments"]]
    to = max(one["chargedThroughDate"] for one in segments if one.get("chargedThroughDate"))
    for table in ("moves", "contracts", "customers"):
        db.execute(f"DELETE FROM {table}")
    ls.run(pipeline, once=True)
    assert [(plan, end) for plan, _, end, _, _ in app.segments(api, "S-1")] == [("Basic", to)]


def test_an_edit_by_a_person_is_found_and_mended(
    pipeline: ls.Pipeline, api: Api, zuora_twin: ZuoraTwin
) -> None:
    ls.run(pipeline, once=True)
    before = app.segments(api, "S-1")
    said = api.get("/v1/subscriptions/S-1")
    plan = next(one for one in said["ratePlans"] if one["productRatePlanNumber"] == "Pro")
    edit = {
        "ratePlanId": plan["id"],
        "chargeUpdates": [
            {
                "chargeNumber": plan["ratePlanCharges"][0]["number"],
                "pricing": {"recurringPerUnit": {"quantity": 40}},
            }
        ],
    }
    on = [{"name": name, "triggerDate": "2026-05-01"} for name in ("ContractEffective", "ServiceActivation")]
    done = api.order({"type": "UpdateProduct", "triggerDates": on, "updateProduct": edit})
    assert done["success"], done
    (report,) = pipeline.verify("accounts", method="deep")
    assert report.counts == {"different": 1}
    (field,) = report.divergences[0].fields
    assert field.path == "subscriptions[S-1].charges.Pro[2026-05-01 to 2027-01-01].Pro-seat.quantity"
    assert (field.expected, field.actual) == (4, 40)
    ls.repair(pipeline, "accounts")
    ls.run(pipeline, once=True)
    assert app.segments(api, "S-1") != before  # the cut stays: it is no difference
    (report,) = pipeline.verify("accounts", method="deep")
    assert report.agreement, report


def test_a_plan_says_what_would_be_ordered_and_orders_nothing(
    pipeline: ls.Pipeline, db: sqlite3.Connection, zuora_twin: ZuoraTwin
) -> None:
    ls.run(pipeline, once=True)
    zuora_twin.tenant.counts.clear()
    db.execute("INSERT INTO moves VALUES (3, 'S-1', '2026-06-01', NULL, 'Pro', 13.00, 4)")
    (planned,) = ls.plan(pipeline, "accounts", ["A-1"])
    assert planned.steps is not None
    (step,) = planned.steps.steps
    assert step.startswith("S-1: 2026-06-01 UpdateProduct")
    (sides,) = planned.steps.sides
    assert sides.name == "S-1 Pro"
    assert [span.value for span in sides.wanted] == ["4 × 12.5", "4 × 13"]
    assert writes(zuora_twin) == 0


@pytest.mark.parametrize("held", [False, True])
def test_an_edit_of_a_name_is_overwritten_or_held(
    held: bool, tmp_path: Path, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin
) -> None:
    path, state, tenant = tmp_path / "app.db", tmp_path / "state", app.tenant_of(zuora_twin)
    pipeline = app.pipeline_of(path, state, tenant, {"name": "hold"} if held else {})
    ls.run(pipeline, once=True)
    api.put("/v1/accounts/A-1", {"name": "Typed in the UI"})
    db.execute("UPDATE customers SET email = 'other@example.com', name = 'Ada & Co'")
    ls.run(pipeline, once=True)
    name = api.get("/v1/accounts/A-1")["basicInfo"]["name"]
    assert name == ("Typed in the UI" if held else "Ada & Co")
    reasons = [str(one) for one in ls.stuck(pipeline, "accounts")]
    assert bool(reasons) == held
    assert all("sent as 'Ada Ltd', is 'Typed in the UI'" in one for one in reasons)
    if not held:
        return
    api.put("/v1/accounts/A-1", {"name": "Ada Ltd"})  # set back, as the mend says
    ls.retry(pipeline, "accounts")
    ls.run(pipeline, once=True)
    assert api.get("/v1/accounts/A-1")["basicInfo"]["name"] == "Ada & Co"
    assert not ls.stuck(pipeline, "accounts")
