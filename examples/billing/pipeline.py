"""What a customer means in Zuora: an account, its subscriptions, and what they cost at every date."""

# The models are beside this file; a type checker that starts in another directory does not find them.
# mypy: disable-error-code="import-not-found, misc"

from __future__ import annotations

import os
from decimal import Decimal

from models import Customer, PlanChange, Subscription

import lockstep as ls
from lockstep.effective import together
from lockstep.systems import zuora

app = ls.SQLite(os.environ.get("BILLING_APP", "app.db"))
tenant = ls.Zuora.from_env()
pipeline = ls.Pipeline("billing", state=".lockstep")


class Contract(Subscription):
    changes: list[PlanChange]


class Payer(Customer):
    contracts: list[Contract]


@pipeline.mapping(app, to=tenant.accounts(), key=Customer.number)
def account(customer: Payer) -> zuora.Account:
    return zuora.Account(
        key=customer.number,
        name=customer.name,
        currency=customer.currency,
        bill_to=zuora.Contact(
            first_name=customer.first_name,
            last_name=customer.last_name,
            email=customer.email,
            country=customer.country,
        ),
        subscriptions=tuple(map(_subscription, sorted(customer.contracts, key=lambda one: one.id))),
    )


@pipeline.amounts("account")
def monthly_revenue(customer: Payer) -> dict[str, ls.Timeline[Decimal]]:
    """The invariant: what comes in a month, added up from the product's rows. Zuora says it by its own
    figures, so it shares nothing with the mapping; `lockstep verify` compares the two at every date."""
    income = {one.number: _income(one) for one in customer.contracts}
    return {customer.currency: together(income).map(lambda held: sum(held.values(), Decimal(0)))}


def _income(contract: Contract) -> ls.Timeline[Decimal]:
    changes = sorted(contract.changes, key=lambda one: (one.day, one.id))
    return ls.Timeline.from_events(
        ((one.day, one.seats * one.price) for one in changes), end=contract.cancelled_on
    )


def _subscription(contract: Contract) -> zuora.Subscription:
    """The product has events ("moved to PRO on 3 March"); Zuora has a timeline for each plan."""
    changes = sorted(contract.changes, key=lambda one: (one.day, one.id))
    agreed = ls.Timeline.from_events((one.day, one) for one in changes)
    return zuora.Subscription(
        key=contract.number,
        term=zuora.Term(contract.starts_on, months=contract.months, renews=True),
        charges={plan: _plan(plan, agreed) for plan in sorted({one.plan for one in changes})},
        cancelled=contract.cancelled_on,
    )


def _plan(plan: str, agreed: ls.Timeline[PlanChange]) -> ls.Timeline[zuora.Rates]:
    """What one plan costs, while it is the one that was agreed."""
    return agreed.map(
        lambda one: {f"{plan}-SEAT": zuora.Rate(one.price, Decimal(one.seats))} if one.plan == plan else None
    )
