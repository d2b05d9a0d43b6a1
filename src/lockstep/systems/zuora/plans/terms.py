"""For how long a subscription should be agreed, and what to order for it. Pure."""

from __future__ import annotations

import datetime as dt

import msgspec

from lockstep.systems.zuora.accounts.found import FoundSubscription
from lockstep.systems.zuora.models import Subscription, plus_months
from lockstep.systems.zuora.plans.actions import (
    Action,
    RemoveProduct,
    RenewSubscription,
    TermsAndConditions,
)


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """Where a subscription will end.

    wished     where it should end; None: evergreen
    end        the end of its term after `actions`, which is later where more was billed
    cancelled  the day on which it is to be cancelled; None: not
    """

    wished: dt.date | None
    end: dt.date | None
    cancelled: dt.date | None = None
    actions: tuple[Action, ...] = ()

    @property
    def limit(self) -> dt.date | None:
        """Where everything will end by itself."""
        return self.end if self.cancelled is None else self.cancelled


def agreed(
    found: FoundSubscription, should: Subscription, billed_to: dt.date | None, today: dt.date
) -> Agreed:
    """What a renewal, new terms, a cancellation must do. Nothing ends before what was billed."""
    term = should.term
    want = term.end
    if term.renews and found.end is not None and want is not None:
        want = max(want, found.end)  # it has renewed itself
    if should.cancelled is not None:
        return _cancelled(found, should, want, billed_to, today)
    end = want
    if want is not None and billed_to is not None and want < billed_to:
        end = billed_to if found.end is None else max(want, min(found.end, billed_to))
    want = end if term.renews else want
    same = (term.renews, _renewal(should)) == (found.renews, found.renewal_months if found.renews else None)
    if same and end == found.end:
        return Agreed(wished=want, end=end)
    months = found.renewal_months
    if same and months and found.end is not None and end == plus_months(found.end, months):
        return Agreed(wished=want, end=end, actions=(RenewSubscription(date=found.end),))
    return Agreed(wished=want, end=end, actions=(_terms(found, should, end, today),))


def outlived(found: FoundSubscription, end: dt.date | None) -> tuple[RemoveProduct, ...]:
    """The removals of the plans that begin when a shorter term is over, to be ordered before it.

    Such a plan keeps its row, without a day, and a longer term would give it days again. It is removed on its
    first day that can still be changed; where it has none left, on its first, and that is refused.
    """
    if end is None or (found.end is not None and found.end <= end):
        return ()
    begins = {
        one.line: min(span.start for rows in one.charges.values() for span in rows if span.start is not None)
        for one in found.plans
        if one.with_term and any(one.charges.values())
    }
    days = {one.line: one.rates for one in found.plans}
    return tuple(
        RemoveProduct(date=day if days[line].at(day) is not None else start, line=line)
        for line, start in begins.items()
        if start >= end
        for day in [max(start, found.resumed or start)]
    )


def _cancelled(
    found: FoundSubscription,
    should: Subscription,
    want: dt.date | None,
    billed_to: dt.date | None,
    today: dt.date,
) -> Agreed:
    """A cancellation needs no other term, but where it comes after the one that there is."""
    assert should.cancelled is not None
    wished = should.cancelled if want is None or should.term.renews else min(should.cancelled, want)
    wished = max(wished, found.start)
    if found.end is not None and found.end < wished:
        return Agreed(
            wished=wished, end=wished, cancelled=wished, actions=(_terms(found, should, wished, today),)
        )
    at = max(wished, billed_to or wished)  # what was billed beyond the term is credited
    at = at if found.end is None else min(at, found.end)
    return Agreed(wished=wished, end=found.end, cancelled=at)


def _renewal(should: Subscription) -> int | None:
    return (should.term.renewal_months or should.term.months) if should.term.renews else None


def _terms(
    found: FoundSubscription, should: Subscription, end: dt.date | None, today: dt.date
) -> TermsAndConditions:
    term = should.term
    months = (term.renewal_months or term.months) if term.renews else None
    return TermsAndConditions(
        date=max(today, found.start), end=end, renews=term.renews, renewal_months=months
    )
