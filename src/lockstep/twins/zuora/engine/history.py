"""All versions of one subscription, and what orders do to them. Pure.

Versions are in the order of booking; segments say when each holds. A deleted order takes its versions away,
so that the next order makes others under the same version and segment numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from msgspec.structs import replace

from .actions import applied, created, pending_status
from .catalogue import first_end
from .months import plus
from .order import Order
from .requests import Action
from .tree import Charge, Refused, Term, Version, with_charges

History = tuple[Version, ...]


def ordered(history: History, actions: Sequence[Action], order: Order, number: str | None = None) -> History:
    """The history after one order's actions, each of which makes one version.

    `number` is the subscription's, where the order gives it to a new one. Raises Refused, and then nothing of
    the order holds.
    """
    for action in actions:
        action.checked()
        if not history:
            if action.type != "CreateSubscription":
                raise Refused(40, f"there is no subscription {number}")
            history = (created(action, order, number),)
            continue
        known = {plan.id: plan.number for version in history for plan in version.plans}
        history = (*history, applied(history[-1], action, order, known))
    if len({version.order for version in history}) > order.settings.orders_per_subscription:
        raise Refused(30, f"subscription {history[-1].number} has had as many orders as one may have")
    return history


def without(history: History, order: str) -> History:
    """The history after the deletion of an order, which must be its last. What has been billed since stays
    billed: a segment that both know keeps how far it was charged.

    Raises Refused where a segment that only the deleted versions know has been invoiced.
    """
    last = history[-1]
    if last.order != order:
        raise Refused(
            30, f"order {order} is not the last one of subscription {last.number}: delete {last.order} first"
        )
    kept = tuple(version for version in history if version.order != order)
    charged = {
        (charge.number, one.number): one.charged_through
        for plan in last.plans
        for charge in plan.charges
        for one in charge.segments
        if one.charged_through is not None
    }
    if kept:
        *rest, back = kept
        known = {(c.number, s.number) for plan in back.plans for c in plan.charges for s in c.segments}
        kept = (*rest, with_charges(back, lambda charge: _as_charged(charge, charged)))
    else:
        known = set()
    if not charged.keys() <= known:
        raise Refused(
            30,
            "This version of the subscription cannot be deleted since charges related to this version of the "
            "subscription have already been invoiced",
        )
    return kept


def _as_charged(charge: Charge, charged: dict[tuple[str, int], date]) -> Charge:
    return replace(
        charge,
        segments=tuple(
            replace(one, charged_through=charged.get((charge.number, one.number), one.charged_through))
            for one in charge.segments
        ),
    )


def dated(history: History, dates: dict[str, date], order: Order) -> History:
    """A pending subscription gets trigger dates: a charge begins once its own is there. No new version."""
    last = history[-1]
    last = replace(
        last,
        contract_effective=dates.get("ContractEffective", last.contract_effective),
        service_activation=dates.get("ServiceActivation", last.service_activation),
        customer_acceptance=dates.get("CustomerAcceptance", last.customer_acceptance),
    )
    start = last.term.start or last.contract_effective
    term = _begun(last.term, start)
    last = replace(last, term=term, initial=term)
    last = replace(last, status=pending_status(last, order.settings))
    days = {
        "ContractEffective": last.contract_effective,
        "ServiceActivation": last.service_activation,
        "CustomerAcceptance": last.customer_acceptance,
    }
    known = [day for day in days.values() if day is not None]
    if known != sorted(known):
        raise Refused(
            30, "trigger dates must be ContractEffective <= ServiceActivation <= CustomerAcceptance"
        )

    def begun(charge: Charge) -> Charge:
        start = days.get(charge.trigger_event)
        if start is None and last.status == "Active":
            start = last.contract_effective
        if start is None or charge.segments[0].start is not None:
            return charge
        first = replace(charge.segments[0], start=start, end=first_end(charge, start, term.end))
        return replace(charge, segments=(first, *charge.segments[1:]))

    return (*history[:-1], with_charges(last, begun))


def _begun(term: Term, start: date | None) -> Term:
    if term.start is not None or start is None:
        return term
    end = term.end
    if term.type == "TERMED" and end is None and term.period is not None:
        end = plus(start, term.period, term.period_type or "Month")
    return replace(term, start=start, end=end)
