"""A subscription that cannot be expressed keeps its account only while it matters."""

from __future__ import annotations

import datetime as dt
from typing import Any, cast

import pytest

from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.tree import FoundAccount, whole
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.models import Account, Contact
from lockstep.systems.zuora.plans.account_plan import account_plan, removal
from lockstep.systems.zuora.plans.actions import DateRules

TODAY = dt.date(2026, 2, 1)
BARE = FoundAccount(
    number="A-1", name="Ada Ltd", currency="EUR", bill_to=Contact(first_name="Ada", last_name="Byron")
)
SHOULD = Account(key="A-1", name="Ada Ltd", currency="EUR", bill_to=BARE.bill_to)


class Said:
    """An API that knows one subscription, with a discount, as Zuora would show it."""

    def __init__(self, **more: Any) -> None:
        self._more = more

    def ask(self, *_: Any, **__: Any) -> Any:
        segment = {"segment": 1, "effectiveStartDate": "2020-01-01", "effectiveEndDate": "2021-01-01"}
        charge = {
            "number": "C-9",
            "productRatePlanChargeNumber": "D",
            "type": "Recurring",
            "model": "DiscountPercentage",
            "chargeSegments": [segment],
        }
        plan = {
            "subscriptionRatePlanNumber": "SRP-9",
            "productRatePlanNumber": "Discount",
            "ratePlanCharges": [charge],
        }
        one = {
            "subscriptionNumber": "S-9",
            "accountNumber": "A-1",
            "subscriptionStartDate": "2020-01-01",
            "termType": "TERMED",
            "termEndDate": "2021-01-01",
            "ratePlans": [plan],
            **self._more,
        }
        return {"success": True, "subscriptions": [one]}


def found(**more: Any) -> FoundAccount:
    return whole(cast(Client, Said(**more)), BARE)


def test_one_of_somebody_elses_that_has_ended_is_nobodys_business() -> None:
    for ended in ({"status": "Expired"}, {"status": "Cancelled", "subscriptionEndDate": "2020-05-01"}):
        assert account_plan(found(**ended), SHOULD, (), today=TODAY, rules=DateRules()).idle


@pytest.mark.parametrize(
    "running", [{"status": "Active"}, {"status": "Cancelled", "subscriptionEndDate": "2026-05-01"}]
)
def test_one_of_somebody_elses_that_runs_leaves_the_account_as_it_is(running: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"somebody else's.*C-9.*S-9.*DiscountPercentage"):
        account_plan(found(**running), SHOULD, (), today=TODAY, rules=DateRules())


def test_ones_own_is_never_changed_nor_ended() -> None:
    with pytest.raises(DataError, match="C-9"):
        account_plan(found(status="Expired"), SHOULD, ("S-9",), today=TODAY, rules=DateRules())
    with pytest.raises(DataError, match="C-9"):
        removal(found(status="Active"), ("S-9",), today=TODAY, rules=DateRules())
