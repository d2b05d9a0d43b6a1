"""What the tenant sells, and what people do in it: a bill run, an edit in the vendor's own UI."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx

_SALE = {"EffectiveStartDate": "2000-01-01", "EffectiveEndDate": "2100-01-01"}


class Person:
    """Somebody who is signed in to the tenant."""

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)
        form = {"client_id": client_id, "client_secret": client_secret, "grant_type": "client_credentials"}
        token = self._http.post("/oauth/token", data=form).raise_for_status().json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        self._http.close()

    def sell(self, plans: dict[str, str]) -> None:
        """Puts a plan for each name into the catalogue, with one charge a seat and month."""
        product = self._ask("POST", "/v1/object/product", {"Name": "The product", **_SALE})["Id"]
        for name, price in plans.items():
            plan = {"Name": name, "ProductId": product, "ProductRatePlanNumber": name, **_SALE}
            made = self._ask("POST", "/v1/object/product-rate-plan", plan)["Id"]
            prices = [{"Currency": currency, "Price": float(price)} for currency in ("EUR", "USD")]
            charge = {
                "Name": "Seats",
                "ProductRatePlanId": made,
                "ProductRatePlanChargeNumber": f"{name}-SEAT",
                "ChargeModel": "Per Unit Pricing",
                "ChargeType": "Recurring",
                "BillingPeriod": "Month",
                "TriggerEvent": "ContractEffective",
                "UOM": "Each",
                "DefaultQuantity": 1,
                "ProductRatePlanChargeTierData": {"ProductRatePlanChargeTier": prices},
            }
            self._ask("POST", "/v1/object/product-rate-plan-charge", charge)

    def bill(self, day: dt.date) -> None:
        """Invoices all that is due until a day."""
        run = self._ask("POST", "/v1/bill-runs", {"targetDate": f"{day}", "invoiceDate": f"{day}"})
        self._ask("PUT", f"/v1/bill-runs/{run['id']}/post", {})

    def edit(self, account: str, subscription: str, day: dt.date, seats: int) -> None:
        """Gives a subscription other seats from a day on, as by the vendor's own UI."""
        said = self._ask("GET", f"/v1/subscriptions/{subscription}")
        plan = next(one for one in said["ratePlans"] if one.get("lastChangeType") != "Remove")
        charge = {
            "chargeNumber": plan["ratePlanCharges"][0]["number"],
            "pricing": {"recurringPerUnit": {"quantity": seats}},
        }
        names = ("ContractEffective", "ServiceActivation", "CustomerAcceptance")
        action = {
            "type": "UpdateProduct",
            "triggerDates": [{"name": name, "triggerDate": f"{day}"} for name in names],
            "updateProduct": {"ratePlanId": plan["id"], "chargeUpdates": [charge]},
        }
        order = {
            "orderDate": f"{day}",
            "existingAccountNumber": account,
            "subscriptions": [{"subscriptionNumber": subscription, "orderActions": [action]}],
        }
        self._ask("POST", "/v1/orders", order)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        said = self._http.request(method, path, json=body).raise_for_status().json()
        if said.get("success", said.get("Success")) is False:
            raise RuntimeError(f"{method} {path}: {said}")
        return said
