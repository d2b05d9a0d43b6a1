"""A walk through every endpoint of the stand-in, each request and answer written down for its judges."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.twins.api import Api, stocked
from tests.twins.tenant import on


def recorded(api: Api) -> list[dict[str, Any]]:
    """What was asked and answered, in order: method, path, body sent, status, body."""
    found: list[dict[str, Any]] = []

    def note(response: httpx.Response) -> None:
        response.read()
        request = response.request
        sent = request.content
        form = request.headers.get("content-type", "").startswith("application/x-www-form")
        found.append(
            {
                "method": request.method,
                "path": request.url.path,
                "sent": json.loads(sent) if sent and not form else None,
                "status": response.status_code,
                "body": response.text if "xml" in response.headers["content-type"] else response.json(),
            }
        )

    api.http.event_hooks["response"] = [note]
    _walk(stocked(api))
    api.http.event_hooks["response"] = []
    return [one for one in found if not one["path"].startswith("/twin")]


def _walk(api: Api) -> None:
    _accounts(api)
    _orders(api)
    _billing(api)
    _callouts(api)
    _queries(api)
    _failures(api)


def _accounts(api: Api) -> None:
    for number in ("A-1", "A-2"):
        api.account(number, crmId="001", Region__c="north", notes="a note", billCycleDay=1)
    api.get("/v1/accounts/A-1")
    api.put("/v1/accounts/A-1", {"name": "Ada & Co"})
    who = {
        "accountNumber": "A-1",
        "firstName": "Bob",
        "lastName": "B",
        "zipCode": "1234",
        "nickname": "bobby",
    }
    contact = api.post("/v1/contacts", who)
    api.get(f"/v1/contacts/{contact['id']}")
    api.put(f"/v1/contacts/{contact['id']}", {"city": "Lugo"})
    api.get("/v1/catalog/products")
    product = api.get("/object-query/products")["data"][0]["id"]
    api.get(f"/v1/catalog/product/{product}")


def _orders(api: Api) -> None:
    """Each order action once, on S-1 or on subscriptions of their own."""
    made = api.order(api.subscribe(notes="hello"), orderNumber="O-tour", description="a tour")
    assert made["success"], made
    api.get("/v1/orders/O-tour")
    api.order(api.update("2025-03-01", listPrice=12, quantity=11))
    assert api.put("/v1/subscriptions/S-1/customFields", {"customFields": {"Channel__c": "web"}})["success"]
    plan = api.get("/v1/subscriptions/S-1")["ratePlans"][0]
    day = "2025-04-01"
    override = {"productRatePlanChargeId": api.charge, "pricing": {"recurringPerUnit": {"quantity": 2}}}
    adding = {"productRatePlanId": api.plan, "chargeOverrides": [override]}
    actions = [
        ("AddProduct", "addProduct", adding),
        ("ChangePlan", "changePlan", {"ratePlanId": plan["id"], "newProductRatePlan": adding}),
        (
            "TermsAndConditions",
            "termsAndConditions",
            {"autoRenew": True, "lastTerm": {"termType": "TERMED", "period": 24, "periodType": "Month"}},
        ),
        ("OwnerTransfer", "ownerTransfer", {"destinationAccountNumber": "A-1"}),
        ("RenewSubscription", "renewSubscription", {}),
        ("Suspend", "suspend", {"suspendPolicy": "SpecificDate", "suspendSpecificDate": "2025-06-01"}),
        (
            "Resume",
            "resume",
            {"resumePolicy": "SpecificDate", "resumeSpecificDate": "2025-07-01", "extendsTerm": True},
        ),
    ]
    for type, name, body in actions:
        said = api.order({"type": type, "triggerDates": on(day), name: body})
        assert said["success"], (type, said)
    api.order(api.subscribe(), number="S-2")
    removed = api.get("/v1/subscriptions/S-2")["ratePlans"][0]["id"]
    api.order(
        {"type": "RemoveProduct", "triggerDates": on(day), "removeProduct": {"ratePlanId": removed}},
        number="S-2",
    )
    cancel = {"cancellationPolicy": "SpecificDate", "cancellationEffectiveDate": "2025-05-01"}
    last = api.order(
        {"type": "CancelSubscription", "triggerDates": on(day), "cancelSubscription": cancel}, number="S-2"
    )
    for detail in ("last-segment", "current-segment", "all-segments", "specific-segment"):
        for number in ("S-1", "S-2"):
            api.get(f"/v1/subscriptions/{number}", **{"charge-detail": detail, "as-of-date": "2025-04-15"})
    api.get("/v1/subscriptions/S-1/versions/2")
    api.get("/v1/subscriptions/accounts/A-1")
    api.get("/v1/orders")
    api.get("/subscription-change-logs/S-1")
    api.get("/subscription-change-logs/S-1/versions/2")
    api.get("/subscription-change-logs/orders/O-tour")
    api.get("/v1/orders/subscription/S-1")
    api.get("/v1/orders/subscriptionOwner/A-1")
    api.http.delete(f"/v1/orders/{last['orderNumber']}")
    options = {"previewTypes": ["BillingDocs"], "previewThruType": "SpecificDate"}
    options["specificPreviewThruDate"] = "2025-03-15"
    api.post(
        "/v1/orders/preview", api.order_body(api.subscribe(), number="S-3") | {"previewOptions": options}
    )
    body = api.order_body(api.subscribe(), number="S-4")
    jobs = [api.post("/v1/async/orders", body)["jobId"]]
    jobs.append(api.post("/v1/async/orders/preview", body | {"previewOptions": options})["jobId"])
    for job in jobs:
        while api.get(f"/v1/async-jobs/{job}")["status"] == "Processing":
            pass
    _pending(api)


def _pending(api: Api) -> None:
    api.put("/twin/settings", {"require_acceptance": True})
    action = api.subscribe()
    action["triggerDates"] = on("2025-01-01")[:2]
    made = api.order(action, number="S-5")
    api.get("/v1/subscriptions/S-5", **{"charge-detail": "all-segments"})
    dates = {
        "subscriptionNumber": "S-5",
        "orderActions": [{"sequence": 0, "triggerDates": on("2025-01-10")[2:]}],
    }
    api.put(f"/v1/orders/{made['orderNumber']}/triggerDates", {"subscriptions": [dates]})
    api.put("/twin/settings", {"require_acceptance": False})


def _billing(api: Api) -> None:
    run = api.post(
        "/v1/bill-runs", {"targetDate": "2025-03-15", "invoiceDate": "2025-03-15", "autoPost": False}
    )
    api.get(f"/v1/bill-runs/{run['id']}")
    api.put(f"/v1/bill-runs/{run['id']}/post")
    owner = api.get("/v1/accounts/A-1")["basicInfo"]["id"]
    invoice = api.get("/object-query/invoices", **{"filter[]": f"accountId.EQ:{owner}"})["data"][0]
    api.get(f"/v1/invoices/{invoice['id']}")
    api.get(f"/v1/invoices/{invoice['id']}/items")
    paid = {"invoiceId": invoice["id"], "amount": 100}
    body = {"accountNumber": "A-1", "type": "External", "amount": 150, "currency": "USD", "invoices": [paid]}
    payment = api.post("/v1/payments", body)
    assert payment["success"], payment
    api.get(f"/v1/payments/{payment['id']}")
    api.get("/v1/payments", accountId=payment["accountId"])


def _callouts(api: Api) -> None:
    callout = {
        "name": "orders",
        "calloutBaseurl": "http://127.0.0.1:9/nobody",
        "httpMethod": "POST",
        "eventTypeName": "OrderProcessed",
        "requiredAuth": True,
        "calloutAuth": {"username": "u", "password": "p"},
        "calloutParams": {"account": "<Account.AccountNumber>"},
        "calloutRetry": False,
    }
    said = {"name": "orders", "eventTypeName": "OrderProcessed", "active": True, "calloutActive": True}
    made = api.post("/notifications/notification-definitions", {**said, "callout": callout})
    api.get(f"/notifications/notification-definitions/{made['id']}")
    api.order(api.subscribe(), number="S-6")
    while not (sent := api.get("/v1/notification-history/callout")["calloutHistories"]):
        pass
    api.post("/notifications/callout-histories/resend", [sent[0]["id"], "none"])
    api.http.delete(f"/notifications/notification-definitions/{made['id']}")


def _queries(api: Api) -> None:
    expanded = {
        "accounts": "billto,subscriptions.rateplans.rateplancharges.rateplanchargetiers",
        "subscriptions": "account,rateplans.rateplancharges",
        "invoices": "invoiceitems",
    }
    for kind in KINDS:
        found = api.get(f"/object-query/{kind}", pageSize=3, **{"expand[]": expanded.get(kind, "")})["data"]
        assert found, kind
        api.get(f"/object-query/{kind}/{found[0]['id']}", includeNullFields="true")
    assert api.http.get("/v1/describe").status_code == 200
    assert api.http.get("/v1/describe/Account").status_code == 200
    api.post("/v1/action/query", {"queryString": "select Id, AccountNumber, Balance from Account"})
    api.post("/v1/action/query", {"queryString": "select Id, ChargeNumber, Segment from RatePlanCharge"})


def _failures(api: Api) -> None:
    api.get("/v1/accounts/nobody")
    api.order(api.update_of_nothing(), number="S-none")
    api.post("/v1/accounts", {"name": "x"})
    api.get("/object-query/accounts/nobody")
    api.post("/v1/action/query", {"queryString": "select * from Account"})


KINDS = (
    "accounts",
    "contacts",
    "products",
    "product-rate-plans",
    "product-rate-plan-charges",
    "product-rate-plan-charge-tiers",
    "subscriptions",
    "rate-plans",
    "rate-plan-charges",
    "rate-plan-charge-tiers",
    "orders",
    "invoices",
    "invoice-items",
    "payments",
    "billing-runs",
)
