"""What a tenant is set to: its time zone, its limits on orders; and what a deletion leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lockstep.twins.zuora.engine.settings import Settings
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.twins.zuora.tenant import Tenant
from tests.twins.api import Api, opened, stocked


@pytest.mark.parametrize(
    ("zone", "today"),
    [("UTC", "2025-01-01"), ("America/Los_Angeles", "2024-12-31"), ("Asia/Tokyo", "2025-01-01")],
)
def test_today_is_in_the_zone_of_the_tenant(api: Api, zone: str, today: str) -> None:
    api.put("/twin/clock", {"now": "2025-01-01T03:00:00Z", "frozen": True})
    assert api.put("/twin/settings", {"zone": zone})["today"] == today


@pytest.mark.parametrize(
    "said", [{"nothing": 1}, {"prorate": "maybe"}, {"partial": "by moons"}, {"zone": "Mars/North"}]
)
def test_settings_that_there_are_not(api: Api, said: dict[str, Any]) -> None:
    assert api.http.put("/twin/settings", json=said).status_code == 400


def test_orders_have_limits(api: Api) -> None:
    api.put("/twin/settings", {"orders_per_subscription": 2, "actions_per_order": 2})
    api.account()
    assert api.order(api.subscribe())["success"]
    three = [api.update("2025-02-01", quantity=n) for n in (1, 2, 3)]
    assert "order actions" in api.order(*three)["reasons"][0]["message"]
    assert api.order(*three[:2])["success"]
    said = api.order(three[2])
    assert "as many orders" in said["reasons"][0]["message"]
    assert api.get("/v1/subscriptions/S-1")["version"] == 3


def test_the_order_that_made_a_subscription_takes_it_away(api: Api) -> None:
    api.account()
    made = api.order(api.subscribe())
    assert api.http.delete(f"/v1/orders/{made['orderNumber']}").json()["success"]
    assert api.get("/v1/subscriptions/S-1")["success"] is False
    for kind in ("subscriptions", "rate-plans", "rate-plan-charges", "rate-plan-charge-tiers", "orders"):
        assert api.get(f"/object-query/{kind}")["data"] == [], kind
    assert api.order(api.subscribe(), orderNumber=made["orderNumber"])["success"]
    assert api.get("/v1/subscriptions/S-1")["version"] == 1


def test_a_restart_goes_on_from_the_file(tmp_path: Path) -> None:
    with ZuoraTwin(Tenant(tmp_path / "t.db", Settings(split_by_term=True))) as twin:
        api = opened(twin)
        api.clock("2025-01-01")
        stocked(api).account()
        api.order(api.subscribe())
        api.http.close()
    with ZuoraTwin(Tenant(tmp_path / "t.db")) as twin:
        api = opened(twin)
        renewal = {
            "type": "RenewSubscription",
            "triggerDates": [{"name": "ContractEffective", "triggerDate": "2026-01-01"}],
            "renewSubscription": {},
        }
        assert api.order(renewal)["success"]
        assert [one[:3] for one in api.segments()] == [
            (1, "2025-01-01", "2026-01-01"),
            (2, "2026-01-01", "2027-01-01"),
        ]
        api.http.close()
