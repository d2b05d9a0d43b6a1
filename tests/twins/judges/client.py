"""Zuora's official client, typed, against a running stand-in. For the interpreter that has `zuora-sdk`."""

from __future__ import annotations

from datetime import date
from typing import Any

import zuora_sdk as z
from zuora_sdk.zuora_client import ZuoraClient, ZuoraEnvironment


def seen(url: str, id: str, secret: str, plan: str, charge: str) -> dict[str, Any]:
    """A subscription made and changed; `plan` and `charge` are ids of the catalogue."""
    client = ZuoraClient(id, secret, ZuoraEnvironment.SBX)
    client.set_base_url(url)
    client.initialize()
    who = z.CreateAccountContact(first_name="Ada", last_name="Byron", country="Spain")
    made = client.accounts_api().create_account(
        z.CreateAccountRequest(name="Ada Ltd", currency="USD", account_number="A-sdk", bill_to_contact=who)
    )
    orders = client.orders_api()
    created = orders.create_order(_order(_subscribe(plan, charge)))
    subscriptions = client.subscriptions_api()
    first = subscriptions.get_subscription_by_key("S-sdk", charge_detail="all-segments")
    number = first.rate_plans[0].rate_plan_charges[0].number
    change = z.CreateOrderChargeUpdate(
        charge_number=number,
        pricing=z.CreateOrderPricingUpdate(
            recurring_per_unit=z.RecurringPerUnitPricingUpdate(list_price=12.5)
        ),
    )
    update = z.CreateOrderUpdateProduct(rate_plan_id=first.rate_plans[0].id, charge_updates=[change])
    orders.create_order(
        _order(
            z.CreateOrderAction(
                type="UpdateProduct", trigger_dates=_on(date(2025, 7, 1)), update_product=update
            )
        )
    )
    second = subscriptions.get_subscription_by_key("S-sdk", charge_detail="all-segments")
    wrong = orders.create_order(_order(_subscribe(plan, charge)))
    queried = client.object_queries_api().query_subscriptions(
        filter=["name.EQ:S-sdk", "isLatestVersion.EQ:true"],
        expand=["rateplans.rateplancharges.rateplanchargetiers"],
    )
    return {
        "account": made.account_number,
        "subscriptions": created.subscription_numbers,
        "version": second.version,
        "segments": [
            [
                one.segment,
                str(one.effective_start_date),
                str(one.effective_end_date),
                one.quantity,
                one.price,
            ]
            for one in second.rate_plans[0].rate_plan_charges[0].charge_segments
        ],
        "prices": sorted(
            one.rate_plan_charge_tiers[0].price for one in queried.data[0].rate_plans[0].rate_plan_charges
        ),
        "refused": [wrong.success, wrong.reasons[0].message],
    }


def _subscribe(plan: str, charge: str) -> Any:
    seats = z.ChargeOverride(
        product_rate_plan_charge_id=charge,
        pricing=z.ChargeOverridePricing(recurring_per_unit=z.RecurringPerUnitPricingOverride(quantity=10)),
    )
    year = z.InitialTerm(period=12, period_type="Month", term_type="TERMED", start_date=date(2025, 1, 1))
    terms = z.OrderActionCreateSubscriptionTerms(
        initial_term=year, renewal_terms=[z.RenewalTerm(period=12, period_type="Month")]
    )
    body = z.CreateOrderCreateSubscription(
        terms=terms,
        subscription_number="S-sdk",
        subscribe_to_rate_plans=[
            z.CreateOrderRatePlanOverride(product_rate_plan_id=plan, charge_overrides=[seats])
        ],
    )
    return z.CreateOrderAction(
        type="CreateSubscription", trigger_dates=_on(date(2025, 1, 1)), create_subscription=body
    )


def _order(action: Any) -> Any:
    return z.CreateOrderRequest(
        order_date=date(2025, 1, 1),
        existing_account_number="A-sdk",
        subscriptions=[z.CreateOrderSubscription(subscription_number="S-sdk", order_actions=[action])],
    )


def _on(day: date) -> list[Any]:
    names = ("ContractEffective", "ServiceActivation", "CustomerAcceptance")
    return [z.TriggerDate(name=name, trigger_date=day) for name in names]
