"""A tenant's objects as a source keep the laws of readers and feeds that any tables will do for, against the
stand-in: `TablesLaw` and `FollowingLaw`.

The rest of `ReaderLaw` and `FeedLaw` changes tables of its own by SQL, and a tenant's objects are those that
they are. What Zuora has not, whatever its tables are: one moment of several reads; transactions; a log, so
that nothing is hinted of what is deleted, what was hinted may be hinted again, and no hint knows what was.
How it does instead is in `tests/zuora/test_source.py`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from tests.twins.api import Api, opened, stocked
from tests.twins.tenant import on
from tests.zuora import app

from lockstep.systems.zuora.tables.columns import Objects
from lockstep.testing.following_law import FollowingLaw
from lockstep.testing.source_world import World
from lockstep.testing.tables_law import TablesLaw
from lockstep.testing.ways import way
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import Table

BEGUN = dt.timedelta(days=100)
"""So long ago the tenant became what the laws begin with: no look goes back as far."""


class ZuoraWorld(World):
    """Accounts with subscriptions, invoices, and a payment. A statement is the name of a method: `order`."""

    def __init__(self, twin: ZuoraTwin, *, stamps: bool) -> None:
        self.source = app.tenant_of(twin).tables(every=0.05, overlap=dt.timedelta(seconds=30))
        self.before_images, self.prefix = False, ""
        self._stamps = stamps
        self._first = dt.datetime.now(dt.UTC) - BEGUN
        twin.set_clock(self._first, frozen=False)
        self._api = stocked(opened(twin))
        for number in ("A-1", "A-2", "a-2", "A,[3]"):
            self._api.account(number)
        self.execute("subscribe", "bill", "pay")
        twin.set_clock(None, frozen=False)

    def __exit__(self, *_: object) -> None:
        self._api.http.close()

    @property
    def tables(self) -> list[Table]:
        return [
            Table(one.name, self._columns(one.columns), (one.key,), tuple(one.references))
            for one in Objects("UTC", {}).tables.values()
        ]

    def _columns(self, names: dict[str, str]) -> tuple[str, ...]:
        return tuple(one for one in names if self._stamps or one not in ("createdDate", "updatedDate"))

    def execute(self, *statements: str) -> None:
        for name in statements:
            assert getattr(self, name)(self._api)["success"], name

    def _day(self, n: int) -> str:
        return (self._first.date() + dt.timedelta(n)).isoformat()

    # ways

    def open(self, api: Api) -> Any:
        return {"success": api.account("A-9")}

    def rename(self, api: Api) -> Any:
        return api.put("/v1/accounts/A-1", {"name": "Eve"})

    def subscribe(self, api: Api) -> Any:
        number = len(api.get("/object-query/subscriptions")["data"]) + 1
        return api.order(api.subscribe(self._day(0)), number=f"S-{number}")

    def update(self, api: Api) -> Any:
        return api.order(api.update(self._day(150), quantity=20))

    def cancel(self, api: Api) -> Any:
        day = self._day(200)
        end = {"cancellationPolicy": "SpecificDate", "cancellationEffectiveDate": day}
        return api.order({"type": "CancelSubscription", "triggerDates": on(day), "cancelSubscription": end})

    def bill(self, api: Api) -> Any:
        day = self._day(40 * len(api.get("/object-query/invoices")["data"]))
        return api.post("/v1/bill-runs", {"invoiceDate": day, "targetDate": day, "autoPost": True})

    def pay(self, api: Api) -> Any:
        invoice = api.get("/object-query/invoices")["data"][0]["id"]
        paid = {"accountNumber": "A-1", "amount": 10, "currency": "USD", "type": "External"}
        part = {"invoiceId": invoice, "amount": 10}
        return api.post("/v1/payments", {**paid, "effectiveDate": self._day(1), "invoices": [part]})


class TestZuoraReader(TablesLaw):
    @pytest.fixture
    def world(self, zuora_twin: ZuoraTwin) -> Iterator[World]:
        with ZuoraWorld(zuora_twin, stamps=True) as world:
            yield world


class TestZuoraFeed(FollowingLaw):
    own_ways = (
        way("an account is made", "accounts", "open"),
        way("an account has another name", "accounts", "rename"),
        way("an order makes a subscription", "subscriptions", "subscribe"),
        way("an order makes a version of a subscription", "subscriptions", "update"),
        way("an order cancels a subscription", "subscriptions", "cancel"),
        way("a bill run", "accounts, invoices, invoice-items", "bill"),
        way("a payment", "accounts, invoices, payments", "pay"),
        way("all at once", "accounts, subscriptions, invoices, invoice-items", "update", "rename", "bill"),
    )

    @pytest.fixture
    def world(self, zuora_twin: ZuoraTwin) -> Iterator[World]:
        with ZuoraWorld(zuora_twin, stamps=False) as world:
            yield world
