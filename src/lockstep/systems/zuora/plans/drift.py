"""What becomes of an edit in Zuora of a field that the app owns: one policy for each field. Pure.

An edit is a value that is neither what was sent last nor what the app says now.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal, NamedTuple, get_args

from msgspec.structs import replace

from lockstep.errors import DataError, DeclarationError
from lockstep.systems.zuora.accounts.found import FoundSubscription
from lockstep.systems.zuora.accounts.stamps import Stamp
from lockstep.systems.zuora.accounts.tree import FoundAccount
from lockstep.systems.zuora.models import Account, Rate, Subscription
from lockstep.systems.zuora.plans.actions import DateRules
from lockstep.systems.zuora.plans.orders import planned

Policy = Literal["repair", "hold", "accept", "report"]
"""repair: the app's value is written back, as that of every field that is not named.
hold: the account is a stuck key, and nothing of it is written until a person has decided.
accept: the edit stays until the app itself changes the field, and is no difference.
report: it stays likewise, and a check by fields tells it as a difference."""

_OF = ("", "subscriptions", "charges")


class Edit(NamedTuple):
    """`subscription`: its number, where the field is of one or of its charges; `wanted`: by the app now."""

    field: str
    subscription: str | None
    sent: Any
    found: Any
    wanted: Any
    policy: Policy


class Drift:
    """The policies, by field: "name", an account's own one ("Region__c"), that of subscriptions
    ("subscriptions.Channel__c") or of charges ("charges.Cost__c"). Raises DeclarationError."""

    def __init__(self, policies: Mapping[str, Policy]) -> None:
        for name, policy in policies.items():
            of, _, field = name.rpartition(".")
            if of not in _OF or (name != "name" and not field.endswith("__c")):
                raise DeclarationError(
                    f"nothing can be said of edits of {name!r}",
                    'Name "name", an own field of accounts ("Region__c"), of subscriptions '
                    '("subscriptions.Channel__c") or of charges ("charges.Cost__c").',
                )
            if policy not in get_args(Policy):
                raise DeclarationError(
                    f"on_edit has no {policy!r}, as {name} says", f"Use {', '.join(get_args(Policy))}."
                )
            if of == "charges" and policy in ("accept", "report"):
                raise DeclarationError(
                    f"edits of {name} cannot stay: the field begins and ends with a price",
                    "Use hold or repair, or leave the field out of the mapping: then it is a person's.",
                )
        self._policies = dict(policies)

    @property
    def holds(self) -> bool:
        """Whether an account must be looked at before anything of it is written."""
        return "hold" in self._policies.values()

    def assert_none_held(
        self,
        found: FoundAccount | None,
        sent: Account | None,
        should: Account,
        *,
        today: dt.date,
        rules: DateRules,
        stamp: Callable[[str], Stamp | None],
    ) -> None:
        """Raises DataError where somebody edited what a person is to decide about. `stamp`: of a
        subscription, by its number; that of the account was read with it."""
        if found is None or sent is None or not self.holds:
            return
        edits = [one for one in self._edits(found, sent, should) if one.policy == "hold"]
        edits += self._of_charges(found, sent, should, today, rules)
        if not edits:
            return
        stamps = {
            one: found.stamp if one is None else stamp(one) for one in {edit.subscription for edit in edits}
        }
        raise DataError(
            f"account {should.key} was edited in Zuora: "
            + "; ".join(_told(one, stamps[one.subscription]) for one in edits),
            "Nothing of the account is written: set it back in Zuora, or let the app say the same; then "
            "`lockstep retry`",
        )

    def without(
        self, found: FoundAccount, sent: Account | None, should: Account, policies: tuple[Policy, ...]
    ) -> FoundAccount:
        """What was found, as if edits with these policies were none: their fields are as they should be."""
        if sent is None:
            return found
        for one in self._edits(found, sent, should):
            if one.policy not in policies or one.wanted != one.sent:
                continue
            field = one.field.rpartition(".")[2]
            if one.subscription is not None:
                own = {**found.customs[one.subscription], field: one.wanted}
                found = replace(found, customs={**found.customs, one.subscription: own})
            elif field == "name":
                found = replace(found, name=one.wanted)
            else:
                found = replace(found, custom={**found.custom, field: one.wanted})
        return found

    def _edits(self, found: FoundAccount, sent: Account, should: Account) -> Iterator[Edit]:
        """Of the account and of its subscriptions."""
        before = {one.key: one.custom for one in sent.subscriptions}
        for name, policy in self._policies.items():
            of, _, field = name.rpartition(".")
            sides: list[tuple[str | None, Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]] = []
            if name == "name":
                sides.append((None, {name: found.name}, {name: sent.name}, {name: should.name}))
            elif not of:
                sides.append((None, found.custom, sent.custom, should.custom))
            elif of == "subscriptions":
                sides += [
                    (one.key, found.customs[one.key], before[one.key], one.custom)
                    for one in should.subscriptions
                    if one.key in before and one.key in found.customs
                ]
            for number, there, was, now in sides:
                if field not in was or field not in now or there.get(field) in (was[field], now[field]):
                    continue
                yield Edit(name, number, was[field], there.get(field), now[field], policy)

    def _of_charges(
        self, found: FoundAccount, sent: Account, should: Account, today: dt.date, rules: DateRules
    ) -> Iterator[Edit]:
        """What was billed keeps its own fields, so an edit is what an order would have to mend."""
        there = {one.number: one for one in found.subscriptions}
        now = {one.key: one for one in should.subscriptions}
        for name, policy in self._policies.items():
            of, _, field = name.rpartition(".")
            if of != "charges" or policy != "hold":
                continue
            for was in sent.subscriptions:
                one, wanted = there.get(was.key), now.get(was.key)
                if one is None or wanted is None:
                    continue
                if all(_mends(one, side, field, found.number, today, rules) for side in (was, wanted)):
                    rates = (rate for plan in one.plans for rows in plan.charges.values() for rate in rows)
                    held = _values((span.value for span in rates), field)
                    yield Edit(
                        name,
                        was.key,
                        _values(_rates(was), field),
                        held,
                        _values(_rates(wanted), field),
                        policy,
                    )


def _mends(
    found: FoundSubscription, side: Subscription, field: str, account: str, today: dt.date, rules: DateRules
) -> bool:
    """Whether another order would be needed for this own field of its charges."""
    with_it, without = (
        planned(found, _only(side, names), account, today=today, rules=rules).actions
        for names in ({field}, set[str]())
    )
    return with_it != without


def _only(one: Subscription, names: Collection[str]) -> Subscription:
    """With no other own fields of charges than these."""
    charges = {
        plan: timeline.map(
            lambda rates: {
                charge: replace(
                    rate, custom={name: rate.custom[name] for name in names if name in rate.custom}
                )
                for charge, rate in rates.items()
            }
        )
        for plan, timeline in one.charges.items()
    }
    return replace(one, charges=charges)


def _rates(one: Subscription) -> Iterator[Rate]:
    return (rate for timeline in one.charges.values() for span in timeline for rate in span.value.values())


def _values(rates: Iterator[Rate], field: str) -> str:
    """Its values at all dates, each once."""
    return ", ".join(dict.fromkeys(str(rate.custom.get(field)) for rate in rates))


def _told(one: Edit, stamp: Stamp | None) -> str:
    field = one.field if one.subscription is None else f"{one.field} of {one.subscription}"
    who = "" if stamp is None else f"; {one.subscription or 'the account'} was {stamp}"
    return f"{field} was sent as {one.sent!r}, is {one.found!r}{who}"
