"""The orders that bring subscriptions over: one for each account that they leave, within Zuora's limits."""

from __future__ import annotations

import datetime as dt

from lockstep.systems.zuora.accounts.found import FoundSubscription
from lockstep.systems.zuora.plans.account_plan import AccountPlan, Move
from lockstep.systems.zuora.plans.actions import DateRules
from lockstep.systems.zuora.writing.requests import MOST, requests_of

TODAY = dt.date(2026, 2, 1)


def move(number: str, account: str, start: dt.date = dt.date(2026, 1, 1)) -> Move:
    return Move(account, FoundSubscription(number=number, account=account, start=start), {})


def test_an_order_is_of_one_account_and_no_larger_than_it_may_be() -> None:
    moves = [move(f"S-{n}", "A-1") for n in range(MOST + 1)] + [move("S-99", "A-2", dt.date(2026, 6, 1))]
    plan = AccountPlan(True, {"name": "Ltd"}, (), {}, tuple(moves))
    made = requests_of("A-9", plan, today=TODAY, rules=DateRules(requires_activation=True), catalogue={})
    assert not made.whole, "what else should be is planned once they are there"
    first, *orders = made.some
    assert (first.path, first.said) == ("/v1/accounts", {"name": "Ltd"})
    assert [(one.said["existingAccountNumber"], len(one.said["subscriptions"])) for one in orders] == [
        ("A-1", MOST),
        ("A-1", 1),
        ("A-2", 1),
    ]
    assert {each.account for each in orders[0].moves} == {"A-1"}
    assert [len(one.moves) for one in orders] == [MOST, 1, 1]
    (subscription,) = orders[2].said["subscriptions"]
    assert subscription == {
        "subscriptionNumber": "S-99",
        "orderActions": [
            {
                "type": "OwnerTransfer",
                "triggerDates": [
                    {"name": name, "triggerDate": dt.date(2026, 6, 1)}
                    for name in ("ContractEffective", "ServiceActivation")
                ],
                "ownerTransfer": {
                    "destinationAccountNumber": "A-9",
                    "destinationInvoiceAccountNumber": "A-9",
                },
            }
        ],
    }
