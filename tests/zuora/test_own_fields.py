"""Own fields that a mapping writes: on accounts, subscriptions and charges, against the stand-in."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api
from tests.zuora import app
from tests.zuora.sold import account, costs, database, edited, tenant


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    made = tenant(zuora_twin)
    yield made
    made.http.close()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(database(tmp_path / "app.db")) as made:
        yield made


@pytest.fixture
def pipeline(tmp_path: Path, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin) -> ls.Pipeline:
    made = ls.Pipeline("own", state=tmp_path / "state")
    target = app.tenant_of(zuora_twin).accounts(today=lambda: app.TODAY)
    made.mapping(ls.SQLite(tmp_path / "app.db"), to=target, name="own")(account)
    return made


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
