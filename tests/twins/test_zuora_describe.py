"""Describe and the tenant's own fields, as the stand-in has them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import pytest

from tests.twins.api import Api
from tests.twins.tour import KINDS

OWN = {
    "Account": {
        "Region__c": {"type": "picklist", "label": "Sales <region>", "options": ["north", "south"]},
        "Seats__c": {"type": "integer"},
        "Since__c": {"type": "date"},
        "Owner__c": {"required": True},
    },
    "Subscription": {"Channel__c": {"max_length": 8}},
    "RatePlanCharge": {"Cost__c": {"type": "decimal"}},
}


@pytest.fixture
def own(api: Api) -> Api:
    assert "today" in api.put("/twin/settings", {"custom_fields": OWN})
    return api


def described(api: Api, object: str) -> dict[str, ET.Element]:
    said = api.http.get(f"/v1/describe/{object}")
    assert said.headers["content-type"] == "text/xml; charset=utf-8"
    return {one.findtext("name", ""): one for one in ET.fromstring(said.content).findall("fields/field")}


def test_own_fields_are_described(own: Api) -> None:
    field = described(own, "Account")["Region__c"]
    assert [one.text for one in field.findall("options/option")] == ["north", "south"]
    assert {one.tag: one.text for one in field if len(one) == 0} == {
        "name": "Region__c",
        "label": "Sales <region>",
        "selectable": "true",
        "createable": "true",
        "updateable": "true",
        "custom": "true",
        "required": "false",
        "filterable": "true",
        "maxlength": "255",
        "type": "picklist",
    }


def test_what_records_have_is_described_and_nothing_else(own: Api) -> None:
    """Of each object that is listed: a field that no record can have, or one that is not told, is a lie."""
    own.account("A-1", Owner__c="x", Seats__c=3)
    assert own.order(own.subscribe())["success"]
    names = [
        str(one.text) for one in ET.fromstring(own.http.get("/v1/describe").content).findall("object/name")
    ]
    assert len(names) == 13
    for kind, object in zip(KINDS, names, strict=False):
        if kind in ("accounts", "contacts", "subscriptions", "rate-plans", "rate-plan-charges"):
            rows = own.get(f"/object-query/{kind}", pageSize=9, includeNullFields="true")["data"]
            has = {name[0].upper() + name[1:] for row in rows for name in row}
            assert has - set(described(own, object)) == set(), object


@pytest.mark.parametrize(
    ("fields", "category"),
    [
        ({"Owner__c": "x", "Region__c": "west"}, 20),
        ({"Owner__c": "x", "Seats__c": "3"}, 20),
        ({"Owner__c": "x", "Since__c": "2025-13-01"}, 20),
        ({"Owner__c": "x", "Nothing__c": "3"}, 21),
        ({"Region__c": "north"}, 22),
    ],
)
def test_what_does_not_fit_is_refused(own: Api, fields: dict[str, Any], category: int) -> None:
    who = {"firstName": "Ada", "lastName": "Byron", "country": "Spain"}
    said = own.post("/v1/accounts", {"name": "x", "currency": "USD", "billToContact": who, **fields})
    assert not said["success"]
    assert said["reasons"][0]["code"] % 100 == category


def test_own_fields_of_a_subscription_and_of_a_charges_segments(own: Api) -> None:
    own.account("A-1", Owner__c="x")
    first = own.subscribe()
    first["createSubscription"]["subscribeToRatePlans"][0]["chargeOverrides"][0]["customFields"] = {
        "Cost__c": 4.5
    }
    body = own.order_body(first)
    body["subscriptions"][0]["customFields"] = {"Channel__c": "web"}
    assert own.post("/v1/orders", body)["success"]
    update = own.update("2025-06-01", quantity=11)
    update["updateProduct"]["chargeUpdates"][0]["customFields"] = {"Cost__c": 6}
    assert own.order(update)["success"]
    said = own.get("/v1/subscriptions/S-1", **{"charge-detail": "all-segments"})
    assert said["Channel__c"] == "web"
    (charge,) = said["ratePlans"][0]["ratePlanCharges"]
    assert [one["Cost__c"] for one in charge["chargeSegments"]] == [4.5, 6]
    assert own.get("/object-query/subscriptions", **{"filter[]": "Channel__c.EQ:web"})["data"]
    body["subscriptions"][0]["customFields"] = {"Channel__c": "telephone"}
    assert own.post("/v1/orders", body)["reasons"][0]["code"] % 100 in (20, 43)
    queried = own.post("/v1/action/query", {"queryString": "select Id, Cost__c from RatePlanCharge"})
    assert sorted(one["Cost__c"] for one in queried["records"]) == [4.5, 4.5, 6]
    assert "faultcode" in own.post("/v1/action/query", {"queryString": "select None__c from Account"})


def test_settings_that_make_no_sense_are_refused(api: Api) -> None:
    senseless: list[dict[str, Any]] = [
        {"Account": {"Region": {}}},
        {"Account": {"Region__c": {"type": "picklist"}}},
        {"Account": {"Region__c": {"type": "colour"}}},
        {"Account": {"Region__c": {"type": "picklist", "options": ["a", "A"]}}},
    ]
    for own in senseless:
        assert "today" not in api.put("/twin/settings", {"custom_fields": own}), own


def test_what_the_user_may_not_read(api: Api) -> None:
    api.account()
    api.put("/twin/settings", {"unreadable": ["Account"]})
    refused = api.http.get("/v1/describe/Account")
    assert (refused.status_code, refused.json()["reasons"][0]["code"] % 100) == (400, 10)
    assert not api.get("/object-query/accounts")["success"]
    assert "faultcode" in api.post("/v1/action/query", {"queryString": "select Id from Account"})
    assert described(api, "Contact")
