"""What to send so that an account becomes what it should be. Pure.

Fields of the account and of its contacts first, then one order for all its subscriptions. Lockstep changes
subscriptions that the mapping returns, ends those that it made and the mapping returns no more, and touches
no others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from lockstep.effective import Change
from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.found import FoundSubscription
from lockstep.systems.zuora.accounts.tree import FoundAccount
from lockstep.systems.zuora.models import Account, Contact, Rates, Subscription, Term
from lockstep.systems.zuora.plans.actions import Action, DateRules
from lockstep.systems.zuora.plans.orders import planned


class OnSubscription(msgspec.Struct, frozen=True):
    """Of an order: the actions on one subscription, and its own fields to set. `found`: as it is."""

    number: str
    actions: tuple[Action, ...]
    custom: dict[str, Any]
    found: FoundSubscription | None


class Move(msgspec.Struct, frozen=True):
    """A subscription of Lockstep's that comes from another account: `found` and `custom`, its own fields, are
    as they are there; `account` is the number of the one that it comes from."""

    account: str
    found: FoundSubscription
    custom: dict[str, Any]

    @property
    def number(self) -> str:
        return self.found.number


class Wait(msgspec.Struct, frozen=True):
    """Why a subscription is not ended yet, and until when at most (seconds since 1970; infinite: until
    another account is worked; None: until a person has done something)."""

    why: str
    until: float | None


class AccountPlan(msgspec.Struct, frozen=True):
    """`new`: the account is not there yet; `fields`: of it, in the API's names, to be set; `subscriptions`:
    to be changed, those of `moves` once they are there; `shifted`: where what is billed keeps a subscription
    from what the mapping says, by its number and rate plan; `waits`: subscriptions that are not ended yet,
    and why."""

    new: bool
    fields: dict[str, Any]
    subscriptions: tuple[OnSubscription, ...]
    shifted: dict[str, dict[str, list[Change[Rates]]]]
    moves: tuple[Move, ...] = ()
    waits: dict[str, Wait] = {}

    @property
    def idle(self) -> bool:
        return not (self.new or self.fields or self.subscriptions or self.moves)


def account_plan(
    found: FoundAccount | None,
    should: Account,
    ours: Collection[str],
    *,
    today: dt.date,
    rules: DateRules,
    rewrite_billed: bool = False,
    moves: Sequence[Move] = (),
) -> AccountPlan:
    """`ours`: the numbers of subscriptions that Lockstep made on it; `moves`: what comes to it. Raises
    DataError where no order can make the account so, and where it has subscriptions of somebody else's that
    cost something."""
    there = {} if found is None else {one.number: one for one in found.subscriptions}
    there |= {one.number: msgspec.structs.replace(one.found, account=should.key) for one in moves}
    customs = ({} if found is None else found.customs) | {one.number: one.custom for one in moves}
    wanted = {one.key for one in should.subscriptions}
    if found is not None and found.currency != should.currency:
        raise DataError(
            f"account {should.key} has the currency {found.currency} in Zuora, not {should.currency}",
            "The currency of an account with subscriptions cannot be changed: give it another key.",
        )
    if found is not None:
        _assert_said(found, {*wanted, *ours}, today)
    changes: list[OnSubscription] = []
    shifted: dict[str, dict[str, list[Change[Rates]]]] = {}
    for one in should.subscriptions:
        plan = planned(
            there.get(one.key), one, should.key, today=today, rules=rules, rewrite_billed=rewrite_billed
        )
        custom = _differing(one.custom, customs.get(one.key, {}))
        if plan.actions or (custom and one.key in there):
            changes.append(OnSubscription(one.key, plan.actions, custom, there.get(one.key)))
        if plan.shifted:
            shifted[one.key] = plan.shifted
    for number, subscription in there.items():
        if number in wanted:
            continue
        if number not in ours:
            _assert_free(should.key, subscription, today)
        elif actions := _ended(subscription, today, rules, rewrite_billed):
            changes.append(OnSubscription(number, actions, {}, subscription))
    fields = account_fields(should) if found is None else _changed(found, should)
    return AccountPlan(found is None, fields, tuple(changes), shifted, tuple(moves))


def removal(
    found: FoundAccount, ours: Collection[str], *, today: dt.date, rules: DateRules
) -> tuple[OnSubscription, ...]:
    """What ends all subscriptions that Lockstep made on an account. The account itself stays: what was billed
    hangs on it."""
    _assert_said(found, ours, None)
    ended = ((one, _ended(one, today, rules, False)) for one in found.subscriptions if one.number in ours)
    return tuple(OnSubscription(one.number, actions, {}, one) for one, actions in ended if actions)


def _ended(
    found: FoundSubscription, today: dt.date, rules: DateRules, rewrite_billed: bool
) -> tuple[Action, ...]:
    """It should never have been: it ends with the first day that is not billed."""
    if found.cancelled is not None:
        return ()
    never = Subscription(key=found.number, term=Term(found.start), charges={}, cancelled=found.start)
    return planned(
        found, never, found.account, today=today, rules=rules, rewrite_billed=rewrite_billed
    ).actions


def _assert_free(account: str, one: FoundSubscription, today: dt.date) -> None:
    """Raises DataError where a subscription of somebody else's costs something from today on."""
    for plan in one.plans:
        if plan.rates.between(today, None):
            raise DataError(
                f"account {account} has subscription {one.number} in Zuora, with rate plan {plan.plan}: the "
                "mapping does not return it and Lockstep did not make it",
                "Let the mapping return it under that key, or cancel it in Zuora; until then the account is "
                "left as it is.",
            )


def _assert_said(found: FoundAccount, ours: Collection[str], today: dt.date | None) -> None:
    """Raises DataError where a subscription cannot be expressed that is to be changed, or (given a day) that
    is somebody else's and may still cost something on it."""
    for number, one in found.unsaid.items():
        if number in ours:
            raise one.error
        if today is not None and (one.ended is None or one.ended > today):
            raise DataError(
                f"account {found.number} has a subscription of somebody else's that cannot be expressed: "
                f"{one.error}",
                "Let it end in Zuora, or leave the account out of the mapping: it is left as it is.",
            )


_CONTACT = {
    "first_name": "firstName",
    "last_name": "lastName",
    "email": "workEmail",
    "phone": "workPhone",
    "city": "city",
    "postal_code": "zipCode",
    "state": "state",
    "country": "country",
}


def contact_fields(contact: Contact) -> dict[str, str]:
    """A contact in the API's names; what it does not have is empty."""
    lines = (*contact.address, "", "")
    fields = {name: getattr(contact, ours) or "" for ours, name in _CONTACT.items()}
    return {**fields, "address1": lines[0], "address2": lines[1]}


def account_fields(should: Account) -> dict[str, Any]:
    """Of a new account."""
    fields: dict[str, Any] = {
        "accountNumber": should.key,
        "name": should.name,
        "currency": should.currency,
        "billToContact": _given(contact_fields(should.bill_to)),
        **should.custom,
    }
    if should.sold_to is not None:
        fields["soldToContact"] = _given(contact_fields(should.sold_to))
    return fields


def _given(fields: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def _changed(found: FoundAccount, should: Account) -> dict[str, Any]:
    fields: dict[str, Any] = {} if found.name == should.name else {"name": should.name}
    bill = _contact_change(found.bill_to, should.bill_to)
    if bill:
        fields["billToContact"] = bill
    sold = _contact_change(found.sold_to or found.bill_to, should.sold_to) if should.sold_to else {}
    if sold:
        if found.sold_to is None:
            raise DataError(
                f"account {should.key} has one contact for bill-to and sold-to in Zuora, and should have two",
                "Give the account a sold-to contact of its own in Zuora, or leave sold_to out.",
            )
        fields["soldToContact"] = sold
    return fields | _differing(should.custom, found.custom)


def _contact_change(found: Contact, should: Contact) -> dict[str, str]:
    if found == should:
        return {}
    before, after = contact_fields(found), contact_fields(should)
    return {name: value for name, value in after.items() if before[name] != value}


def _differing(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Own fields to set: those that the mapping names. None and nothing are the same."""
    return {name: value for name, value in wanted.items() if found.get(name) != value}


def portions(changes: Sequence[OnSubscription], most: int) -> list[tuple[OnSubscription, ...]]:
    """The orders: each has at most so many subscriptions, and so many actions altogether."""
    orders: list[tuple[OnSubscription, ...]] = []
    part: list[OnSubscription] = []
    room = most
    for one in changes:
        actions = one.actions
        if part and (len(part) == most or len(actions) > room):
            orders.append(tuple(part))
            part, room = [], most
        part.append(msgspec.structs.replace(one, actions=actions[:most]))
        room -= min(len(actions), most)
    return [*orders, tuple(part)] if part else orders
