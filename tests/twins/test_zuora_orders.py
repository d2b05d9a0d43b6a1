"""Orders over HTTP: what they make, what is refused and how it is said, what is kept for a repetition."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest

from lockstep.twins.zuora.users import PERSON, SERVICE
from tests.twins.api import Api, sign_in
from tests.twins.tenant import on


def test_versions_copy_the_tree_under_new_ids(api: Api) -> None:
    api.account()
    made = api.order(api.subscribe())
    assert made["success"]
    assert made["subscriptionNumbers"] == ["S-1"]
    first = api.get("/v1/subscriptions/S-1")
    assert (first["version"], first["status"], first["contractedMrr"]) == (1, "Active", 100)

    api.order(api.update("2025-07-01", listPrice=12.5))

    assert api.segments() == [
        (1, "2025-01-01", "2025-07-01", 10, 10),
        (2, "2025-07-01", "2026-01-01", 10, 12.5),
    ]
    second = api.get("/v1/subscriptions/S-1")
    plan, charge = second["ratePlans"][0], second["ratePlans"][0]["ratePlanCharges"][0]
    old = first["ratePlans"][0]["ratePlanCharges"][0]
    assert second["id"] != first["id"]
    assert plan["id"] != first["ratePlans"][0]["id"]
    assert (charge["number"], charge["originalChargeId"]) == (old["number"], old["originalChargeId"])
    assert charge["price"] == 12.5, "the default shows the last segment, which is not in force yet"
    now = api.get("/v1/subscriptions/S-1", **{"charge-detail": "current-segment"})
    assert now["ratePlans"][0]["ratePlanCharges"][0]["price"] == 10
    older = api.get("/v1/subscriptions/S-1/versions/1")
    assert (older["id"], older["status"], older["isLatestVersion"]) == (first["id"], "Expired", False)
    assert api.get(f"/v1/subscriptions/{first['id']}")["version"] == 2, "any version's id finds the latest"


def test_an_update_may_name_the_rate_plan_by_an_id_of_an_old_version(api: Api) -> None:
    api.account()
    api.order(api.subscribe())
    old = api.get("/v1/subscriptions/S-1")["ratePlans"][0]["id"]
    api.order(api.update("2025-03-01", quantity=11))
    assert api.order(api.update("2025-04-01", plan=old, quantity=12))["success"]
    assert [one[3] for one in api.segments()] == [10, 11, 12]


def test_the_last_segment_is_the_last_in_time_and_not_in_booking(api: Api) -> None:
    """Booked in May for July, then in June for May: the second has the higher number, and is not the last."""
    api.account()
    api.order(api.subscribe())
    api.order(api.update("2025-07-01", quantity=20))
    between = api.update("2025-05-01", quantity=15)
    between["updateProduct"]["specificUpdateDate"] = "2025-05-01"
    assert api.order(between)["success"]
    assert [(one[0], one[3]) for one in api.segments()] == [(1, 10), (3, 15), (2, 20)]
    assert api.get("/v1/subscriptions/S-1")["ratePlans"][0]["ratePlanCharges"][0]["quantity"] == 20
    rows = api.get("/object-query/subscriptions/S-1", **{"expand[]": "rateplans.rateplancharges"})
    last = [one["segment"] for one in rows["ratePlans"][0]["ratePlanCharges"] if one["isLastSegment"]]
    assert last == [2]


def test_a_person_in_the_ui_is_told_from_the_api(api: Api) -> None:
    api.account()
    mine = api.order(api.subscribe())["orderNumber"]
    update = api.update("2025-07-01", quantity=3)
    api.credentials = (PERSON.client_id, PERSON.client_secret)
    sign_in(api)
    theirs = api.order(update)["orderNumber"]
    made = [api.get(f"/v1/orders/{number}")["order"]["createdBy"] for number in (mine, theirs)]
    assert made == [SERVICE.id, PERSON.id]
    rows = api.get("/object-query/subscriptions", **{"filter[]": "name.EQ:S-1", "sort[]": "version.ASC"})[
        "data"
    ]
    assert [(one["createdById"], one["updatedById"]) for one in rows] == [
        (SERVICE.id, PERSON.id),
        (PERSON.id, PERSON.id),
    ]


def test_an_order_holds_whole_or_not_at_all(api: Api) -> None:
    """Two subscriptions, of which the second is wrong: neither is made, and no number is used up."""
    api.account()
    two = [
        {"subscriptionNumber": "S-1", "orderActions": [api.subscribe()]},
        {"subscriptionNumber": "S-2", "orderActions": [api.update_of_nothing()]},
    ]
    said = api.order(subscriptions=two, orderNumber="O-mine")
    assert said["success"] is False
    assert said["reasons"][0]["code"] % 100 == 40
    assert api.get("/v1/subscriptions/S-1")["success"] is False
    assert api.get("/v1/orders/O-mine")["success"] is False
    assert api.order(api.subscribe(), orderNumber="O-mine")["success"]


def test_the_same_order_number_twice_is_refused(api: Api) -> None:
    api.account()
    assert api.order(api.subscribe(), orderNumber="O-mine")["orderNumber"] == "O-mine"
    said = api.order(api.subscribe(), number="S-2", orderNumber="O-mine")
    assert said["reasons"][0]["code"] % 100 == 43
    assert api.get("/v1/orders/O-mine")["order"]["subscriptions"][0]["newVersion"] == 1


@pytest.mark.parametrize(
    ("change", "category"),
    [
        ({"existingAccountNumber": "nobody"}, 40),
        ({"orderDate": "yesterday"}, 20),
        ({"orderNumber": "with/slash"}, 20),
        ({"status": "Draft"}, 45),
        ({"subscriptions": []}, 22),
        ({"newAccount": {}}, 22),
    ],
)
def test_what_is_wrong_is_said_under_http_200(api: Api, change: dict[str, Any], category: int) -> None:
    api.account()
    said = api.order(api.subscribe(), **change)
    assert said["success"] is False
    assert said["reasons"][0]["code"] % 100 == category, said


def test_a_body_of_another_type_is_refused(api: Api) -> None:
    api.account()
    said = api.order({**api.subscribe(), "removeProduct": {}})
    assert "must not have a body for RemoveProduct" in said["reasons"][0]["message"]


def test_a_currency_that_the_catalogue_lacks_is_refused(api: Api) -> None:
    api.account(currency="CHF")
    assert "no price in CHF" in api.order(api.subscribe())["reasons"][0]["message"]


def test_deleting_an_order_rolls_back_and_numbers_are_used_again(api: Api) -> None:
    api.account()
    api.order(api.subscribe())
    gone = api.order(api.update("2025-07-01", quantity=20))
    said = api.http.delete(f"/v1/orders/{gone['orderNumber']}").json()
    assert said["success"]
    assert api.segments() == [(1, "2025-01-01", "2026-01-01", 10, 10)]
    assert api.get("/object-query/subscriptions", **{"filter[]": "name.EQ:S-1"})["data"][0]["isLatestVersion"]
    api.order(api.update("2025-09-01", quantity=30))
    assert api.segments()[1] == (2, "2025-09-01", "2026-01-01", 30, 10)
    assert api.get("/v1/subscriptions/S-1")["version"] == 2


def test_the_same_key_has_the_same_answer_for_a_day(api: Api) -> None:
    api.account()
    body = api.order_body(api.subscribe())
    first = api.post("/v1/orders", body, Idempotency_Key="k-1")
    assert api.post("/v1/orders", body, Idempotency_Key="k-1") == first
    assert len(api.get("/object-query/subscriptions")["data"]) == 1
    other = {**body, "description": "another"}
    assert api.http.post("/v1/orders", json=other, headers={"Idempotency-Key": "k-1"}).status_code == 422

    api.put("/twin/clock", {"now": "2025-01-02T12:00:01+00:00", "frozen": True})
    assert api.post("/v1/orders", body, Idempotency_Key="k-1")["reasons"][0]["code"] % 100 == 43, "forgotten"


def test_a_stored_failure_blocks_a_retry(api: Api) -> None:
    api.account()
    api.faults({"kind": "lock", "times": 1, "path": "/v1/orders"})
    body = api.order_body(api.subscribe())
    locked = api.post("/v1/orders", body, Idempotency_Key="k-1")
    assert locked["reasons"][0]["code"] % 100 == 50
    assert api.post("/v1/orders", body, Idempotency_Key="k-1") == locked
    assert api.post("/v1/orders", body, Idempotency_Key="k-2")["success"]


def test_an_order_whose_answer_timed_out_runs_to_its_end(api: Api) -> None:
    """Meanwhile its key is at work (409) and its account is locked; then the key has the real answer."""
    api.account()
    api.faults({"kind": "timeout", "times": 1, "path": "/v1/orders", "after": 1.5})
    body = api.order_body(api.subscribe())
    keyed = {"Idempotency-Key": "k-1"}
    assert api.http.post("/v1/orders", json=body, headers=keyed).status_code == 504
    assert api.get("/v1/subscriptions/S-1")["success"] is False
    assert api.http.post("/v1/orders", json=body, headers=keyed).status_code == 409
    assert api.order(api.subscribe(), number="S-2")["reasons"][0]["code"] % 100 == 50
    waited = _until(
        lambda: api.http.post("/v1/orders", json=body, headers=keyed), lambda r: r.status_code == 200
    )
    assert waited.json()["success"]
    assert api.segments() == [(1, "2025-01-01", "2026-01-01", 10, 10)]


def test_the_gateway_gives_up_on_a_slow_order_which_goes_on(api: Api) -> None:
    api.account()
    api.put("/twin/settings", {"order_seconds": 1.2, "gateway_seconds": 0.1})
    body = api.order_body(api.subscribe())
    keyed = {"Idempotency-Key": "k-1"}
    assert api.http.post("/v1/orders", json=body, headers=keyed).status_code == 504
    assert api.order(api.subscribe(), number="S-2")["reasons"][0]["code"] % 100 == 50
    waited = _until(
        lambda: api.http.post("/v1/orders", json=body, headers=keyed), lambda r: r.status_code == 200
    )
    assert waited.json()["subscriptionNumbers"] == ["S-1"]


def test_two_orders_at_once_on_one_account(api: Api) -> None:
    """Each is done, or meets the lock and says so; none is lost, none is done twice."""
    api.account()
    said: list[Any] = []

    def one(n: int) -> None:
        said.append(api.order(api.subscribe(), number=f"S-{n}"))

    threads = [Thread(target=one, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = {one["subscriptionNumbers"][0] for one in said if one["success"]}
    assert {one["reasons"][0]["code"] % 100 for one in said if not one["success"]} <= {50}
    assert {one["name"] for one in api.get("/object-query/subscriptions", pageSize=50)["data"]} == done
    assert done


def test_a_pending_subscription_waits_for_its_dates(api: Api) -> None:
    api.put("/twin/settings", {"require_activation": True})
    api.account()
    action = api.subscribe()
    action["triggerDates"] = on("2025-01-01")[:1]
    made = api.order(action)
    assert made["status"] == "Pending"
    assert api.get("/v1/subscriptions/S-1")["status"] == "Pending Activation"
    assert "Pending Activation" in api.order(api.update("2025-02-01", quantity=3))["reasons"][0]["message"]
    dates = {
        "subscriptionNumber": "S-1",
        "orderActions": [{"sequence": 0, "triggerDates": on("2025-01-10")[1:2]}],
    }
    said = api.put(f"/v1/orders/{made['orderNumber']}/triggerDates", {"subscriptions": [dates]})
    assert said["status"] == "Completed"
    assert api.get("/v1/subscriptions/S-1")["status"] == "Active"


def test_a_preview_changes_nothing(api: Api) -> None:
    api.account()
    api.order(api.subscribe())
    options = {"previewTypes": ["BillingDocs"], "previewThruType": "SpecificDate"}
    options["specificPreviewThruDate"] = "2025-03-15"
    body = api.order_body(api.update("2025-02-01", quantity=20)) | {"previewOptions": options}
    said = api.post("/v1/orders/preview", body)
    invoice = said["previewResult"]["invoices"][0]
    assert invoice["amount"] == 500, "100 of January, 200 of February and of March"
    assert [one["amountWithoutTax"] for one in invoice["invoiceItems"]] == [100, 200, 200]
    assert api.get("/v1/subscriptions/S-1")["version"] == 1
    later = api.post("/v1/async/orders/preview", body)["jobId"]
    done = _until(lambda: api.get(f"/v1/async-jobs/{later}"), lambda one: one["status"] != "Processing")
    assert done["result"]["previewResult"] == said["previewResult"]


def test_an_asynchronous_order(api: Api) -> None:
    api.account()
    job = api.post("/v1/async/orders", api.order_body(api.subscribe()))["jobId"]
    done = _until(lambda: api.get(f"/v1/async-jobs/{job}"), lambda one: one["status"] != "Processing")
    assert (done["status"], done["result"]["subscriptionNumbers"]) == ("Completed", ["S-1"])
    job = api.post("/v1/async/orders", api.order_body(api.subscribe()))["jobId"]
    done = _until(lambda: api.get(f"/v1/async-jobs/{job}"), lambda one: one["status"] != "Processing")
    assert (done["status"], done["errors"]) == ("Failed", "Subscription number S-1 already exists.")


def test_a_term_that_is_over_is_expired(api: Api) -> None:
    api.account()
    api.order(api.subscribe())
    api.clock("2026-01-01")
    assert api.get("/v1/subscriptions/S-1")["status"] == "Expired"
    found = api.get("/object-query/subscriptions", **{"filter[]": "status.EQ:Expired"})["data"]
    assert [one["name"] for one in found] == ["S-1"]


def _until(ask: Any, enough: Any) -> Any:
    import time

    end = time.monotonic() + 10
    while time.monotonic() < end:
        if enough(said := ask()):
            return said
        time.sleep(0.02)
    raise AssertionError(f"still {said}")
