"""A plan of an account as the requests that carry it out, in order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from lockstep.systems.zuora.accounts.catalogue import Plans
from lockstep.systems.zuora.api.paths import in_path
from lockstep.systems.zuora.plans.account_plan import AccountPlan, Move, OnSubscription, portions
from lockstep.systems.zuora.plans.actions import DateRules, OwnerTransfer
from lockstep.systems.zuora.writing.delivery import body_of, fresh_key, order_number
from lockstep.systems.zuora.writing.noted import Moved
from lockstep.systems.zuora.writing.sent import Makes
from lockstep.systems.zuora.writing.wire import Spelling

MOST = 50
"""Of subscriptions, and of actions, in one order: Zuora's limits."""


class Request(NamedTuple):
    """One call that changes something. An order gets its number when it is about to be sent. `makes`: what is
    as it should be once it is done."""

    method: str
    path: str
    said: dict[str, Any]
    is_order: bool = False
    moves: tuple[Moved, ...] = ()
    makes: Makes = Makes()


class Numbered(NamedTuple):
    """A request with what makes it one and the same, however often it is sent."""

    order: str | None
    key: str
    body: bytes


def numbered(request: Request) -> Numbered:
    if not request.is_order:
        return Numbered(None, fresh_key(), body_of(request.said))
    number = order_number()
    return Numbered(number, fresh_key(), body_of({"orderNumber": number, **request.said}))


class Requests(NamedTuple):
    """All that a plan asks for; `whole`: with them it is done, else it must be planned again after them."""

    some: list[Request]
    whole: bool


def requests_of(
    account: str, plan: AccountPlan, *, today: dt.date, rules: DateRules, catalogue: Plans
) -> Requests:
    """What comes from other accounts is brought first, by orders that do nothing else; what else should be is
    planned when it is there."""
    some: list[Request] = []
    fields = plan.fields
    if plan.moves:
        made = [_opening(fields)] if plan.new else []
        return Requests([*made, *_transfers(account, plan.moves, today, rules)], False)
    if plan.new and not plan.subscriptions:
        return Requests([_opening(fields)], True)
    if fields and not plan.new:
        some.append(Request("PUT", f"/v1/accounts/{in_path(account)}", fields, makes=Makes(fields=True)))
    ordered = [one for one in plan.subscriptions if one.actions]
    for one in plan.subscriptions:
        if not one.actions:  # an order without actions is none
            path = f"/v1/subscriptions/{in_path(one.number)}/customFields"
            makes = Makes(subscriptions=frozenset({one.number}))
            some.append(Request("PUT", path, {"customFields": one.custom}, makes=makes))
    long = {one.number for one in plan.subscriptions if len(one.actions) > MOST}
    for place, part in enumerate(portions(ordered, MOST)):
        head = {"newAccount": fields} if plan.new and not place else {"existingAccountNumber": account}
        order = _order(head, part, today, Spelling(rules, catalogue))
        parts = frozenset(one.number for one in part if one.number not in long)
        some.append(order._replace(makes=Makes(plan.new and not place, parts)))
    return Requests(some, not long)


def _opening(fields: dict[str, Any]) -> Request:
    return Request("POST", "/v1/accounts", fields, makes=Makes(fields=True))


def _transfers(account: str, moves: Sequence[Move], today: dt.date, rules: DateRules) -> Iterator[Request]:
    """An order is of the account that owns its subscriptions."""
    by_owner: dict[str, list[Move]] = {}
    for one in moves:
        by_owner.setdefault(one.account, []).append(one)
    for owner, some in by_owner.items():
        for start in range(0, len(some), MOST):
            part = some[start : start + MOST]
            ordered = [
                OnSubscription(
                    one.number,
                    (OwnerTransfer(date=max(today, one.found.start), account=account),),
                    {},
                    one.found,
                )
                for one in part
            ]
            order = _order({"existingAccountNumber": owner}, ordered, today, Spelling(rules, {}))
            yield order._replace(moves=tuple(Moved(one.number, owner) for one in part))


def _order(
    head: dict[str, Any], part: Sequence[OnSubscription], today: dt.date, spelling: Spelling
) -> Request:
    said = {
        **head,
        "orderDate": today,
        "description": "Lockstep",
        "subscriptions": [_subscription(one, spelling) for one in part],
        "processingOptions": {"runBilling": False, "collectPayment": False},
    }
    return Request("POST", "/v1/orders", said, is_order=True)


def _subscription(one: OnSubscription, spelling: Spelling) -> dict[str, Any]:
    plans = {} if one.found is None else {plan.line: plan.plan for plan in one.found.plans}
    said: dict[str, Any] = {"orderActions": spelling.actions(one.actions, plans)}
    if one.found is not None:
        said["subscriptionNumber"] = one.number
    if one.custom:
        said["customFields"] = one.custom
    return said
