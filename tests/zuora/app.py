"""A small app with plans and plan changes, its mapping to Zuora, what it earns a month, and a catalogue for
it in the stand-in."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

import lockstep as ls
from lockstep.effective import together
from lockstep.systems import zuora
from lockstep.systems.zuora.models import plus_months
from lockstep.systems.zuora.plans.actions import DateRules
from lockstep.systems.zuora.plans.drift import Policy
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api, opened, per_unit

TODAY = dt.date(2026, 2, 1)


class Customer(ls.Model, table="customers"):
    id: str = ls.key()
    name: str
    currency: str
    email: str | None


class Contract(ls.Model, table="contracts"):
    id: str = ls.key()
    customer_id: str = ls.ref("Customer.id")
    start: dt.date
    months: int | None
    cancelled: dt.date | None


class Move(ls.Model, table="moves"):
    id: int = ls.key()
    contract_id: str = ls.ref("Contract.id")
    day: dt.date
    at: str | None
    plan: str | None
    price: Decimal
    seats: int


class Extra(ls.Model, table="extras"):
    """An add-on beside the plan, with dates of its own."""

    id: int = ls.key()
    contract_id: str = ls.ref("Contract.id")
    day: dt.date
    at: str | None
    plan: str | None
    price: Decimal
    seats: int


class Pause(ls.Model, table="pauses"):
    id: int = ls.key()
    contract_id: str = ls.ref("Contract.id")
    since: dt.date
    until: dt.date | None


class Moved(Contract):
    moves: list[Move]
    extras: list[Extra]
    pauses: list[Pause]


class Billed(Customer):
    contracts: list[Moved]


SCHEMA = """
CREATE TABLE customers (id TEXT PRIMARY KEY, name TEXT NOT NULL, currency TEXT NOT NULL, email TEXT);
CREATE TABLE contracts (id TEXT PRIMARY KEY, customer_id TEXT NOT NULL REFERENCES customers (id),
    start DATE NOT NULL, months INTEGER, cancelled DATE);
CREATE TABLE moves (id INTEGER PRIMARY KEY, contract_id TEXT NOT NULL REFERENCES contracts (id),
    day DATE NOT NULL, at TEXT, plan TEXT, price DECIMAL(12, 2) NOT NULL, seats INTEGER NOT NULL);
CREATE TABLE extras (id INTEGER PRIMARY KEY, contract_id TEXT NOT NULL REFERENCES contracts (id),
    day DATE NOT NULL, at TEXT, plan TEXT, price DECIMAL(12, 2) NOT NULL, seats INTEGER NOT NULL);
CREATE TABLE pauses (id INTEGER PRIMARY KEY, contract_id TEXT NOT NULL REFERENCES contracts (id),
    since DATE NOT NULL, until DATE);
"""

PLANS = ("Basic", "Pro")
ADD_ONS = ("Support",)


def account(customer: Billed) -> zuora.Account:
    """Who is on which plan since when: `None` as a plan is none."""
    return zuora.Account(
        key=customer.id,
        name=customer.name,
        currency=customer.currency,
        bill_to=zuora.Contact(first_name="Ada", last_name="Byron", email=customer.email, country="Spain"),
        subscriptions=tuple(_subscription(one) for one in sorted(customer.contracts, key=lambda one: one.id)),
    )


def _subscription(contract: Moved) -> zuora.Subscription:
    charges = _charges(PLANS, contract.moves) | _charges(ADD_ONS, contract.extras)
    return zuora.Subscription(
        key=contract.id,
        term=zuora.Term(contract.start, contract.months),
        charges={plan: one for plan, one in charges.items() if one},
        cancelled=contract.cancelled,
        paused=_paused(contract),
    )


def _charges(plans: Iterable[str], told: Sequence[Move | Extra]) -> dict[str, ls.Timeline[zuora.Rates]]:
    moves = sorted(told, key=lambda one: one.id)
    return {
        plan: ls.Timeline.from_events(
            (_when(move), _rates(move) if move.plan == plan else None) for move in moves
        )
        for plan in plans
    }


def _paused(contract: Moved) -> ls.Timeline[bool]:
    return ls.Timeline((one.since, one.until, True) for one in contract.pauses)


def _when(move: Move | Extra) -> dt.date | dt.datetime:
    """`at` is the instant, in UTC, of an app that knows one; what day that is the tenant's zone says."""
    return move.day if move.at is None else dt.datetime.fromisoformat(move.at)


def _rates(move: Move | Extra) -> zuora.Rates:
    return {f"{move.plan}-seat": zuora.Rate(move.price, Decimal(move.seats))}


def monthly_revenue(customer: Billed) -> dict[str, ls.Timeline[Decimal]]:
    """What comes in a month, from the app's rows alone."""
    parts = {one.id: _income(one) for one in customer.contracts}
    return {customer.currency: together(parts).map(lambda held: sum(held.values(), Decimal(0)))}


def _income(contract: Moved) -> ls.Timeline[Decimal]:
    parts = {"plan": _agreed(contract.moves), "extra": _agreed(contract.extras)}
    whole = together(parts).map(lambda held: sum(held.values(), Decimal(0)))
    for pause in contract.pauses:
        whole = whole.without(pause.since, pause.until)
    end = None if contract.months is None else plus_months(contract.start, contract.months)
    return whole.between(contract.start, contract.cancelled or end)


def _agreed(told: Sequence[Move | Extra]) -> ls.Timeline[Decimal]:
    moves = sorted(told, key=lambda one: (one.day, one.at or "", one.id))
    return ls.Timeline.from_events(
        (one.day, None if one.plan is None else one.price * one.seats) for one in moves
    )


def example(*, seats: int = 3, plan: str = "Pro", currency: str = "EUR") -> zuora.Account:
    """An account with one subscription, whose price rises."""
    start, rise = dt.date(2026, 1, 1), dt.date(2026, 5, 1)
    costs = [(start, Decimal(9)), (rise, Decimal(12))]
    rates = [(day, {f"{plan}-seat": zuora.Rate(price, Decimal(seats))}) for day, price in costs]
    subscription = zuora.Subscription(
        key="S-1", term=zuora.Term(start, 12), charges={plan: ls.Timeline.from_events(rates)}
    )
    return zuora.Account(
        key="A-1",
        name="Ada Ltd",
        currency=currency,
        bill_to=zuora.Contact(first_name="Ada", last_name="Byron", country="Spain"),
        subscriptions=(subscription,),
    )


def made(path: Path) -> sqlite3.Connection:
    app = sqlite3.connect(path, isolation_level=None, timeout=10)
    app.execute("PRAGMA journal_mode = WAL")
    app.executescript(SCHEMA)
    return app


def pipeline_of(
    path: Path,
    state: Path,
    tenant: ls.Zuora,
    on_edit: Mapping[str, Policy] = MappingProxyType({}),
    guard: ls.Guard | None = None,
) -> ls.Pipeline:
    pipeline = ls.Pipeline("billing", state=state)
    today = today_in(tenant.dates.zone)
    accounts = tenant.accounts(today=lambda: today, on_edit=on_edit)
    pipeline.mapping(ls.SQLite(path), to=accounts, name="accounts", guard=guard)(account)
    return pipeline


def today_in(zone: str) -> dt.date:
    """The tenant's date when its clock says noon of `TODAY` in UTC: the next day in Auckland."""
    return dt.datetime.combine(TODAY, dt.time(12), dt.UTC).astimezone(ZoneInfo(zone)).date()


def tenant_of(twin: ZuoraTwin, zone: str = "UTC") -> ls.Zuora:
    dates = DateRules(zone=zone)
    return ls.Zuora(twin.url, client_id=twin.client_id, client_secret=twin.client_secret, dates=dates)


SOLD = {plan: (f"{plan}-seat",) for plan in (*PLANS, *ADD_ONS)}


def stocked(twin: ZuoraTwin, sold: Mapping[str, Sequence[str]] = SOLD) -> Api:
    """A tenant on `TODAY` that sells plans with these charges, all by the unit."""
    api = opened(twin)
    api.clock(TODAY.isoformat())
    sale = {"EffectiveStartDate": "2000-01-01", "EffectiveEndDate": "2100-01-01"}
    product = api.post("/v1/object/product", {"Name": "Service", **sale})["Id"]
    for name, charges in sold.items():
        plan = {"Name": name, "ProductId": product, "ProductRatePlanNumber": name, **sale}
        id = api.post("/v1/object/product-rate-plan", plan)["Id"]
        for number in charges:
            charge = per_unit(id, Name=number, ProductRatePlanChargeNumber=number)
            assert "Id" in api.post("/v1/object/product-rate-plan-charge", charge)
    return api


def segments(api: Api, number: str) -> list[tuple[str, str, str | None, int, float]]:
    """(plan, start, end, seats, price) of a subscription, in order of time; none without a day."""
    said = api.get(f"/v1/subscriptions/{number}", **{"charge-detail": "all-segments"})
    assert said["success"], said
    return sorted(
        (
            plan["productRatePlanNumber"],
            one["effectiveStartDate"],
            one["effectiveEndDate"],
            one["quantity"],
            one["price"],
        )
        for plan in said["ratePlans"]
        for charge in plan["ratePlanCharges"]
        for one in charge["chargeSegments"]
        if one["effectiveStartDate"] != one["effectiveEndDate"]
    )
