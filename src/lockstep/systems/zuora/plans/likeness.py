"""Whether an account is as it was sent, by meaning: nothing would have to be ordered.

Segments that were cut and are equal, terms that renewed themselves, what was billed before it should have
changed: all of that is as it should be. Then the record that is held is the one that was sent; else it is
told as it was found, but for the subscriptions that are as they should be.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from lockstep.effective import Timeline
from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.found import FoundSubscription, rates_of
from lockstep.systems.zuora.accounts.tree import FoundAccount
from lockstep.systems.zuora.models import Account, Rates, Subscription, Term, plus_months
from lockstep.systems.zuora.plans.account_plan import AccountPlan, Move, account_plan
from lockstep.systems.zuora.plans.actions import DateRules
from lockstep.systems.zuora.plans.days import in_days
from lockstep.systems.zuora.plans.drift import Drift
from lockstep.systems.zuora.plans.orders import planned
from lockstep.systems.zuora.plans.own_fields import named, narrowed
from lockstep.systems.zuora.records import as_tree, record_of
from lockstep.values import Record


class Likeness(NamedTuple):
    """By which rules accounts are compared. `today`: the tenant's date."""

    today: Callable[[], dt.date]
    rules: DateRules
    rewrite_billed: bool = False
    drift: Drift = Drift({})

    def plan(
        self,
        found: FoundAccount | None,
        should: Account,
        ours: Collection[str],
        moves: Sequence[Move] = (),
    ) -> AccountPlan:
        """What would have to be ordered. Raises DataError where no order can make it so."""
        return account_plan(
            found,
            should,
            ours,
            today=self.today(),
            rules=self.rules,
            rewrite_billed=self.rewrite_billed,
            moves=moves,
        )

    def holds(self, found: FoundAccount, sent: Account | None, ours: Collection[str]) -> Record:
        """The record that is held, as the mapping would return it."""
        if sent is None:
            return _told(found, None, self.today(), self.rules)
        found = self.drift.without(found, sent, sent, ("accept",))
        try:
            if self.plan(found, sent, ours).idle:
                return record_of(sent)
        except DataError:
            pass
        return _told(found, sent, self.today(), self.rules)


def _told(found: FoundAccount, sent: Account | None, today: dt.date, rules: DateRules) -> Record:
    wanted = {} if sent is None else {one.key: one for one in sent.subscriptions}
    there = {one.number: one for one in found.subscriptions}
    order = [*(key for key in wanted if key in there), *(key for key in there if key not in wanted)]
    account = Account(
        key=found.number,
        name=found.name,
        currency=found.currency,
        bill_to=found.bill_to,
        sold_to=found.sold_to if sent is None or sent.sold_to is not None else None,
        custom={name: found.custom.get(name) for name in (found.custom if sent is None else sent.custom)},
        subscriptions=(),
    )
    told = dict(record_of(account))
    told["subscriptions"] = [
        _subscription(there[key], wanted.get(key), found.customs.get(key, {}), today, rules) for key in order
    ]
    told["subscriptions"] += [
        {"key": number, "unreadable": str(one.error)} for number, one in found.unsaid.items()
    ]
    return told


def _subscription(
    found: FoundSubscription,
    sent: Subscription | None,
    custom: dict[str, Any],
    today: dt.date,
    rules: DateRules,
) -> Record:
    """What was sent, where that is what it is; else as found."""
    own = {} if sent is None else {name: custom.get(name) for name in sent.custom}
    if sent is not None:
        try:
            if not planned(found, sent, found.account, today=today, rules=rules).actions:
                return as_tree(replace(sent, custom=own))
        except DataError:
            pass
    try:
        known = found if sent is None else narrowed(found, named(sent))
        charges = rates_of(known.plans, found.number)
    except DataError as error:
        return {"key": found.number, "unreadable": str(error)}
    if sent is not None:
        charges = {plan: one for plan, one in charges.items() if one or plan in sent.charges}
        charges = _as_far_as_it_counts(charges, found, in_days(sent, rules.zone))
    term = Term(found.start, _months(found), found.renews and found.end is not None, _renewal(found, sent))
    plain = Subscription(key=found.number, term=term, charges=charges, cancelled=found.cancelled, custom=own)
    told = dict(as_tree(plain))
    if found.suspended is not None:
        told["paused"] = [{"start": found.suspended, "end": None, "value": True}]
    elif sent is not None:
        told["paused"] = sent.paused.form()
    if found.end is not None and term.months is None:
        told["term"]["end"] = found.end
    return told


def _as_far_as_it_counts(
    charges: dict[str, Timeline[Rates]], found: FoundSubscription, sent: Subscription
) -> dict[str, Timeline[Rates]]:
    """With what was sent for the time after the end, where nothing counts: it is no difference. That the end
    is another is one of the term, or of the cancellation."""
    end = found.cancelled or found.end
    if end is None:
        return charges
    after = {plan: sent.charges.get(plan, Timeline()).between(end, None) for plan in charges}
    return {plan: one.between(None, end) | after[plan] for plan, one in charges.items()}


def _renewal(found: FoundSubscription, sent: Subscription | None) -> int | None:
    """By how many months it renews itself. Where it does not, that counts for nothing; nor need a mapping say
    what is as long as the term."""
    said = None if sent is None else sent.term.renewal_months
    if not found.renews:
        return None if sent is None or sent.term.renews else said
    as_the_term = sent is not None and sent.term.renews and found.renewal_months == sent.term.months
    return said if said is None and as_the_term else found.renewal_months


def _months(found: FoundSubscription) -> int | None:
    """Of the whole time from the start to the end of the term, where that is so many months."""
    if found.end is None:
        return None
    months = (found.end.year - found.start.year) * 12 + found.end.month - found.start.month
    return months if months > 0 and plus_months(found.start, months) == found.end else None
