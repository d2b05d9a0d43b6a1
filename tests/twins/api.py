"""A client of the stand-in that knows HTTP and nothing else, and a tenant with a catalogue to order from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.tenant import on


@dataclass
class Api:
    """With a token; `plan` and `charge` are the ids of a per-unit monthly plan, 10 USD or 9 EUR a seat."""

    http: httpx.Client
    credentials: tuple[str, str]
    plan: str = ""
    charge: str = ""

    def get(self, path: str, **query: Any) -> Any:
        return self._said("GET", path, params=query)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._said("POST", path, json=body, headers=named)

    def put(self, path: str, body: Any = None) -> Any:
        return self._said("PUT", path, json=body)

    def delete(self, path: str) -> Any:
        return self._said("DELETE", path)

    def _said(self, method: str, path: str, **how: Any) -> Any:
        """Signs in anew where the token has expired: a fault of another's request ends everybody's."""
        answer = self.http.request(method, path, **how)
        while answer.status_code == 401:
            sign_in(self)
            answer = self.http.request(method, path, **how)
        return answer.json()

    def clock(self, now: str) -> None:
        """Stop the clock at a day."""
        assert "today" in self.put("/twin/clock", {"now": f"{now}T12:00:00+00:00", "frozen": True})

    def faults(self, *rules: dict[str, Any], seed: int = 0) -> None:
        assert "today" in self.put("/twin/faults", {"rules": list(rules), "seed": seed})

    def calls_out(self, port: int, user: str, password: str) -> None:
        """Calls out to a port of this machine whenever an order is processed."""
        callout = {
            "calloutBaseurl": f"http://127.0.0.1:{port}/",
            "requiredAuth": True,
            "calloutAuth": {"username": user, "password": password},
        }
        wanted = {"name": "n", "eventTypeName": "OrderProcessed", "calloutActive": True, "callout": callout}
        self.post("/notifications/notification-definitions", wanted)

    def account(self, number: str = "A-1", **more: Any) -> str:
        """A new account; its id."""
        who = {"firstName": "Ada", "lastName": "Byron", "country": "Spain", "workEmail": "ada@example.com"}
        body = {"accountNumber": number, "name": "Ada Ltd", "currency": "USD", "billToContact": who, **more}
        said = self.post("/v1/accounts", body)
        assert said["success"], said
        return str(said["accountId"])

    def order_body(self, *actions: dict[str, Any], number: str | None = "S-1", account: str = "A-1") -> Any:
        return {
            "orderDate": "2025-01-01",
            "existingAccountNumber": account,
            "subscriptions": [{"subscriptionNumber": number, "orderActions": list(actions)}],
        }

    def order(
        self, *actions: dict[str, Any], number: str | None = "S-1", account: str = "A-1", **more: Any
    ) -> Any:
        return self.post("/v1/orders", self.order_body(*actions, number=number, account=account) | more)

    def subscribe(self, day: str = "2025-01-01", *, quantity: int = 10, **more: Any) -> dict[str, Any]:
        override = {
            "productRatePlanChargeId": self.charge,
            "pricing": {"recurringPerUnit": {"quantity": quantity}},
        }
        return {
            "type": "CreateSubscription",
            "triggerDates": on(day),
            "createSubscription": {
                "terms": {
                    "initialTerm": {
                        "termType": "TERMED",
                        "period": 12,
                        "periodType": "Month",
                        "startDate": day,
                    },
                    "renewalTerms": [{"period": 12, "periodType": "Month"}],
                    "renewalSetting": "RENEW_WITH_SPECIFIC_TERM",
                    "autoRenew": more.pop("auto_renew", False),
                },
                "subscribeToRatePlans": [{"productRatePlanId": self.plan, "chargeOverrides": [override]}],
                **more,
            },
        }

    def segments(self, number: str = "S-1") -> list[tuple[Any, ...]]:
        """(segment, start, end, quantity, price) of the first charge, in order of time."""
        said = self.get(f"/v1/subscriptions/{number}", **{"charge-detail": "all-segments"})
        assert said["success"], said
        return [
            (s["segment"], s["effectiveStartDate"], s["effectiveEndDate"], s["quantity"], s["price"])
            for s in said["ratePlans"][0]["ratePlanCharges"][0]["chargeSegments"]
        ]

    def update_of_nothing(self) -> dict[str, Any]:
        """UpdateProduct of a subscription that is not there."""
        body = {"ratePlanId": "none", "chargeUpdates": [{"chargeNumber": "C-none"}]}
        return {"type": "UpdateProduct", "triggerDates": on("2025-01-01"), "updateProduct": body}

    def update(self, day: str, *, plan: str | None = None, **pricing: Any) -> dict[str, Any]:
        """UpdateProduct of the first charge of S-1."""
        if plan is None:
            plan = self.get("/v1/subscriptions/S-1")["ratePlans"][0]["id"]
        number = self.get("/v1/subscriptions/S-1")["ratePlans"][0]["ratePlanCharges"][0]["number"]
        change = {"chargeNumber": number, "pricing": {"recurringPerUnit": pricing}}
        return {
            "type": "UpdateProduct",
            "triggerDates": on(day),
            "updateProduct": {"ratePlanId": plan, "chargeUpdates": [change]},
        }


def opened(twin: ZuoraTwin) -> Api:
    """A client with a token, on a tenant that may be new."""
    http = httpx.Client(base_url=twin.url, timeout=20)
    api = Api(http, (twin.client_id, twin.client_secret))
    sign_in(api)
    return api


def sign_in(api: Api) -> None:
    id, secret = api.credentials
    form = {"client_id": id, "client_secret": secret, "grant_type": "client_credentials"}
    said = api.http.post("/oauth/token", data=form).json()
    api.http.headers["Authorization"] = f"Bearer {said['access_token']}"


def stocked(api: Api) -> Api:
    """With a catalogue."""
    sale = {"EffectiveStartDate": "2000-01-01", "EffectiveEndDate": "2100-01-01"}
    product = api.post("/v1/object/product", {"Name": "Service", **sale})["Id"]
    api.plan = api.post("/v1/object/product-rate-plan", {"Name": "Monthly", "ProductId": product, **sale})[
        "Id"
    ]
    seats = per_unit(api.plan, Name="Seats", BillCycleType="DefaultFromCustomer")
    api.charge = api.post("/v1/object/product-rate-plan-charge", seats)["Id"]
    return api


def per_unit(plan: str, **more: str) -> dict[str, Any]:
    """A monthly charge of a plan, 10 USD or 9 EUR for each unit."""
    prices = [{"Currency": "USD", "Price": 10}, {"Currency": "EUR", "Price": 9}]
    return {
        "ProductRatePlanId": plan,
        "ChargeModel": "Per Unit Pricing",
        "ChargeType": "Recurring",
        "BillingPeriod": "Month",
        "TriggerEvent": "ContractEffective",
        "UOM": "Each",
        "DefaultQuantity": 1,
        "ProductRatePlanChargeTierData": {"ProductRatePlanChargeTier": prices},
        **more,
    }


@contextlib.contextmanager
def subscribed(twin: ZuoraTwin) -> Iterator[Api]:
    """On 1 January 2025, with account A-1 and its subscription S-1."""
    api = opened(twin)
    api.clock("2025-01-01")
    stocked(api).account()
    assert api.order(api.subscribe())["success"]
    yield api
    api.http.close()
