"""The order actions that change for how long a subscription is in force, and whose it is."""

from __future__ import annotations

from datetime import date, timedelta

from msgspec.structs import replace

from . import segments
from .months import plus
from .order import Known, Order, after_resumption, effective, term_of
from .requests import Action
from .tree import Charge, Refused, Term, Version, with_charges


def terms(base: Version, action: Action, order: Order, known: Known) -> Version:
    body = action.terms_and_conditions
    assert body is not None
    if body.auto_renew is not None:
        base = replace(base, auto_renew=body.auto_renew)
    if body.renewal_setting is not None:
        base = replace(base, renewal_setting=body.renewal_setting)
    if body.renewal_terms:
        one = body.renewal_terms[0]
        base = replace(base, renewal_period=one.period, renewal_period_type=one.period_type)
    if body.last_term is None:
        return base
    term = term_of(body.last_term, body.last_term.start_date or base.term.start)
    base = with_charges(base, lambda charge: segments.retermed(charge, base.term.end, term.end))
    initial = term if base.term == base.initial else base.initial
    return replace(base, term=term, initial=initial)


def renew(base: Version, action: Action, order: Order, known: Known) -> Version:
    """Another term after the last, or evergreen: the last segments are extended, or split by term."""
    old = base.term.end
    if base.term.type != "TERMED" or old is None:
        raise Refused(30, f"subscription {base.number} is evergreen: only a termed one can be renewed")
    if base.renewal_setting == "RENEW_TO_EVERGREEN":
        term = Term(type="EVERGREEN", start=old, period=None, period_type=None, end=None)
    elif base.renewal_period is None:
        raise Refused(22, f"subscription {base.number} has no renewal term")
    else:
        unit = base.renewal_period_type or "Month"
        end = plus(old, base.renewal_period, unit)
        term = Term(type="TERMED", start=old, period=base.renewal_period, period_type=unit, end=end)

    def one(charge: Charge) -> Charge:
        if order.settings.split_by_term:
            return segments.renewed(charge, old, term.end, mint=order.minter.id, order=order.number)
        return segments.retermed(charge, old, term.end)

    return replace(with_charges(base, one), term=term)


def cancel(base: Version, action: Action, order: Order, known: Known) -> Version:
    """The subscription is cancelled at once, however late the day on which it ends."""
    body = action.cancel_subscription
    assert body is not None
    if body.cancellation_policy == "SpecificDate":
        if body.cancellation_effective_date is None:
            raise Refused(22, "cancellationEffectiveDate is missing")
        at = body.cancellation_effective_date
    elif body.cancellation_policy == "EndOfCurrentTerm":
        if base.term.end is None:
            raise Refused(30, f"subscription {base.number} is evergreen: its term has no end")
        at = base.term.end
    elif body.cancellation_policy == "EndOfLastInvoicePeriod":
        at = billed_to(base) or effective(action)
    else:
        raise Refused(20, f"cancellationPolicy {body.cancellation_policy!r} is not known")
    if base.start is not None and at < base.start:
        raise Refused(30, f"subscription {base.number} begins on {base.start}: it cannot end before")
    if base.term.end is not None and at > base.term.end:
        raise Refused(
            30, f"subscription {base.number} ends on {base.term.end}: it cannot be cancelled after that"
        )
    ended = with_charges(base, lambda one: segments.removed(one, at, order=order.number))
    plans = tuple(replace(plan, change="Remove") for plan in ended.plans)
    return replace(ended, plans=plans, status="Cancelled", cancelled=at)


def transfer(base: Version, action: Action, order: Order, known: Known) -> Version:
    body = action.owner_transfer
    assert body is not None
    account = body.destination_account_number or base.account
    invoice = body.destination_invoice_account_number or base.invoice_owner
    for one in (account, invoice):
        if not order.account_exists(one):
            raise Refused(40, f"there is no account {one}")
    return replace(base, account=account, invoice_owner=invoice)


def suspend(base: Version, action: Action, order: Order, known: Known) -> Version:
    body = action.suspend
    assert body is not None
    policy, count, unit = body.suspend_policy, body.suspend_periods, body.suspend_periods_type or "Day"
    if policy == "SpecificDate" and body.suspend_specific_date is not None:
        at = body.suspend_specific_date
    elif policy == "Today":
        at = order.today
    elif policy == "EndOfLastInvoicePeriod":
        at = billed_to(base) or order.today
    elif policy == "FixedPeriodsFromToday" and count is not None:
        at = plus(order.today, count, unit)
    else:
        raise Refused(22, f"suspendPolicy {policy!r} is not known, or its date or periods are missing")
    if base.start is not None and at < base.start:
        raise Refused(30, f"subscription {base.number} begins on {base.start}: it cannot be suspended before")
    if base.term.end is not None and at >= base.term.end:
        raise Refused(30, f"subscription {base.number} ends on {base.term.end}: it cannot be suspended then")
    after_resumption(base, at)
    stopped = with_charges(base, lambda one: segments.suspended(one, at, order=order.number))
    return replace(stopped, status="Suspended", suspended=at)


def resume(base: Version, action: Action, order: Order, known: Known) -> Version:
    body = action.resume
    assert body is not None
    if base.status != "Suspended" or base.suspended is None:
        raise Refused(30, f"subscription {base.number} is not suspended")
    at = _resumption(action, order, base.suspended)
    if at < base.suspended:
        raise Refused(
            30, f"subscription {base.number} is suspended from {base.suspended}: not resumed before"
        )
    away = at - base.suspended if body.extends_term else timedelta(0)
    old = base.term.end
    if old is not None and at >= old + away:
        raise Refused(30, f"subscription {base.number} ends on {old}: it cannot be resumed after")
    back = with_charges(
        base,
        lambda one: segments.resumed(
            one, at, extended=away, term_end=old, mint=order.minter.id, order=order.number
        ),
    )
    term = base.term if old is None else replace(base.term, end=old + away)
    return replace(back, status="Active", suspended=None, resumed=at, term=term)


def _resumption(action: Action, order: Order, suspended: date) -> date:
    body = action.resume
    assert body is not None
    policy, count, unit = body.resume_policy, body.resume_periods, body.resume_periods_type or "Day"
    if policy == "SpecificDate" and body.resume_specific_date is not None:
        return body.resume_specific_date
    if policy == "Today":
        return order.today
    if policy == "SuspendDate":
        return suspended
    if policy == "FixedPeriodsFromToday" and count is not None:
        return plus(order.today, count, unit)
    if policy == "FixedPeriodsFromSuspendDate" and count is not None:
        return plus(suspended, count, unit)
    raise Refused(22, f"resumePolicy {policy!r} is not known, or its date or periods are missing")


def billed_to(version: Version) -> date | None:
    """The day to which the last invoice reached."""
    days = [
        one.charged_through
        for plan in version.plans
        for charge in plan.charges
        for one in charge.segments
        if one.charged_through is not None
    ]
    return max(days, default=None)
