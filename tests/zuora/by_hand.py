"""Accounts and subscriptions as people made them in a tenant: through its own API, order by order."""

from __future__ import annotations

from typing import Any

from tests.twins.api import Api
from tests.twins.tenant import on


def account(api: Api, number: str, currency: str = "EUR", **more: Any) -> None:
    api.account(number, currency=currency, **more)


def subscribed(api: Api, account: str, number: str, plan: str, seats: int, price: float) -> None:
    """From January 2026 for a year."""
    action = api.subscribe("2026-01-01", subscribeToRatePlans=[_plan(plan, seats, price)])
    order(api, account, number, action)


def seats(api: Api, account: str, number: str, day: str, seats: int) -> None:
    """Another number of seats of its first plan, from a day on."""
    plan = api.get(f"/v1/subscriptions/{number}")["ratePlans"][0]
    change = {
        "chargeNumber": plan["ratePlanCharges"][0]["number"],
        "pricing": {"recurringPerUnit": {"quantity": seats}},
    }
    update = {"ratePlanId": plan["id"], "chargeUpdates": [change]}
    order(
        api,
        account,
        number,
        {"type": "UpdateProduct", "triggerDates": on(day), "updateProduct": update},
    )


def changed(api: Api, account: str, number: str, day: str, plan: str, seats: int, price: float) -> None:
    """Its only plan goes on a day, by one order, and another comes, by a second."""
    old = api.get(f"/v1/subscriptions/{number}")["ratePlans"][0]["id"]
    remove = {"type": "RemoveProduct", "triggerDates": on(day), "removeProduct": {"ratePlanId": old}}
    order(api, account, number, remove)
    add = {"type": "AddProduct", "triggerDates": on(day), "addProduct": _plan(plan, seats, price)}
    order(api, account, number, add)


def billed(api: Api, until: str) -> None:
    run = api.post("/v1/bill-runs", {"targetDate": until, "invoiceDate": until})
    api.put(f"/v1/bill-runs/{run['id']}/post", {})


def order(api: Api, account: str, number: str, action: dict[str, Any]) -> None:
    said = api.order(action, number=number, account=account)
    assert said["success"], said


def _plan(plan: str, seats: int, price: float) -> dict[str, Any]:
    pricing = {"recurringPerUnit": {"quantity": seats, "listPrice": price}}
    return {
        "productRatePlanNumber": plan,
        "chargeOverrides": [{"productRatePlanChargeNumber": f"{plan}-seat", "pricing": pricing}],
    }
