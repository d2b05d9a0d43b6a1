"""Own fields that a mapping writes: on accounts, subscriptions and charges, against the stand-in."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import lockstep as ls
from lockstep.systems import zuora
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api
from tests.zuora import app

OWN: dict[str, dict[str, Any]] = {
    "Account": {"Region__c": {"type": "picklist", "options": ["north", "south"]}, "Notes__c": {}},
    "Subscription": {"Channel__c": {}, "Seller__c": {}},
    "RatePlanCharge": {"Cost__c": {"type": "decimal"}, "Memo__c": {}},
}
START = dt.date(2026, 1, 1)


class Sold(ls.Model, table="sold"):
    id: str = ls.key()
    region: str
    channel: str | None
    cost: int | None
    later: int | None


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    made = app.stocked(zuora_twin)
    assert "today" in made.put("/twin/settings", {"custom_fields": OWN})
    yield made
    made.http.close()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None, timeout=10)) as made:
        made.execute("PRAGMA journal_mode = WAL")
        made.execute(
            "CREATE TABLE sold (id TEXT PRIMARY KEY, region TEXT NOT NULL, channel TEXT, "
            "cost INTEGER, later INTEGER)"
        )
        made.execute("INSERT INTO sold VALUES ('A-1', 'north', 'web', 4, 5)")
        yield made


@pytest.fixture
def pipeline(tmp_path: Path, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin) -> ls.Pipeline:
    made = ls.Pipeline("own", state=tmp_path / "state")
    target = app.tenant_of(zuora_twin).accounts(today=lambda: app.TODAY)
    made.mapping(ls.SQLite(tmp_path / "app.db"), to=target, name="own")(account)
    return made


def account(sold: Sold) -> zuora.Account:
    rates = [
        (day, {"Pro-seat": zuora.Rate(Decimal(9), Decimal(3), custom={"Cost__c": halved})})
        for day, cost in ((START, sold.cost), (dt.date(2026, 6, 1), sold.later))
        for halved in (None if cost is None else Decimal(cost) / 2,)
    ]
    return zuora.Account(
        key=sold.id,
        name="Ada Ltd",
        currency="EUR",
        bill_to=zuora.Contact(first_name="Ada", last_name="Byron", country="Spain"),
        custom={"Region__c": sold.region},
        subscriptions=(
            zuora.Subscription(
                key="S-1",
                term=zuora.Term(START, 12),
                charges={"Pro": ls.Timeline.from_events(rates)},
                custom={"Channel__c": sold.channel},
            ),
        ),
    )


def costs(api: Api) -> list[tuple[str, Any]]:
    said = api.get("/v1/subscriptions/S-1", **{"charge-detail": "all-segments"})
    (charge,) = said["ratePlans"][0]["ratePlanCharges"]
    return [(one["effectiveStartDate"], one.get("Cost__c")) for one in charge["chargeSegments"]]


def agrees(pipeline: ls.Pipeline) -> None:
    (report,) = pipeline.verify("own", method="deep")
    assert report.agreement, report


def test_they_are_set_and_follow_what_the_mapping_says(
    pipeline: ls.Pipeline, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin
) -> None:
    ls.run(pipeline, once=True)
    assert api.get("/v1/accounts/A-1")["basicInfo"]["Region__c"] == "north"
    assert api.get("/v1/subscriptions/S-1")["Channel__c"] == "web"
    assert costs(api) == [("2026-01-01", 2), ("2026-06-01", 2.5)]
    agrees(pipeline)

    counts = zuora_twin.tenant.counts
    counts.clear()
    db.execute("UPDATE sold SET channel = 'shop'")
    ls.run(pipeline, once=True)
    assert api.get("/v1/subscriptions/S-1")["Channel__c"] == "shop"
    assert (counts["PUT /v1/subscriptions/{key}/customFields"], counts["POST /v1/orders"]) == (1, 0)

    db.execute("UPDATE sold SET later = NULL, region = 'south', channel = NULL")
    ls.run(pipeline, once=True)
    assert costs(api)[-1] == ("2026-06-01", None), "cleared by name"
    assert api.get("/v1/subscriptions/S-1").get("Channel__c") is None
    assert api.get("/v1/accounts/A-1")["basicInfo"]["Region__c"] == "south"
    agrees(pipeline)
    counts.clear()
    ls.run(pipeline, once=True)
    assert counts["POST /v1/orders"] + counts["PUT /v1/accounts/{key}"] == 0


def test_an_edit_is_found_and_what_is_not_named_is_left_alone(pipeline: ls.Pipeline, api: Api) -> None:
    ls.run(pipeline, once=True)
    edited(api, {"Memo__c": "a person's"})
    api.put("/v1/accounts/A-1", {"Notes__c": "a person's"})
    api.put("/v1/subscriptions/S-1/customFields", {"customFields": {"Seller__c": "a person"}})
    agrees(pipeline)
    edited(api, {"Cost__c": 40})
    (report,) = pipeline.verify("own", method="deep")
    assert report.counts == {"different": 1}
    assert "40" in str(report.divergences[0].fields)
    assert "Memo__c" not in str(report.divergences[0].fields), "nobody asked for it"
    ls.repair(pipeline, "own")
    ls.run(pipeline, once=True)
    assert costs(api)[-1] == ("2026-07-01", 2.5)
    agrees(pipeline)
    last = api.get("/v1/subscriptions/S-1", **{"charge-detail": "last-segment"})
    assert last["ratePlans"][0]["ratePlanCharges"][0]["Memo__c"] == "a person's"
    assert last["Seller__c"] == "a person"


def edited(api: Api, own: dict[str, Any]) -> None:
    """A person sets own fields of the charge from July on."""
    plan = api.get("/v1/subscriptions/S-1")["ratePlans"][0]
    update = {"chargeNumber": plan["ratePlanCharges"][0]["number"], "customFields": own}
    on = [{"name": name, "triggerDate": "2026-07-01"} for name in ("ContractEffective", "ServiceActivation")]
    done = api.order(
        {
            "type": "UpdateProduct",
            "triggerDates": on,
            "updateProduct": {"ratePlanId": plan["id"], "chargeUpdates": [update]},
        }
    )
    assert done["success"], done


def test_what_no_picklist_offers_is_stuck_and_says_so(
    pipeline: ls.Pipeline, db: sqlite3.Connection, api: Api
) -> None:
    ls.run(pipeline, once=True)
    db.execute("UPDATE sold SET region = 'west'")
    ls.run(pipeline, once=True)
    (stuck,) = ls.stuck(pipeline, "own")
    assert "Region__c" in str(stuck)
    assert "'west'" in str(stuck)
    assert api.get("/v1/accounts/A-1")["basicInfo"]["Region__c"] == "north"


def test_a_plan_draws_them(pipeline: ls.Pipeline, db: sqlite3.Connection) -> None:
    ls.run(pipeline, once=True)
    db.execute("UPDATE sold SET later = 7, channel = 'shop'")
    (planned,) = ls.plan(pipeline, "own", ["A-1"])
    told = str(planned.steps)
    assert "Cost__c=3.5" in told
    assert "S-1: set Channel__c" in told
