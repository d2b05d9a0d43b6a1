"""What Lockstep does not express (discounts, usage, ramps): its account is a stuck key that names the record
and what to do, no order is sent for it, and no check says that it agrees.

The stand-in has none of these: its answers are changed on the way, to what Zuora documents.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lockstep as ls
from lockstep.systems.zuora.api.client import Client
from lockstep.twins.zuora.server import ZuoraTwin
from tests.twins.api import Api
from tests.zuora import app
from tests.zuora.test_target import writes

RAMP = {"id": "8ad0", "number": "R-00000007", "name": "Three years", "intervals": [], "charges": []}


def _discount(subscription: dict[str, Any]) -> None:
    """A discount beside the seats, in a rate plan of its own."""
    segment = {"segment": 1, "effectiveStartDate": "2026-01-01", "effectiveEndDate": "2027-01-01"}
    tier = {"tier": 1, "discountPercentage": 10}
    charge = {
        "number": "C-9",
        "productRatePlanChargeNumber": "Loyal-10",
        "type": "Recurring",
        "model": "DiscountPercentage",
        "applyDiscountTo": "RECURRING",
        "discountLevel": "account",
        "chargeSegments": [{**segment, "tiers": [tier]}],
    }
    plan = {
        "subscriptionRatePlanNumber": "SRP-9",
        "productRatePlanNumber": "Loyal",
        "ratePlanCharges": [charge],
    }
    subscription["ratePlans"].append(plan)


def _once_cheaper(subscription: dict[str, Any]) -> None:
    _discount(subscription)
    charge = subscription["ratePlans"][-1]["ratePlanCharges"][0]
    charge |= {"type": "OneTime", "model": "DiscountFixedAmount"}


def _usage(subscription: dict[str, Any]) -> None:
    """The units of the plan are counted as they are used: the model is one that is known."""
    charge = subscription["ratePlans"][0]["ratePlanCharges"][0]
    charge["type"] = "Usage"
    for segment in charge["chargeSegments"]:
        segment["quantity"] = None


def _ramp(subscription: dict[str, Any]) -> None:
    subscription["ramp"] = RAMP


KINDS: dict[str, tuple[Callable[[dict[str, Any]], None], str, str]] = {
    "discount": (_discount, r"charge C-9 \(Loyal-10\) of subscription S-1 .* DiscountPercentage", "Leave"),
    "one-time discount": (
        _once_cheaper,
        r"charge C-9 .* of subscription S-1 .* DiscountFixedAmount",
        "Leave",
    ),
    "usage": (_usage, r"charge C-\w+ \(Basic-seat\) of subscription S-1 is a usage charge", "Leave"),
    "ramp": (_ramp, r"subscription S-1 is a ramp deal \(R-00000007\)", "Leave the subscription out"),
}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made = app.made(tmp_path / "app.db")
    for n in (1, 2):
        made.execute("INSERT INTO customers VALUES (?, 'Ltd', 'EUR', NULL)", (f"A-{n}",))
        made.execute("INSERT INTO contracts VALUES (?, ?, '2026-01-01', 12, NULL)", (f"S-{n}", f"A-{n}"))
        made.execute("INSERT INTO moves VALUES (?, ?, '2026-01-01', NULL, 'Basic', 9.00, 3)", (n, f"S-{n}"))
    yield made
    made.close()


def answered(monkeypatch: pytest.MonkeyPatch, change: Callable[[str, Any], None]) -> None:
    """What Zuora answers is changed on its way."""
    ask = Client.ask

    def changed(self: Client, method: str, path: str, *args: Any, **more: Any) -> Any:
        answer = ask(self, method, path, *args, **more)
        change(path, answer)
        return answer

    monkeypatch.setattr(Client, "ask", changed)


@pytest.mark.parametrize("kind", KINDS)
def test_its_account_is_stuck_and_left_as_it_is(
    kind: str,
    tmp_path: Path,
    db: sqlite3.Connection,
    api: Api,
    zuora_twin: ZuoraTwin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, said, mend = KINDS[kind]
    pipeline = app.pipeline_of(tmp_path / "app.db", tmp_path / "state", app.tenant_of(zuora_twin))
    ls.run(pipeline, once=True)
    (report,) = pipeline.verify("accounts", method="deep")
    assert report.agreement

    def change(path: str, answer: Any) -> None:
        for one in answer.get("subscriptions") or () if "/subscriptions/accounts/A-1" in path else ():
            made(one)

    answered(monkeypatch, change)
    (report,) = pipeline.verify("accounts", method="deep")
    assert not report.agreement
    assert [one.key for one in report.divergences] == ["A-1"]
    zuora_twin.tenant.counts.clear()
    db.execute("UPDATE moves SET seats = 7")
    ls.run(pipeline, once=True)
    (stuck,) = ls.stuck(pipeline, "accounts")
    assert re.search(said, stuck.error)
    assert f"{mend} " in stuck.error
    assert writes(zuora_twin) == 1, "the other account's"
    assert {seats for _, _, _, seats, _ in app.segments(api, "S-1")} == {3}
    (report,) = pipeline.verify("accounts", method="deep")
    (one,) = report.divergences
    assert (one.key, one.cause, report.agreement) == ("A-1", "stuck: see `lockstep stuck`", False)
    assert "stuck" in ls.explain(pipeline, "accounts", "A-1").verdict


def assert_nothing_ordered(pipeline: ls.Pipeline, zuora_twin: ZuoraTwin, charge: str) -> None:
    """A run leaves both accounts stuck by this charge, and sends nothing."""
    zuora_twin.tenant.counts.clear()
    ls.run(pipeline, once=True)
    stuck = ls.stuck(pipeline, "accounts")
    assert len(stuck) == 2
    assert all(f"rate plan Basic: charge {charge}" in one.error for one in stuck)
    assert all("Leave what has it out of the mapping" in one.error for one in stuck)
    assert writes(zuora_twin) == 0


@pytest.mark.parametrize("kind", ["usage", "discount"])
def test_a_plan_of_the_catalogue_that_has_one_is_not_ordered(
    kind: str,
    tmp_path: Path,
    db: sqlite3.Connection,
    api: Api,
    zuora_twin: ZuoraTwin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = app.pipeline_of(tmp_path / "app.db", tmp_path / "state", app.tenant_of(zuora_twin))

    def change(path: str, answer: Any) -> None:
        if path != "/v1/catalog/products":
            return
        plans = [plan for product in answer["products"] for plan in product["productRatePlans"]]
        for charge in (one for plan in plans for one in plan["productRatePlanCharges"]):
            charge |= {"type": "Usage"} if kind == "usage" else {"model": "DiscountPercentage"}

    answered(monkeypatch, change)
    assert_nothing_ordered(pipeline, zuora_twin, "Basic-seat")


@pytest.mark.parametrize(
    ("type_", "model"),
    [
        ("OneTime", "DiscountFixedAmount"),
        ("One-Time", "DiscountFixedAmount"),
        ("Recurring", "DiscountPercentage"),
        ("Usage", "PerUnit"),
    ],
)
def test_nor_is_one_beside_the_charges_that_the_mapping_names(
    type_: str,
    model: str,
    tmp_path: Path,
    db: sqlite3.Connection,
    api: Api,
    zuora_twin: ZuoraTwin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Zuora would make all charges of the plan, and the account could never be read again."""
    pipeline = app.pipeline_of(tmp_path / "app.db", tmp_path / "state", app.tenant_of(zuora_twin))
    beside = {"productRatePlanChargeNumber": "Beside", "type": type_, "model": model, "pricing": []}

    def change(path: str, answer: Any) -> None:
        for product in answer["products"] if path == "/v1/catalog/products" else ():
            for plan in product["productRatePlans"]:
                plan["productRatePlanCharges"].append(beside)

    answered(monkeypatch, change)
    assert_nothing_ordered(pipeline, zuora_twin, "Beside")


def test_credit_memos_are_no_table(tmp_path: Path, zuora_twin: ZuoraTwin) -> None:
    """Who asks for them is told so, and which tables there are."""

    class Memo(ls.Model, table="credit-memos"):
        id: str = ls.key()

    def memos(memo: Memo) -> dict[str, object]:
        return {"id": memo.id}

    pipeline = ls.Pipeline("memos", state=tmp_path / "state")
    pipeline.mapping(app.tenant_of(zuora_twin).tables(), to=ls.SQLite(tmp_path / "out.db").table("memos"))(
        memos
    )
    (told,) = [one for one in ls.check(pipeline) if one.subject.endswith("credit-memos")]
    assert told.blocks
    assert told.problem == "Zuora has no table 'credit-memos' here"
    assert "invoice-items" in told.mend
