"""A version of a subscription as the rows that queries see, down to the tiers of its charges."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from hashlib import sha256
from typing import Any, NamedTuple

from .engine.money import monthly
from .engine.segments import last_of
from .engine.tree import PENDING, Charge, RatePlan, Segment, Version
from .users import acting


class Row(NamedTuple):
    kind: str
    doc: dict[str, Any]
    number: str | None
    parent: str | None


AMENDMENTS = {"Add": "NewProduct", "Update": "UpdateProduct", "Remove": "RemoveProduct"}


def rows_of(version: Version, latest: bool, today: date, now: str, ids: dict[str, str]) -> Iterator[Row]:
    """All rows of a version. `ids` has those of its accounts and its order, by their numbers."""
    owner, payer = ids[version.account], ids[version.invoice_owner]
    stamps = {"createdDate": now, "updatedDate": now, "createdById": acting(), "updatedById": acting()}
    yield Row(
        "subscriptions",
        {
            "id": version.id,
            "accountId": owner,
            "invoiceOwnerId": payer,
            "creatorAccountId": owner,
            "creatorInvoiceOwnerId": payer,
            "name": version.number,
            "status": status_of(version, latest, today),
            "version": version.version,
            "isLatestVersion": latest,
            "originalId": version.original_id,
            "previousSubscriptionId": version.previous_id,
            "revision": f"{version.version}.0",
            "termType": version.term.type,
            "initialTerm": version.initial.period,
            "initialTermPeriodType": version.initial.period_type,
            "currentTerm": version.term.period,
            "currentTermPeriodType": version.term.period_type,
            "renewalTerm": version.renewal_period,
            "renewalTermPeriodType": version.renewal_period_type,
            "renewalSetting": version.renewal_setting,
            "termStartDate": version.term.start,
            "termEndDate": version.term.end,
            "subscriptionStartDate": version.start,
            "subscriptionEndDate": version.end,
            "contractEffectiveDate": version.contract_effective,
            "serviceActivationDate": version.service_activation,
            "contractAcceptanceDate": version.customer_acceptance,
            "autoRenew": version.auto_renew,
            "cancelledDate": version.cancelled,
            "currency": version.currency,
            "cMRR": mrr(version, today),
            "notes": version.notes,
            "orderId": ids.get(version.order),
            "isSingleVersioned": False,
            "lastBookingDate": version.booked,
            "originalCreatedDate": now,
            **stamps,
            **version.custom,
        },
        version.number,
        owner,
    )
    for plan in version.plans:
        yield from _plan_rows(version, plan, {"subscriptionOwnerId": owner, "invoiceOwnerId": payer} | stamps)


def _plan_rows(version: Version, plan: RatePlan, common: dict[str, Any]) -> Iterator[Row]:
    yield Row(
        "rate-plans",
        {
            "id": plan.id,
            "subscriptionId": version.id,
            "productId": plan.product_id,
            "productRatePlanId": plan.product_rate_plan_id,
            "name": plan.name,
            "amendmentType": AMENDMENTS[plan.change],
            "originalRatePlanId": plan.original_id,
            "subscriptionRatePlanNumber": plan.number,
            "reverted": False,
            **common,
        },
        plan.number,
        version.id,
    )
    for charge in plan.charges:
        last = last_of(charge.segments)
        for one in charge.segments:
            yield Row(
                "rate-plan-charges",
                {
                    **segment_fields(charge, one),
                    "ratePlanId": plan.id,
                    "subscriptionId": version.id,
                    "isLastSegment": one is last,
                    **common,
                },
                charge.number,
                plan.id,
            )
            for tier in one.tiers:
                yield Row(
                    "rate-plan-charge-tiers",
                    {
                        "id": sha256(f"{one.id}/{tier.tier}".encode()).hexdigest()[:32],
                        "ratePlanChargeId": one.id,
                        "currency": charge.currency,
                        "tier": tier.tier,
                        "startingUnit": tier.starting_unit,
                        "endingUnit": tier.ending_unit,
                        "price": tier.price,
                        "priceFormat": tier.price_format,
                        **{name: common[name] for name in STAMPS},
                    },
                    None,
                    one.id,
                )


def segment_fields(charge: Charge, one: Segment) -> dict[str, Any]:
    """A row of RatePlanCharge without what ties it to a version. The price is in the tiers, not here."""
    monthly_revenue = monthly(charge, one)
    return {
        "id": one.id,
        "originalId": charge.original_id,
        "chargeNumber": charge.number,
        "segment": one.number,
        "version": one.version,
        "name": charge.name,
        "productRatePlanChargeId": charge.product_charge_id,
        "chargeModel": charge.model,
        "chargeType": charge.type,
        "billingPeriod": charge.billing_period,
        "billingTiming": charge.billing_timing,
        "billingPeriodAlignment": "AlignToCharge",
        "billCycleType": "ChargeTriggerDay",
        "triggerEvent": charge.trigger_event,
        "triggerDate": charge.trigger_date,
        "endDateCondition": charge.end_condition,
        "specificEndDate": charge.end_date,
        "upToPeriods": charge.up_to,
        "upToPeriodsType": charge.up_to_type,
        "effectiveStartDate": one.start,
        "effectiveEndDate": one.end,
        "chargedThroughDate": one.charged_through,
        "processedThroughDate": one.charged_through,
        "isProcessed": processed(one),
        "quantity": one.quantity,
        "uOM": charge.uom,
        "mRR": monthly_revenue,
        "dMRC": monthly_revenue,
        "tCV": None,
        "amendedByOrderOn": None,
        **one.custom,
    }


STAMPS = ("createdDate", "updatedDate", "createdById", "updatedById")


def processed(one: Segment) -> bool:
    """All of it has been billed."""
    return one.end is not None and one.charged_through is not None and one.charged_through >= one.end


def status_of(version: Version, latest: bool, today: date) -> str:
    """What queries show. A version that another one follows is Expired, and so is a term that is over."""
    if not latest:
        return "Expired"
    over = version.term.end is not None and version.term.end <= today
    return "Expired" if over and version.status == "Active" else version.status


def mrr(version: Version, today: date) -> Decimal:
    """Of the segments in force today; of the first ones, where none has begun."""
    if version.status in PENDING:
        return Decimal(0)
    day = max(today, version.start) if version.start is not None else today
    return sum(
        (
            monthly(charge, one)
            for plan in version.plans
            for charge in plan.charges
            for one in charge.segments
            if one.covers(day)
        ),
        Decimal(0),
    )
