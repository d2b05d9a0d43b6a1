"""Bill runs, invoices, payments."""

from __future__ import annotations

from typing import Any

import pytest

from tests.twins.api import Api
from tests.twins.tenant import on


def _run(api: Api, day: str, **more: Any) -> Any:
    said = api.post("/v1/bill-runs", {"targetDate": day, "invoiceDate": day, "autoPost": True, **more})
    assert said["success"], said
    done = api.get(f"/v1/bill-runs/{said['id']}")
    assert (said["status"], done["status"]) == (
        "Pending",
        "Posted" if more.get("autoPost", True) else "Completed",
    )
    return done


def _invoices(api: Api, account: str = "A-1") -> list[Any]:
    account = api.get(f"/v1/accounts/{account}")["basicInfo"]["id"]
    found = api.get("/object-query/invoices", **{"filter[]": f"accountId.EQ:{account}"})["data"]
    return sorted(found, key=lambda one: one["invoiceNumber"])


def _items(api: Api, invoice: Any) -> list[tuple[str, str, str]]:
    items = api.get(f"/v1/invoices/{invoice['id']}/items")["invoiceItems"]
    return sorted((one["serviceStartDate"], one["serviceEndDate"], one["chargeAmount"]) for one in items)


def test_a_bill_run_bills_what_is_due_once(api: Api) -> None:
    api.account()
    api.order(api.subscribe())
    _run(api, "2025-02-15")
    _run(api, "2025-02-20")
    (invoice,) = _invoices(api)
    assert (invoice["amount"], invoice["balance"], invoice["status"]) == (200, 200, "Posted")
    assert _items(api, invoice) == [
        ("2025-01-01", "2025-02-01", "100.00"),
        ("2025-02-01", "2025-03-01", "100.00"),
    ]
    charge = api.get("/v1/subscriptions/S-1")["ratePlans"][0]["ratePlanCharges"][0]
    assert charge["chargedThroughDate"] == "2025-03-01"
    assert api.get("/v1/subscriptions/S-1")["version"] == 1, "billing makes no version"
    assert api.get("/v1/accounts/A-1")["metrics"]["balance"] == 200


def test_a_change_of_what_was_billed_is_credited(api: Api) -> None:
    """chargedThroughDate lies behind the end until the next run makes good."""
    api.account()
    api.order(api.subscribe())
    _run(api, "2025-02-15")
    api.order(api.update("2025-02-15", quantity=4))
    first = api.get("/v1/subscriptions/S-1", **{"charge-detail": "all-segments"})["ratePlans"][0][
        "ratePlanCharges"
    ][0]
    assert [(one["effectiveEndDate"], one["chargedThroughDate"]) for one in first["chargeSegments"]] == [
        ("2025-02-15", "2025-03-01"),
        ("2026-01-01", None),
    ]
    _run(api, "2025-02-20")
    assert _items(api, _invoices(api)[1]) == [
        ("2025-02-15", "2025-03-01", "-50.00"),
        ("2025-02-15", "2025-03-01", "20.00"),
    ]
    _run(api, "2025-01-15")
    assert len(_invoices(api)) == 2, "a run to an earlier day takes nothing back"


def test_what_is_billed_blocks_the_deletion_of_its_order(api: Api) -> None:
    api.account()
    api.order(api.subscribe())
    order = api.order(api.update("2025-02-01", quantity=4))["orderNumber"]
    _run(api, "2025-02-15")
    said = api.http.delete(f"/v1/orders/{order}").json()
    assert "already been invoiced" in said["reasons"][0]["message"]
    assert api.get("/v1/subscriptions/S-1")["version"] == 2


def test_a_draft_run_is_posted_later(api: Api) -> None:
    api.account()
    api.order(api.subscribe())
    run = _run(api, "2025-01-01", autoPost=False)
    assert _invoices(api)[0]["status"] == "Draft"
    assert api.get("/v1/accounts/A-1")["metrics"]["balance"] == 0
    assert api.put(f"/v1/bill-runs/{run['id']}/post")["status"] == "Posted"
    assert _invoices(api)[0]["status"] == "Posted"
    assert api.get("/v1/accounts/A-1")["metrics"]["balance"] == 100


def test_a_bill_run_renews_what_renews_itself(api: Api) -> None:
    """Versions that nobody ordered."""
    api.account()
    api.order(api.subscribe(auto_renew=True))
    api.order(api.subscribe(), number="S-2")
    _run(api, "2026-01-01", autoRenewal=True)
    said = api.get("/v1/subscriptions/S-1")
    assert (said["version"], said["termEndDate"]) == (2, "2027-01-01")
    assert api.get("/v1/orders/subscription/S-1")["orders"][0]["description"] == "Automatic renewal"
    assert api.get("/v1/subscriptions/S-2")["version"] == 1


def test_who_pays_gets_the_invoice(api: Api) -> None:
    api.account()
    api.account("A-2")
    api.order(api.subscribe(invoiceOwnerAccountNumber="A-2"))
    _run(api, "2025-01-01")
    assert _invoices(api) == []
    assert _invoices(api, "A-2")[0]["amount"] == 100


def test_an_order_may_bill_at_once(api: Api) -> None:
    api.account()
    said = api.order(
        api.subscribe(),
        processingOptions={"runBilling": True, "billingOptions": {"targetDate": "2025-01-01"}},
    )
    assert [one["id"] for one in _invoices(api)] == said["invoiceIds"]


@pytest.mark.parametrize("amount", [100, 130])
def test_a_payment_pays_invoices(api: Api, amount: int) -> None:
    api.account()
    api.order(api.subscribe())
    _run(api, "2025-01-01")
    paid = {"invoiceId": _invoices(api)[0]["id"], "amount": 100}
    body = {
        "accountNumber": "A-1",
        "type": "External",
        "amount": amount,
        "currency": "USD",
        "invoices": [paid],
    }
    said = api.post("/v1/payments", body)
    assert (said["status"], said["appliedAmount"], said["unappliedAmount"]) == (
        "Processed",
        100,
        amount - 100,
    )
    assert _invoices(api)[0]["balance"] == 0
    assert api.get("/v1/accounts/A-1")["metrics"]["balance"] == 0
    assert api.post("/v1/payments", body)["success"] is False, "nothing is open any more"
    assert len(api.get("/v1/payments", accountId=said["accountId"])["payments"]) == 1


def test_suspension_and_cancellation_stop_the_bills(api: Api) -> None:
    api.account()
    api.order(api.subscribe())
    stop = {"suspendPolicy": "SpecificDate", "suspendSpecificDate": "2025-02-01"}
    api.order({"type": "Suspend", "triggerDates": on("2025-02-01"), "suspend": stop})
    _run(api, "2025-06-01")
    assert [one["amount"] for one in _invoices(api)] == [100]
    go = {"resumePolicy": "SpecificDate", "resumeSpecificDate": "2025-06-01", "extendsTerm": False}
    api.order({"type": "Resume", "triggerDates": on("2025-06-01"), "resume": go})
    end = {"cancellationPolicy": "SpecificDate", "cancellationEffectiveDate": "2025-07-01"}
    api.order({"type": "CancelSubscription", "triggerDates": on("2025-06-01"), "cancelSubscription": end})
    _run(api, "2025-12-01")
    assert [one["amount"] for one in _invoices(api)] == [100, 100]
    assert api.get("/v1/subscriptions/S-1")["status"] == "Cancelled"
