"""Edits in Zuora's UI of what the app owns: repaired, held, accepted or reported, as the target says."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.errors import DeclarationError
from lockstep.systems.zuora.plans.drift import Policy
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.twins.zuora.users import PERSON, SERVICE
from tests.twins.api import Api, sign_in
from tests.zuora import app
from tests.zuora.sold import OWN, account, costs, database, edited, tenant

Pipelines = Callable[[dict[str, Policy]], ls.Pipeline]


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    """What a person does: it has the credentials of one."""
    made = tenant(zuora_twin)
    made.credentials = (PERSON.client_id, PERSON.client_secret)
    sign_in(made)
    yield made
    made.http.close()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(database(tmp_path / "app.db")) as made:
        yield made


@pytest.fixture
def written(tmp_path: Path, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin) -> Pipelines:
    def made(on_edit: dict[str, Policy]) -> ls.Pipeline:
        pipeline = ls.Pipeline("own", state=tmp_path / "state")
        target = app.tenant_of(zuora_twin).accounts(today=lambda: app.TODAY, on_edit=on_edit)
        pipeline.mapping(ls.SQLite(tmp_path / "app.db"), to=target, name="own")(account)
        ls.run(pipeline, once=True)
        return pipeline

    return made


def region(api: Api) -> str:
    return str(api.get("/v1/accounts/A-1")["basicInfo"]["Region__c"])


def channel(api: Api) -> str:
    return str(api.get("/v1/subscriptions/S-1")["Channel__c"])


def edit_both(api: Api) -> None:
    api.put("/v1/accounts/A-1", {"Region__c": "south"})
    api.put("/v1/subscriptions/S-1/customFields", {"customFields": {"Channel__c": "phone"}})


def both(policy: Policy) -> dict[str, Policy]:
    return {"Region__c": policy, "subscriptions.Channel__c": policy}


def different(pipeline: ls.Pipeline) -> set[str]:
    (report,) = pipeline.verify("own", method="deep")
    return {field.path for one in report.divergences for field in one.fields}


def mended(pipeline: ls.Pipeline) -> None:
    ls.repair(pipeline, "own")
    ls.run(pipeline, once=True)


@pytest.mark.parametrize(
    ("policy", "told", "stays"), [("repair", True, False), ("accept", False, True), ("report", True, True)]
)
def test_an_edit_goes_or_stays_and_is_told_or_not(
    policy: Policy, told: bool, stays: bool, written: Pipelines, db: sqlite3.Connection, api: Api
) -> None:
    pipeline = written(both(policy))
    edit_both(api)
    fields = {"custom.Region__c", "subscriptions[S-1].custom.Channel__c"}
    assert different(pipeline) == (fields if told else set())
    mended(pipeline)
    assert (region(api), channel(api)) == (("south", "phone") if stays else ("north", "web"))
    assert different(pipeline) == (fields if told and stays else set())
    db.execute("UPDATE sold SET later = 9")
    ls.run(pipeline, once=True)
    assert costs(api)[-1][1] == 4.5, "nothing else waits for it"
    assert (region(api), channel(api)) == (("south", "phone") if stays else ("north", "web"))
    db.execute("UPDATE sold SET channel = 'shop'")
    ls.run(pipeline, once=True)
    assert channel(api) == "shop", "what the app changes it owns again"
    assert not ls.stuck(pipeline, "own")


def test_a_held_edit_says_who_and_when_and_nothing_is_written(
    written: Pipelines, db: sqlite3.Connection, api: Api
) -> None:
    pipeline = written(both("hold"))
    edit_both(api)
    db.execute("UPDATE sold SET later = 9, channel = 'shop'")
    ls.run(pipeline, once=True)
    (stuck,) = ls.stuck(pipeline, "own")
    assert "Region__c was sent as 'north', is 'south'; the account was last changed by user " + PERSON.id in (
        stuck.error
    )
    assert f"(made by {SERVICE.id})" in stuck.error
    assert "subscriptions.Channel__c of S-1 was sent as 'web', is 'phone'; S-1 was last" in stuck.error
    assert "at 2026-02-01 " in stuck.error
    assert stuck.error in ls.explain(pipeline, "own", "A-1").verdict
    assert (region(api), channel(api), costs(api)[-1][1]) == ("south", "phone", 2.5)
    api.put("/v1/accounts/A-1", {"Region__c": "north"})
    api.put("/v1/subscriptions/S-1/customFields", {"customFields": {"Channel__c": "shop"}})
    ls.retry(pipeline, "own")
    ls.run(pipeline, once=True)
    assert not ls.stuck(pipeline, "own")
    assert costs(api)[-1][1] == 4.5
    assert different(pipeline) == set()


def test_a_held_edit_of_a_charge(written: Pipelines, db: sqlite3.Connection, api: Api) -> None:
    pipeline = written({"charges.Cost__c": "hold"})
    edited(api, {"Memo__c": "a person's own"})
    db.execute("UPDATE sold SET channel = 'shop'")
    ls.run(pipeline, once=True)
    assert channel(api) == "shop", "what the mapping does not name is a person's, and holds nothing"
    edited(api, {"Cost__c": 40})
    db.execute("UPDATE sold SET channel = 'web'")
    ls.run(pipeline, once=True)
    (stuck,) = ls.stuck(pipeline, "own")
    assert "charges.Cost__c of S-1 was sent as '2, 2.5', is '2, 2.5, 40'" in stuck.error
    assert f"S-1 was last changed by user {PERSON.id}" in stuck.error
    assert channel(api) == "shop"
    edited(api, {"Cost__c": 2.5})
    ls.retry(pipeline, "own")
    ls.run(pipeline, once=True)
    assert channel(api) == "web"


@pytest.mark.parametrize("then", ["north", "west"])
def test_what_was_sent_of_a_change_that_is_declined_is_nobodys_edit(
    written: Pipelines, db: sqlite3.Connection, api: Api, then: str
) -> None:
    """A change of two calls: the account's field is set, then the subscription's is declined. The app goes
    back, or on."""
    pipeline = written({"Region__c": "hold"})
    fewer = {
        "Account": {"Region__c": {}},
        "Subscription": {"Channel__c": {"type": "picklist", "options": ["web"]}},
    }
    fewer["RatePlanCharge"] = OWN["RatePlanCharge"]
    assert "today" in api.put("/twin/settings", {"custom_fields": fewer})
    db.execute("UPDATE sold SET region = 'south', channel = 'shop'")
    ls.run(pipeline, once=True)
    (stuck,) = ls.stuck(pipeline, "own")
    assert "Channel__c" in stuck.error
    assert (region(api), channel(api)) == ("south", "web")
    db.execute("UPDATE sold SET region = ?, channel = 'web'", (then,))
    ls.run(pipeline, once=True)
    assert not ls.stuck(pipeline, "own"), ls.stuck(pipeline, "own")
    assert region(api) == then
    assert different(pipeline) == set()


@pytest.mark.parametrize(
    "on_edit", [{"currency": "hold"}, {"name": "overwrite"}, {"charges.Cost__c": "accept"}]
)
def test_what_no_policy_can_be_for_is_refused(on_edit: dict[str, Policy], zuora_twin: ZuoraTwin) -> None:
    with pytest.raises(DeclarationError) as error:
        app.tenant_of(zuora_twin).accounts(on_edit=on_edit)
    assert error.value.remedy
