"""Accounts, the catalogue, object query and ZOQL over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.twins.api import Api


def test_an_account_with_its_contacts(api: Api) -> None:
    id = api.account(crmId="001", Region__c="north")
    said = api.get("/v1/accounts/A-1")
    assert (said["basicInfo"]["id"], said["basicInfo"]["crmId"], said["basicInfo"]["Region__c"]) == (
        id,
        "001",
        "north",
    )
    assert (said["billToContact"]["firstName"], said["metrics"]["contractedMrr"]) == ("Ada", 0)
    assert api.put("/v1/accounts/A-1", {"name": "Ada & Co", "billToContact": {"city": "Vigo"}})["success"]
    changed = api.get(f"/v1/accounts/{id}")
    assert (changed["basicInfo"]["name"], changed["billToContact"]["city"]) == ("Ada & Co", "Vigo")
    assert changed["billToContact"]["lastName"] == "Byron"

    assert api.put("/v1/accounts/A-1", {"currency": "EUR"})["success"] is False
    assert api.get("/v1/accounts/nobody")["reasons"][0]["code"] == 50000040
    double = {
        "accountNumber": "A-1",
        "name": "x",
        "currency": "USD",
        "billToContact": {"firstName": "a", "lastName": "b"},
    }
    assert api.post("/v1/accounts", double)["reasons"][0]["code"] % 100 == 43


def test_contacts(api: Api) -> None:
    api.account()
    made = api.post(
        "/v1/contacts", {"accountNumber": "A-1", "firstName": "Bob", "lastName": "B", "zipCode": "1234"}
    )
    assert api.get(f"/v1/contacts/{made['id']}")["zipCode"] == "1234"
    assert api.put(f"/v1/contacts/{made['id']}", {"city": "Lugo"})["city"] == "Lugo"
    assert api.post("/v1/contacts", {"accountNumber": "A-1", "firstName": "Bob"})["success"] is False


def test_the_catalogue(api: Api) -> None:
    product = api.get("/v1/catalog/products")["products"][0]
    charge = product["productRatePlans"][0]["productRatePlanCharges"][0]
    assert (charge["id"], charge["model"], charge["billingPeriod"]) == (api.charge, "PerUnit", "Month")
    assert [(one["currency"], one["price"]) for one in charge["pricing"]] == [("USD", 10), ("EUR", 9)]
    wrong = api.http.post("/v1/object/product-rate-plan", json={"Name": "x", "ProductId": "none"})
    assert (wrong.status_code, wrong.json()["Errors"][0]["Code"]) == (404, "INVALID_ID")


@pytest.fixture
def many(api: Api) -> Api:
    """Twenty-five accounts, the first of which has a subscription of two versions."""
    for n in range(25):
        api.account(f"A-{n + 1}", crmId=str(n % 3))
    assert api.order(api.subscribe())["success"]
    assert api.order(api.update("2025-07-01", listPrice=12))["success"]
    return api


def test_object_query_pages_through_everything_once(many: Api) -> None:
    seen: list[str] = []
    query: dict[str, Any] = {"pageSize": 7, "sort[]": "crmId.ASC", "fields[]": "accountNumber,crmId"}
    while True:
        said = many.get("/object-query/accounts", **query)
        assert len(said["data"]) <= 7
        assert set(said["data"][0]) == {"id", "accountNumber", "crmId"}
        seen += [one["accountNumber"] for one in said["data"]]
        if "nextPage" not in said:
            break
        query["cursor"] = said["nextPage"]
    assert sorted(seen) == sorted(f"A-{n + 1}" for n in range(25))


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["accountNumber.EQ:A-3"], {"A-3"}),
        (["accountNumber.IN:[A-3,A-4]"], {"A-3", "A-4"}),
        (["accountNumber.SW:A-2"], {"A-2", *(f"A-{n}" for n in range(20, 26))}),
        (["crmId.EQ:0", "accountNumber.LE:A-12"], {"A-1", "A-10"}),
        (["balance.GE:0", "accountNumber.EQ:A-9"], {"A-9"}),
        (["balance.GT:0"], set()),
        (["notes.EQ:null", "accountNumber.EQ:A-9"], {"A-9"}),
    ],
)
def test_object_query_filters(many: Api, filters: list[str], found: set[str]) -> None:
    said = many.http.get("/object-query/accounts", params={"filter[]": filters, "pageSize": 99}).json()
    assert {one["accountNumber"] for one in said["data"]} == found


@pytest.mark.parametrize(
    "form", ["2025-01-02T12:00:00Z", "2025-01-02T13:00:00.000+01:00", "2025-01-02T12:00:00+00:00"]
)
def test_what_was_updated_since_an_instant_in_any_form(many: Api, form: str) -> None:
    many.clock("2025-01-02")
    many.put("/v1/accounts/A-7", {"name": "other"})
    said = many.get("/object-query/accounts", **{"filter[]": f"updatedDate.GE:{form}"})
    assert [one["accountNumber"] for one in said["data"]] == ["A-7"]
    asked = _ask(many, f"select AccountNumber from Account where UpdatedDate >= {form}")
    assert [one["AccountNumber"] for one in asked["records"]] == ["A-7"]


def test_object_query_expands_down_to_the_tiers_where_the_price_is(many: Api) -> None:
    said = many.get(
        "/object-query/subscriptions/S-1",
        **{"expand[]": "rateplans.rateplancharges.rateplanchargetiers,account"},
    )
    assert (said["version"], said["isLatestVersion"], said["account"]["accountNumber"]) == (2, True, "A-1")
    charges = sorted(said["ratePlans"][0]["ratePlanCharges"], key=lambda one: one["segment"])
    assert [(one["segment"], one["isLastSegment"]) for one in charges] == [(1, False), (2, True)]
    assert [one["ratePlanChargeTiers"][0]["price"] for one in charges] == [10, 12]
    assert "price" not in charges[0]
    assert charges[0]["originalId"] == charges[1]["originalId"] != charges[0]["id"]


def test_object_query_shows_all_versions(many: Api) -> None:
    said = many.get("/object-query/subscriptions", **{"filter[]": "name.EQ:S-1", "sort[]": "version.ASC"})
    assert [(one["version"], one["status"]) for one in said["data"]] == [(1, "Expired"), (2, "Active")]
    assert said["data"][1]["previousSubscriptionId"] == said["data"][0]["id"]


@pytest.mark.parametrize(
    "query",
    [
        {"pageSize": 100},
        {"filter[]": "nonsense"},
        {"cursor": "nonsense"},
        {"sort[]": "a.ASC,b.ASC"},
        {"expand[]": "nothing"},
    ],
)
def test_object_query_says_400(many: Api, query: dict[str, Any]) -> None:
    said = many.http.get("/object-query/accounts", params=query)
    assert (said.status_code, said.json()["success"]) == (400, False)


def test_a_cursor_belongs_to_its_query(many: Api) -> None:
    cursor = many.get("/object-query/accounts", **{"filter[]": "crmId.EQ:0", "pageSize": 1})["nextPage"]
    other = many.http.get("/object-query/accounts", params={"filter[]": "crmId.EQ:1", "cursor": cursor})
    assert other.status_code == 400


def _ask(api: Api, query: str) -> Any:
    return api.post("/v1/action/query", {"queryString": query})


def test_zoql(many: Api) -> None:
    said = _ask(many, "select Id, AccountNumber, Notes from Account where AccountNumber = 'A-3'")
    assert (said["size"], said["done"]) == (1, True)
    assert set(said["records"][0]) == {"Id", "AccountNumber"}, "what is null is left out"
    rows = _ask(
        many, "select ChargeNumber, Segment, MRR, EffectiveStartDate from RatePlanCharge where Segment = 2"
    )
    assert [(one["Segment"], one["MRR"], one["EffectiveStartDate"]) for one in rows["records"]] == [
        (2, 120, "2025-07-01")
    ]


def test_zoql_binds_and_before_or(many: Api) -> None:
    said = _ask(
        many,
        "select AccountNumber from Account"
        " where AccountNumber = 'A-1' or AccountNumber like 'A-2%' and CrmId = '1'",
    )
    assert {one["AccountNumber"] for one in said["records"]} == {"A-1", "A-2", "A-20", "A-23"}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT Id FROM Account",
        "select * from Account",
        "select Id from Orders",
        "select Id from Account where (Name = 'x')",
        "select Id from Account where Name in ('x')",
        "select Id from Account order by Name",
        "select Nothing from Account",
        "select Id from Account where Name",
        "select Id from Account where Name = 'open",
        "select Id from Account where " + " and ".join(["Name = 'x'"] * 201),
    ],
)
def test_zoql_says_what_it_does_not_understand(many: Api, query: str) -> None:
    said = many.http.post("/v1/action/query", json={"queryString": query})
    assert said.status_code == 400
    assert said.json()["faultcode"] in {"fns:MALFORMED_QUERY", "fns:INVALID_VALUE"}


def test_zoql_of_more_than_a_page_goes_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockstep.twins.zuora.api.queries.PAGE", 10)
    for n in range(25):
        api.account(f"A-{n}")
    said = _ask(api, "select AccountNumber from Account")
    seen = [one["AccountNumber"] for one in said["records"]]
    used = said["queryLocator"]
    while not said["done"]:
        said = api.post("/v1/action/queryMore", {"queryLocator": said["queryLocator"]})
        seen += [one["AccountNumber"] for one in said["records"]]
    assert sorted(seen) == sorted(f"A-{n}" for n in range(25))
    assert api.http.post("/v1/action/queryMore", json={"queryLocator": used}).status_code == 400


def test_a_change_log_says_what_each_version_changed(many: Api) -> None:
    first, second = many.get("/subscription-change-logs/S-1")["subscriptions"]
    assert [(one["version"], one["type"]) for one in (first, second)] == [
        ("1", "CreateSubscription"),
        ("2", "UpdateProduct"),
    ]
    assert second["fields"] == [], "an update of a product changes nothing of the subscription itself"
    (plan,) = second["ratePlans"]
    assert plan["fields"] == [{"fieldName": "lastChangeType", "oldValue": "Add", "newValue": "Update"}]
    cut, new = plan["ratePlanCharges"]
    assert cut["fields"] == [
        {"fieldName": "effectiveEndDate", "oldValue": "2026-01-01", "newValue": "2025-07-01"}
    ]
    assert {one["fieldName"]: one["newValue"] for one in new["fields"]} == {
        "segment": "2",
        "quantity": "10",
        "price": "12",
        "effectiveStartDate": "2025-07-01",
        "effectiveEndDate": "2026-01-01",
    }
    assert many.get("/subscription-change-logs/S-1/versions/2")["subscription"] == second
    by_order = many.get(f"/subscription-change-logs/orders/{second['orderNumber']}")["subscriptions"]
    assert by_order == [second]
    assert many.get("/subscription-change-logs/S-1/versions/3")["success"] is False


def test_order_lists(many: Api) -> None:
    said = many.get("/v1/orders/subscription/S-1")
    assert [one["subscriptions"][0]["newVersion"] for one in said["orders"]] == [2, 1]
    assert len(many.get("/v1/orders/subscriptionOwner/A-1")["orders"]) == 2
    assert many.get("/v1/orders/subscriptionOwner/A-2")["orders"] == []
    first = many.get("/v1/orders", pageSize=1)
    assert len(first["orders"]) == 1
    assert many.http.get(first["nextPage"]).json()["orders"] != first["orders"]


def test_what_is_not_there_says_so(api: Api) -> None:
    said = api.http.put("/v1/orders/O-1/activate")
    assert said.status_code == 501
    assert "README" in said.json()["reasons"][0]["message"]
