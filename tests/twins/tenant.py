"""A tenant without a server: a catalogue, a clock that stands still, ids that count: for the engine alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from lockstep.twins.zuora.engine import history
from lockstep.twins.zuora.engine.catalogue import ProductCharge, ProductPlan, flat
from lockstep.twins.zuora.engine.history import History
from lockstep.twins.zuora.engine.order import Order
from lockstep.twins.zuora.engine.requests import EVENTS, Action, AddProduct
from lockstep.twins.zuora.engine.settings import Settings
from lockstep.twins.zuora.engine.tree import Refused, Segment, Tier, Version

SEATS = ProductCharge(
    id="seats",
    number="PRPC-1",
    name="Seats",
    model="PerUnit",
    type="Recurring",
    uom="Each",
    billing_period="Month",
    default_quantity=Decimal(10),
    tiers={"USD": (flat(Decimal(10), "PerUnit"),)},
)
BASE = ProductCharge(
    id="base",
    number="PRPC-2",
    name="Base fee",
    model="FlatFee",
    type="Recurring",
    billing_period="Month",
    tiers={"USD": (flat(Decimal(100), "FlatFee"),)},
)
SETUP = ProductCharge(
    id="setup",
    number="PRPC-3",
    name="Setup",
    model="FlatFee",
    type="OneTime",
    tiers={"USD": (flat(Decimal(50), "FlatFee"),)},
)
PLANS = {
    "service": ProductPlan(
        id="service", number="PRP-1", name="Service", product_id="p", product_name="Service", charges=(SEATS,)
    ),
    "flat": ProductPlan(
        id="flat", number="PRP-2", name="Flat", product_id="p", product_name="Service", charges=(BASE, SETUP)
    ),
}


class Counting:
    """Numbers that count."""

    def __init__(self) -> None:
        self._next: Counter[str] = Counter()

    def id(self) -> str:
        self._next["id"] += 1
        return f"{self._next['id']:032x}"

    def number(self, prefix: str) -> str:
        self._next[prefix] += 1
        return f"{prefix}{self._next[prefix]:08d}"


class Tenant:
    """One subscription's history, and orders on it."""

    def __init__(self, **settings: Any) -> None:
        self.history: History = ()
        self.order = Order(
            number="",
            account="A1",
            booked=date(2025, 1, 1),
            today=date(2025, 1, 1),
            now=datetime(2025, 1, 1, tzinfo=UTC),
            currency="USD",
            settings=Settings(**settings),
            minter=Counting(),
            plan=_plan,
            account_exists=lambda number: number in {"A1", "A2"},
        )
        self.orders = 0

    def do(self, *actions: dict[str, Any]) -> str:
        """One order; returns its number."""
        number = f"O-{self.orders + 1}"
        said = [msgspec.convert(one, Action, strict=False) for one in actions]
        self.history = history.ordered(self.history, said, replace(self.order, number=number), "S-1")
        self.orders += 1
        return number

    def delete(self, order: str) -> None:
        self.history = history.without(self.history, order)

    @property
    def last(self) -> Version:
        return self.history[-1]

    def rows(self, charge: int = 0, plan: int = 0) -> list[Segment]:
        """The segments of a charge of the last version, in order of time."""
        found = self.last.plans[plan].charges[charge].segments
        return sorted(found, key=lambda one: (one.start or date.min, one.number))

    def table(self, charge: int = 0, plan: int = 0) -> list[tuple[int, str, str | None, str | None, str]]:
        """(segment, start, end, quantity, price) of a charge's rows, in order of time."""
        return [
            (
                one.number,
                str(one.start),
                None if one.end is None else str(one.end),
                None if one.quantity is None else str(one.quantity),
                str(one.tiers[0].price),
            )
            for one in self.rows(charge, plan)
        ]


def _plan(said: AddProduct) -> ProductPlan:
    if said.product_rate_plan_id not in PLANS:
        raise Refused(40, f"no product rate plan {said.product_rate_plan_id}")
    return PLANS[said.product_rate_plan_id]


def on(day: str) -> list[dict[str, str]]:
    """Trigger dates, all on one day."""

    return [{"name": name, "triggerDate": day} for name in EVENTS]


def act(type: str, day: str, **body: Any) -> dict[str, Any]:
    """An order action whose body is named after it."""
    return {"type": type, "triggerDates": on(day), type[0].lower() + type[1:]: body}


def subscribe(day: str = "2025-01-01", plan: str = "service", **more: Any) -> dict[str, Any]:
    """Twelve months, termed, renewed by as many; no override, or those of `overrides`."""
    term = more.pop("term", {"termType": "TERMED", "period": 12, "periodType": "Month"})
    return act(
        "CreateSubscription",
        day,
        terms={"initialTerm": term, "renewalTerms": [{"period": 12, "periodType": "Month"}]},
        subscribeToRatePlans=[{"productRatePlanId": plan, "chargeOverrides": more.pop("overrides", [])}],
        **more,
    )


def seats(
    day: str, *, price: str | None = None, quantity: int | None = None, before: bool = False
) -> dict[str, Any]:
    """UpdateProduct of the seats of the first rate plan."""
    said = {k: v for k, v in {"listPrice": price, "quantity": quantity}.items() if v is not None}
    body: dict[str, Any] = {
        "subscriptionRatePlanNumber": "SRP-00000001",
        "chargeUpdates": [{"chargeNumber": "C-00000001", "pricing": {"recurringPerUnit": said}}],
    }
    if before:
        body["specificUpdateDate"] = day
    return act("UpdateProduct", day, **body)


def remove(day: str, plan: str = "SRP-00000001") -> dict[str, Any]:
    return act("RemoveProduct", day, subscriptionRatePlanNumber=plan)


def cancel(day: str) -> dict[str, Any]:
    return act("CancelSubscription", day, cancellationPolicy="SpecificDate", cancellationEffectiveDate=day)


def renew(day: str) -> dict[str, Any]:
    return act("RenewSubscription", day)


def suspend(day: str) -> dict[str, Any]:
    return act("Suspend", day, suspendPolicy="SpecificDate", suspendSpecificDate=day)


def resume(day: str, extends: bool = False) -> dict[str, Any]:
    return act("Resume", day, resumePolicy="SpecificDate", resumeSpecificDate=day, extendsTerm=extends)


def tiers(*bands: tuple[str | None, str | None, str, str]) -> tuple[Tier, ...]:
    """(from, to, price, format) each."""
    return tuple(
        Tier(
            tier=place,
            starting_unit=None if begin is None else Decimal(begin),
            ending_unit=None if end is None else Decimal(end),
            price=Decimal(cost),
            price_format=form,
        )
        for place, (begin, end, cost, form) in enumerate(bands, 1)
    )
