"""Charges that end otherwise than with the subscription, plans added and changed, and what is refused."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from lockstep.twins.zuora.engine import history
from lockstep.twins.zuora.engine.requests import EVENTS
from lockstep.twins.zuora.engine.tree import Refused
from tests.twins.tenant import Tenant, act, cancel, on, renew, resume, seats, subscribe, suspend


def _seats(**said: Any) -> dict[str, Any]:
    return subscribe(overrides=[{"productRatePlanChargeId": "seats", **said}])


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ({"endDateCondition": "Fixed_Period", "upToPeriods": 3, "upToPeriodsType": "Months"}, "2025-04-01"),
        ({"endDateCondition": "Fixed_Period", "upToPeriods": 90, "upToPeriodsType": "Days"}, "2025-04-01"),
        ({"endDateCondition": "Fixed_Period", "upToPeriods": 2, "upToPeriodsType": "Years"}, "2026-01-01"),
        ({"endDateCondition": "Specific_End_Date", "specificEndDate": "2025-05-05"}, "2025-05-05"),
        ({"endDateCondition": "Specific_End_Date", "specificEndDate": "2027-01-01"}, "2026-01-01"),
    ],
)
def test_a_charge_may_end_before_the_subscription_and_is_not_renewed_then(
    end: dict[str, Any], expected: str
) -> None:
    made = Tenant()
    made.do(_seats(endDate=end))
    assert made.table() == [(1, "2025-01-01", expected, "10", "10")]
    made.do(renew("2026-01-01"))
    assert made.table() == [(1, "2025-01-01", expected, "10", "10")]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"endDate": {"endDateCondition": "Fixed_Period"}}, "say both"),
        ({"endDate": {"endDateCondition": "Specific_End_Date"}}, "specificEndDate"),
        (
            {"endDate": {"endDateCondition": "Specific_End_Date", "specificEndDate": "2024-01-01"}},
            "after its end",
        ),
        ({"billing": {"billingPeriod": "Week"}}, "no billing period"),
        (
            {"pricing": {"recurringPerUnit": {"listPrice": 1}, "recurringFlatFee": {"listPrice": 1}}},
            "more than one",
        ),
    ],
)
def test_a_charge_without_sense_is_refused(said: dict[str, Any], why: str) -> None:
    with pytest.raises(Refused, match=why):
        Tenant().do(_seats(**said))


def test_a_charge_may_begin_later_by_a_date_of_its_own() -> None:
    """A trial: the price begins after a month."""
    made = Tenant()
    made.do(_seats(startDate={"triggerEvent": "SpecificDate", "specificTriggerDate": "2025-02-01"}))
    assert made.table() == [(1, "2025-02-01", "2026-01-01", "10", "10")]


def test_a_charge_begins_with_the_event_that_triggers_it() -> None:
    made = Tenant()
    order = _seats(startDate={"triggerEvent": "CustomerAcceptance"})
    order["triggerDates"] = [
        {"name": name, "triggerDate": f"2025-0{n}-01"} for n, name in enumerate(EVENTS, 1)
    ]
    made.do(order)
    assert made.table() == [(1, "2025-03-01", "2026-01-01", "10", "10")]


def test_a_pending_charge_has_no_dates_until_its_event_has_one() -> None:
    made = Tenant(require_acceptance=True)
    order = _seats(startDate={"triggerEvent": "CustomerAcceptance"})
    order["triggerDates"] = on("2025-01-01")[:2]
    made.do(order)
    assert (made.last.status, made.rows()[0].start) == ("Pending Acceptance", None)
    with pytest.raises(Refused, match="give its trigger dates"):
        made.do(cancel("2025-03-01"))
    made.history = history.dated(made.history, {"CustomerAcceptance": date(2025, 3, 1)}, made.order)
    assert made.last.status == "Active"
    assert made.last.version == 1
    assert made.table() == [(1, "2025-03-01", "2026-01-01", "10", "10")]


def test_trigger_dates_come_in_their_order() -> None:
    order = subscribe()
    order["triggerDates"][0]["triggerDate"] = "2025-02-01"
    with pytest.raises(Refused, match="ContractEffective <="):
        Tenant().do(order)


def test_a_product_added_is_a_charge_of_its_own() -> None:
    made = Tenant()
    made.do(subscribe())
    made.do(act("AddProduct", "2025-06-01", productRatePlanId="flat"))
    assert made.table(plan=1) == [(1, "2025-06-01", "2026-01-01", None, "100")]
    assert made.last.plans[1].charges[0].number == "C-00000002"
    assert made.table() == [(1, "2025-01-01", "2026-01-01", "10", "10")]


def test_plans_and_charges_by_numbers_that_the_order_gives_and_the_catalogue_has() -> None:
    made = Tenant()
    override = {"productRatePlanChargeNumber": "PRPC-2", "pricing": {"recurringFlatFee": {"listPrice": 80}}}
    added = {"productRatePlanId": "flat", "subscriptionRatePlanNumber": "mine", "chargeOverrides": [override]}
    update = {
        "subscriptionRatePlanNumber": "mine",
        "chargeUpdates": [
            {"productRatePlanChargeNumber": "PRPC-2", "pricing": {"recurringFlatFee": {"listPrice": 70}}}
        ],
    }
    made.do(
        subscribe(), act("AddProduct", "2025-06-01", **added), act("UpdateProduct", "2025-07-01", **update)
    )
    assert made.table(plan=1) == [
        (1, "2025-06-01", "2025-07-01", None, "80"),
        (2, "2025-07-01", "2026-01-01", None, "70"),
    ]
    with pytest.raises(Refused, match="has a rate plan mine already"):
        made.do(act("AddProduct", "2025-06-01", **added))
    wrong = {"productRatePlanId": "flat", "chargeOverrides": [{"productRatePlanChargeNumber": "PRPC-9"}]}
    with pytest.raises(Refused, match="no product rate plan charge 'PRPC-9'"):
        made.do(act("AddProduct", "2025-06-01", **wrong))


def test_two_plans_in_one_new_subscription_may_not_share_a_number() -> None:
    plan = {"productRatePlanId": "flat", "subscriptionRatePlanNumber": "mine"}
    order = subscribe()
    order["createSubscription"]["subscribeToRatePlans"] = [plan, plan]
    with pytest.raises(Refused, match="already"):
        Tenant().do(order)


def test_a_plan_changed_is_one_removed_and_another_added_in_one_version() -> None:
    made = Tenant()
    made.do(subscribe())
    made.do(
        act(
            "ChangePlan",
            "2025-06-01",
            subscriptionRatePlanNumber="SRP-00000001",
            newProductRatePlan={"productRatePlanId": "flat"},
        )
    )
    assert made.last.version == 2
    assert [one.change for one in made.last.plans] == ["Remove", "Add"]
    assert made.table()[-1][2] == made.table(plan=1)[0][1] == "2025-06-01"


def test_a_renewal_may_be_for_ever() -> None:
    made = Tenant()
    made.do(subscribe())
    made.do(act("TermsAndConditions", "2025-02-01", renewalSetting="RENEW_TO_EVERGREEN"), renew("2026-01-01"))
    assert (made.last.term.type, made.last.end) == ("EVERGREEN", None)
    assert made.table() == [(1, "2025-01-01", None, "10", "10")]
    with pytest.raises(Refused, match="evergreen"):
        made.do(renew("2027-01-01"))


def test_a_scheduled_update_survives_a_suspension() -> None:
    """It comes back with what was held; the row it had stays, without a day."""
    made = Tenant()
    made.do(subscribe())
    made.do(seats("2025-07-01", price="12"))
    made.do(suspend("2025-03-01"), resume("2025-05-01"))
    assert made.table() == [
        (1, "2025-01-01", "2025-03-01", "10", "10"),
        (3, "2025-05-01", "2025-07-01", "10", "10"),
        (2, "2025-07-01", "2025-07-01", "10", "12"),
        (4, "2025-07-01", "2026-01-01", "10", "12"),
    ]


def test_it_is_not_suspended_before_it_was_resumed_last() -> None:
    made = Tenant()
    made.do(subscribe())
    made.do(suspend("2025-03-01"), resume("2025-05-01"))
    with pytest.raises(Refused, match="was resumed on 2025-05-01"):
        made.do(suspend("2025-04-30"))
    made.do(suspend("2025-05-01"))


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (cancel("2024-12-31"), "cannot end before"),
        (cancel("2026-02-01"), "cannot be cancelled after"),
        (suspend("2026-01-01"), "cannot be suspended then"),
        (resume("2025-02-01"), "is not suspended"),
        (seats("2026-01-01", price="1"), "not in force"),
        (seats("2024-12-01", price="1"), "not in force"),
        (act("CancelSubscription", "2025-02-01", cancellationPolicy="Soon"), "is not known"),
        (act("RemoveProduct", "2025-02-01", ratePlanId="no such"), "is of no version"),
        (act("AddProduct", "2025-02-01", productRatePlanId="no such"), "no product rate plan"),
        (act("OwnerTransfer", "2025-02-01", destinationAccountNumber="A9"), "no account A9"),
        (act("Ascend", "2025-02-01"), "is no order action"),
        (subscribe(), "exists already"),
    ],
)
def test_what_cannot_be_is_refused(order: dict[str, Any], why: str) -> None:
    made = Tenant()
    made.do(subscribe())
    before = made.history
    with pytest.raises(Refused, match=why):
        made.do(order)
    assert made.history is before
