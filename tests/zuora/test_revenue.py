"""Monthly revenue, by the app's rows and by the tenant's own figures: a wrong price is found on each side."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import lockstep as ls
from lockstep.agreement.report import Report
from lockstep.systems import zuora
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api
from tests.twins.tenant import on
from tests.zuora import app, by_hand

MARCH, JUNE = dt.date(2026, 3, 3), dt.date(2026, 6, 1)
END = dt.date(2027, 1, 1)
MOVE = "INSERT INTO moves (contract_id, day, plan, price, seats) VALUES"


class Plain(ls.Model, table="customers"):
    id: str = ls.key()


class Other(ls.Model, table="moves"):
    id: int = ls.key()


@pytest.fixture
def db(tmp_path: Path, api: Api) -> Iterator[sqlite3.Connection]:
    made = app.made(tmp_path / "app.db")
    for name, currency in (("1", "EUR"), ("2", "USD")):
        made.execute("INSERT INTO customers VALUES (?, 'Ltd', ?, NULL)", (f"A-{name}", currency))
        made.execute(
            "INSERT INTO contracts VALUES (?, ?, '2026-01-01', 12, NULL)", (f"S-{name}", f"A-{name}")
        )
        made.execute(
            f"{MOVE} (?, '2026-01-01', 'Basic', 9, 3)",
            (f"S-{name}",),
        )
    made.execute(f"{MOVE} ('S-1', '2026-03-03', 'Pro', 12.5, 4)")
    yield made
    made.close()


def pipeline_of(
    path: Path, twin: ZuoraTwin, mapping: Callable[[app.Billed], zuora.Account] = app.account
) -> ls.Pipeline:
    made = ls.Pipeline("billing", state=path / "state")
    target = app.tenant_of(twin).accounts(today=lambda: app.TODAY)
    made.mapping(ls.SQLite(path / "app.db"), to=target, name="accounts")(mapping)
    made.amounts("accounts")(app.monthly_revenue)
    return made


def found(report: Report) -> list[tuple[Any, ...]]:
    assert report.invariants == 1
    return [
        (one.key, *((field.expected, field.actual) for field in one.fields))
        for one in report.divergences
        if one.kind == "invariant"
    ]


def test_a_wrong_price_is_found_on_each_side(
    tmp_path: Path, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin
) -> None:
    pipeline = pipeline_of(tmp_path, zuora_twin)
    ls.run(pipeline, once=True)
    zuora_twin.tenant.counts.clear()
    (report,) = pipeline.verify("accounts")
    assert report.agreement
    assert found(report) == []
    asked = zuora_twin.tenant.counts["GET /object-query/{kind}"]
    assert asked == 4, "two of the fast check, and two for the revenue of all accounts"

    charge = api.get("/v1/subscriptions/S-2")["ratePlans"][0]
    pricing = {"recurringPerUnit": {"listPrice": 10}}
    changes = [{"chargeNumber": charge["ratePlanCharges"][0]["number"], "pricing": pricing}]
    update = {"ratePlanId": charge["id"], "chargeUpdates": changes}
    action = {"type": "UpdateProduct", "triggerDates": on("2026-06-01"), "updateProduct": update}
    by_hand.order(api, "A-2", "S-2", action)
    db.execute("UPDATE moves SET price = 12 WHERE day = '2026-03-03'")
    (report,) = pipeline.verify("accounts")
    assert not report.agreement
    assert found(report) == [
        (f"monthly_revenue A-1 EUR {MARCH}", (Decimal(48), Decimal(50))),
        (f"monthly_revenue A-2 USD {JUNE}", (Decimal(27), Decimal(30))),
    ]
    said = {one.key: one.reason for one in report.divergences if one.kind == "invariant"}
    assert said[f"monthly_revenue A-1 EUR {MARCH}"] == f"until {END} the target has +2 EUR against the source"

    pipeline.verify("accounts", method="deep")  # whose report names the edit: it is what repair mends
    ls.repair(pipeline, "accounts")
    ls.run(pipeline, once=True)
    (report,) = pipeline.verify("accounts", method="deep")
    assert report.agreement, report


def test_a_mapping_that_agrees_with_itself_is_found_wrong(
    tmp_path: Path, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin
) -> None:
    def dearer(rates: zuora.Rates) -> zuora.Rates:
        return {
            name: zuora.Rate(Decimal("12.6") if rate.price == Decimal("12.5") else rate.price, rate.quantity)
            for name, rate in rates.items()
        }

    def mapping(customer: app.Billed) -> zuora.Account:
        account = app.account(customer)
        return replace(
            account,
            subscriptions=tuple(
                replace(one, charges={plan: costs.map(dearer) for plan, costs in one.charges.items()})
                for one in account.subscriptions
            ),
        )

    pipeline = pipeline_of(tmp_path, zuora_twin, mapping)
    ls.run(pipeline, once=True)
    (report,) = pipeline.verify("accounts", method="deep")
    assert report.counts == {"invariant": 1}
    assert found(report) == [(f"monthly_revenue A-1 EUR {MARCH}", (Decimal(50), Decimal("50.4")))]


def test_an_account_that_is_not_there_brings_nothing(
    tmp_path: Path, db: sqlite3.Connection, api: Api, zuora_twin: ZuoraTwin
) -> None:
    pipeline = pipeline_of(tmp_path, zuora_twin)
    ls.run(pipeline, once=True)
    db.execute("INSERT INTO customers VALUES ('A-3', 'Ltd', 'EUR', NULL)")
    db.execute("INSERT INTO contracts VALUES ('S-3', 'A-3', '2026-01-01', NULL, NULL)")
    db.execute(f"{MOVE} ('S-3', '2026-03-03', 'Pro', 5, 2)")
    (report,) = pipeline.verify("accounts")
    assert found(report) == [(f"monthly_revenue A-3 EUR {MARCH}", (Decimal(10), Decimal(0)))]
    ls.run(pipeline, once=True)
    (report,) = pipeline.verify("accounts")
    assert report.agreement, "an evergreen subscription goes on on both sides"


def test_what_cannot_be_checked_is_refused_when_it_is_declared(tmp_path: Path, zuora_twin: ZuoraTwin) -> None:
    app.made(tmp_path / "app.db").close()
    pipeline = pipeline_of(tmp_path, zuora_twin)

    def of_another(move: Other) -> dict[str, ls.Timeline[Decimal]]:
        return {}

    def free(customer: Plain) -> dict[str, ls.Timeline[Decimal]]:
        return {}

    for declare, says in (
        (lambda: pipeline.amounts("accounts")(of_another), "begins with moves"),
        (lambda: pipeline.amounts("accounts")(app.monthly_revenue), "two invariants"),
        (lambda: pipeline.amounts("nothing")(free), "there is no mapping"),
        (lambda: pipeline.amounts("accounts", tolerance=1)(free), "does not say why"),
    ):
        with pytest.raises(ls.DeclarationError, match=says):
            declare()
    pipeline.amounts("accounts")(free)
