"""The tenant's products: which charges a product rate plan has, and how each is priced."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.expressed import assert_expressed, counts
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.models import Account, Rate, Rates

_AGAIN = 30.0
"""Seconds after which a plan that was not there is looked for again."""


class ProductCharge(msgspec.Struct, frozen=True):
    """`currencies`: in which it has a price."""

    number: str
    type: str
    model: str
    currencies: frozenset[str]


Plans = Mapping[str, Mapping[str, ProductCharge]]
"""The charges of each product rate plan, both by number."""


class Catalogue:
    """Read when first needed, and again when a plan is not in it. Threads may share it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._plans: Plans = {}
        self._read_at: float | None = None

    def plans(self, wanted: set[str]) -> Plans:
        """All of them; read anew where one of `wanted` is not known, at most each half minute."""
        with self._lock:
            known = self._read_at is not None and wanted <= self._plans.keys()
            if not known and (self._read_at is None or time.monotonic() - self._read_at > _AGAIN):
                self._plans, self._read_at = self._read(), time.monotonic()
            return self._plans

    def _read(self) -> Plans:
        plans: dict[str, dict[str, ProductCharge]] = {}
        page = 1
        while True:
            said = self._client.ask(
                "GET", "/v1/catalog/products", params=[("page", str(page)), ("pageSize", "40")]
            )
            for product in said.get("products") or ():
                for plan in product.get("productRatePlans") or ():
                    charges = [_charge(one) for one in plan.get("productRatePlanCharges") or ()]
                    plans[str(plan["productRatePlanNumber"])] = {one.number: one for one in charges}
            if not said.get("nextPage"):
                return plans
            page += 1


def _charge(said: Mapping[str, Any]) -> ProductCharge:
    prices = said.get("pricing") or ()
    return ProductCharge(
        str(said["productRatePlanChargeNumber"]),
        str(said["type"]),
        str(said["model"]),
        frozenset(str(one["currency"]) for one in prices if one.get("currency")),
    )


def named_by(accounts: Iterable[Account]) -> set[str]:
    """The rate plans that they should have."""
    return {plan for one in accounts for subscription in one.subscriptions for plan in subscription.charges}


def assert_sold(account: Account, plans: Plans) -> None:
    """Raises DataError where the catalogue cannot say what an account should have."""
    for subscription in account.subscriptions:
        for number, timeline in subscription.charges.items():
            where = f"subscription {subscription.key}: rate plan {number}"
            if number not in plans:
                raise DataError(
                    f"{where} is not in the catalogue of Zuora",
                    "Name it as the product rate plan's number says, or make it in Zuora.",
                )
            for name, one in plans[number].items():  # an order of the plan makes them all, named or not
                if counts(one.model, one.type):
                    assert_expressed(f"{where}: charge {name}", one.model, one.type, "what has it")
            charges = {name: one for name, one in plans[number].items() if counts(one.model, one.type)}
            for span in timeline:
                _assert_rates(where, span.value, charges, account.currency)


def _assert_rates(where: str, rates: Rates, charges: Mapping[str, ProductCharge], currency: str) -> None:
    if rates.keys() != charges.keys():
        raise DataError(
            f"{where} has the charges {_said(charges)} in Zuora, and the mapping gives {_said(rates)}",
            "Give a rate for each of them: price or quantity 0 for one that is not charged.",
        )
    for name, rate in rates.items():
        charge = charges[name]
        if currency not in charge.currencies:
            raise DataError(
                f"{where}: charge {name} has no price in {currency}, the account's currency",
                "Add the currency to the charge in Zuora's catalogue, or take another plan.",
            )
        _assert_form(f"{where}: charge {name}", charge.model, rate)


def _assert_form(where: str, model: str, rate: Rate) -> None:
    tiers = isinstance(rate.price, tuple)
    if model in ("Tiered", "Volume") and not (tiers and rate.price):
        raise DataError(f"{where} is priced by tiers ({model})", "Give it a tuple of zuora.Tier.")
    if model in ("FlatFee", "PerUnit") and tiers:
        raise DataError(f"{where} has one price ({model}), and the mapping gives tiers", "Give one Decimal.")
    if model == "FlatFee" and rate.quantity is not None:
        raise DataError(f"{where} is a flat fee and has no quantity", "Leave the quantity out.")
    if model != "FlatFee" and rate.quantity is None:
        raise DataError(f"{where} is priced by units ({model})", "Give it a quantity.")


def _said(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) or "none"
