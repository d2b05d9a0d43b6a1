"""An app whose mapping writes own fields of accounts, subscriptions and charges, and edits by hand."""

from __future__ import annotations

import datetime as dt
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import lockstep as ls
from lockstep.systems import zuora
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api
from tests.zuora import app

OWN: dict[str, dict[str, Any]] = {
    "Account": {"Region__c": {"type": "picklist", "options": ["north", "south"]}, "Notes__c": {}},
    "Subscription": {"Channel__c": {}, "Seller__c": {}},
    "RatePlanCharge": {"Cost__c": {"type": "decimal"}, "Memo__c": {}},
}
START = dt.date(2026, 1, 1)


class Sold(ls.Model, table="sold"):
    id: str = ls.key()
    region: str
    channel: str | None
    cost: int | None
    later: int | None


def tenant(twin: ZuoraTwin) -> Api:
    made = app.stocked(twin)
    assert "today" in made.put("/twin/settings", {"custom_fields": OWN})
    return made


def database(path: Path) -> sqlite3.Connection:
    made = sqlite3.connect(path, isolation_level=None, timeout=10)
    made.execute("PRAGMA journal_mode = WAL")
    made.execute(
        "CREATE TABLE sold (id TEXT PRIMARY KEY, region TEXT NOT NULL, channel TEXT, "
        "cost INTEGER, later INTEGER)"
    )
    made.execute("INSERT INTO sold VALUES ('A-1', 'north', 'web', 4, 5)")
    return made


def account(sold: Sold) -> zuora.Account:
    rates = [
        (day, {"Pro-seat": zuora.Rate(Decimal(9), Decimal(3), custom={"Cost__c": halved})})
        for day, cost in ((START, sold.cost), (dt.date(2026, 6, 1), sold.later))
        for halved in (None if cost is None else Decimal(cost) / 2,)
    ]
    return zuora.Account(
        key=sold.id,
        name="Ada Ltd",
        currency="EUR",
        bill_to=zuora.Contact(first_name="Ada", last_name="Byron", country="Spain"),
        custom={"Region__c": sold.region},
        subscriptions=(
            zuora.Subscription(
                key="S-1",
                term=zuora.Term(START, 12),
                charges={"Pro": ls.Timeline.from_events(rates)},
                custom={"Channel__c": sold.channel},
            ),
        ),
    )


def costs(api: Api) -> list[tuple[str, Any]]:
    said = api.get("/v1/subscriptions/S-1", **{"charge-detail": "all-segments"})
    (charge,) = said["ratePlans"][0]["ratePlanCharges"]
    return [(one["effectiveStartDate"], one.get("Cost__c")) for one in charge["chargeSegments"]]


def edited(api: Api, own: dict[str, Any]) -> None:
    """A person sets own fields of the charge from July on."""
    plan = api.get("/v1/subscriptions/S-1")["ratePlans"][0]
    update = {"chargeNumber": plan["ratePlanCharges"][0]["number"], "customFields": own}
    on = [{"name": name, "triggerDate": "2026-07-01"} for name in ("ContractEffective", "ServiceActivation")]
    done = api.order(
        {
            "type": "UpdateProduct",
            "triggerDates": on,
            "updateProduct": {"ratePlanId": plan["id"], "chargeUpdates": [update]},
        }
    )
    assert done["success"], done
