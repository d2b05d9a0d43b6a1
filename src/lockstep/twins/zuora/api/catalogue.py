"""The product catalogue: written by /v1/object/…, read by /v1/catalog/products."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from ..engine.catalogue import ProductCharge, ProductPlan
from ..engine.custom import custom_of
from ..engine.requests import AddProduct
from ..engine.tree import Refused, Tier
from ..tenant import Tenant
from ..zoql import NAMES
from .call import Answer, Call, ok
from .paging import page

SPELT = {
    "Flat Fee Pricing": "FlatFee",
    "Per Unit Pricing": "PerUnit",
    "Tiered Pricing": "Tiered",
    "Volume Pricing": "Volume",
    "One-Time": "OneTime",
    "In Advance": "In_Advance",
    "In Arrears": "In_Arrears",
    "Semi-Annual": "Semi_Annual",
    "Eighteen Months": "Eighteen_Months",
    "Two Years": "Two_Years",
    "Three Years": "Three_Years",
    "Five Years": "Five_Years",
    "Per Unit": "PerUnit",
    "Flat Fee": "FlatFee",
}
"""The spelling of /v1/object, and that of orders and subscriptions."""


CHARGES = "product-rate-plan-charges"


class NewProduct(msgspec.Struct, rename="pascal"):
    name: str
    effective_start_date: date
    effective_end_date: date
    s_k_u: str | None = msgspec.field(name="SKU", default=None)


class NewPlan(msgspec.Struct, rename="pascal"):
    name: str
    product_id: str
    effective_start_date: date | None = None
    effective_end_date: date | None = None
    product_rate_plan_number: str | None = None


class NewTier(msgspec.Struct, rename="pascal"):
    price: Decimal = Decimal(0)
    currency: str = "USD"
    starting_unit: Decimal | None = None
    ending_unit: Decimal | None = None
    price_format: str | None = None


class NewTiers(msgspec.Struct, rename="pascal"):
    product_rate_plan_charge_tier: list[NewTier]


class NewCharge(msgspec.Struct, rename="pascal"):
    name: str
    product_rate_plan_id: str
    charge_model: str
    charge_type: str
    trigger_event: str
    product_rate_plan_charge_tier_data: NewTiers
    billing_period: str | None = None
    billing_timing: str | None = None
    default_quantity: Decimal | None = None
    end_date_condition: str | None = None
    up_to_periods: int | None = None
    up_to_periods_type: str | None = None
    u_o_m: str | None = msgspec.field(name="UOM", default=None)
    product_rate_plan_charge_number: str | None = None


def create_product(call: Call) -> Answer:
    said = call.said(NewProduct)
    doc: dict[str, Any] = {
        "name": said.name,
        "sKU": said.s_k_u or call.tenant.store.number("SKU-"),
        "productNumber": call.tenant.store.number("PC-"),
        "effectiveStartDate": said.effective_start_date,
        "effectiveEndDate": said.effective_end_date,
    }
    return _made(call, "products", doc, doc["sKU"], None)


def create_plan(call: Call) -> Answer:
    said = call.said(NewPlan)
    product = call.tenant.found("products", said.product_id, "product")
    number = said.product_rate_plan_number or call.tenant.store.number("PRP-")
    doc = {
        "name": said.name,
        "productId": product["id"],
        "productRatePlanNumber": number,
        "effectiveStartDate": said.effective_start_date or product["effectiveStartDate"],
        "effectiveEndDate": said.effective_end_date or product["effectiveEndDate"],
    }
    return _made(call, "product-rate-plans", doc, number, product["id"])


def create_charge(call: Call) -> Answer:
    said = call.said(NewCharge)
    tenant = call.tenant
    plan = tenant.found("product-rate-plans", said.product_rate_plan_id, "product rate plan")
    number = said.product_rate_plan_charge_number or tenant.store.number("PRPC-")
    model = SPELT.get(said.charge_model, said.charge_model)
    doc = {
        "name": said.name,
        "productRatePlanId": plan["id"],
        "productRatePlanChargeNumber": number,
        "chargeModel": model,
        "chargeType": SPELT.get(said.charge_type, said.charge_type),
        "billingPeriod": _spelt(said.billing_period),
        "billingTiming": _spelt(said.billing_timing),
        "triggerEvent": said.trigger_event,
        "endDateCondition": said.end_date_condition or "Subscription_End",
        "upToPeriods": said.up_to_periods,
        "upToPeriodsType": said.up_to_periods_type,
        "defaultQuantity": said.default_quantity,
        "uOM": said.u_o_m,
    }
    answer = _made(call, "product-rate-plan-charges", doc, number, plan["id"])
    for place, one in enumerate(said.product_rate_plan_charge_tier_data.product_rate_plan_charge_tier, 1):
        tier = {
            "id": tenant.store.id(),
            "productRatePlanChargeId": answer.body["Id"],
            "currency": one.currency,
            "tier": place,
            "startingUnit": one.starting_unit,
            "endingUnit": one.ending_unit,
            "price": one.price,
            "priceFormat": _spelt(one.price_format) or ("FlatFee" if model == "FlatFee" else "PerUnit"),
        }
        tenant.put("product-rate-plan-charge-tiers", tier, parent=answer.body["Id"])
    return answer


def _made(call: Call, kind: str, doc: dict[str, Any], number: str, parent: str | None) -> Answer:
    id = call.tenant.store.id()
    if call.tenant.store.numbered(kind, number) is not None:
        raise Refused(43, f"{number} exists already")
    stamped = {"id": id, **doc, **call.tenant.customs(NAMES[kind], call.body, new=True)}
    call.tenant.put(kind, stamped, number=number, parent=parent)
    return Answer({"Success": True, "Id": id})


def list_products(call: Call) -> Answer:
    found = call.tenant.store.where("products", "TRUE", [])
    shown, more = page(call, found, default=10, most=40)
    return ok(products=[_product(call.tenant, doc) for doc in shown], **more)


def read_product(call: Call) -> Answer:
    return Answer(_product(call.tenant, call.tenant.found("products", call.params["key"], "product")))


def _product(tenant: Tenant, doc: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": doc["id"],
        "sku": doc["sKU"],
        "productNumber": doc["productNumber"],
        "name": doc["name"],
        "effectiveStartDate": doc["effectiveStartDate"],
        "effectiveEndDate": doc["effectiveEndDate"],
        **custom_of(doc),
        "productRatePlans": [
            {
                "id": plan["id"],
                "status": "Active",
                "name": plan["name"],
                "productRatePlanNumber": plan["productRatePlanNumber"],
                "effectiveStartDate": plan["effectiveStartDate"],
                "effectiveEndDate": plan["effectiveEndDate"],
                **custom_of(plan),
                "productRatePlanCharges": [
                    _charge_json(tenant, one) for one in tenant.store.children(CHARGES, plan["id"])
                ],
            }
            for plan in tenant.store.children("product-rate-plans", doc["id"])
        ],
    }


def _charge_json(tenant: Tenant, doc: dict[str, Any]) -> dict[str, Any]:
    by_currency: dict[str, list[dict[str, Any]]] = {}
    for tier in _tiers(tenant, doc["id"]):
        by_currency.setdefault(tier["currency"], []).append(tier)
    single = doc["chargeModel"] in {"FlatFee", "PerUnit"}
    shown = ("tier", "startingUnit", "endingUnit", "price", "priceFormat")
    return {
        "id": doc["id"],
        "productRatePlanChargeNumber": doc["productRatePlanChargeNumber"],
        "name": doc["name"],
        "type": doc["chargeType"],
        "model": doc["chargeModel"],
        "uom": doc["uOM"],
        "defaultQuantity": doc["defaultQuantity"],
        "billingPeriod": doc["billingPeriod"],
        "billingTiming": doc["billingTiming"] and doc["billingTiming"].upper(),
        "triggerEvent": doc["triggerEvent"],
        "endDateCondition": doc["endDateCondition"],
        "pricing": [
            {
                "currency": currency,
                "price": tiers[0]["price"] if single else None,
                "tiers": None if single else [{name: tier[name] for name in shown} for tier in tiers],
            }
            for currency, tiers in by_currency.items()
        ],
        **custom_of(doc),
    }


def plan_of(tenant: Tenant, said: AddProduct, day: date) -> ProductPlan:
    """The product rate plan an order means, on sale on that day; raises Refused where there is none."""
    key = said.product_rate_plan_id or said.product_rate_plan_number
    if key is None:
        raise Refused(22, "productRatePlanId or productRatePlanNumber is missing")
    plan = tenant.found("product-rate-plans", key, "product rate plan")
    if not str(plan["effectiveStartDate"]) <= day.isoformat() <= str(plan["effectiveEndDate"]):
        raise Refused(
            30,
            f"product rate plan {plan['productRatePlanNumber']} is not on sale on {day}, but from "
            f"{plan['effectiveStartDate']} to {plan['effectiveEndDate']}",
        )
    product = tenant.found("products", plan["productId"], "product")
    charges = tenant.store.children("product-rate-plan-charges", plan["id"])
    return ProductPlan(
        id=plan["id"],
        number=plan["productRatePlanNumber"],
        name=plan["name"],
        product_id=product["id"],
        product_name=product["name"],
        charges=tuple(_charge(tenant, one) for one in charges),
    )


def _charge(tenant: Tenant, doc: dict[str, Any]) -> ProductCharge:
    tiers: dict[str, tuple[Tier, ...]] = {}
    for one in _tiers(tenant, doc["id"]):
        tiers[one["currency"]] = (*tiers.get(one["currency"], ()), msgspec.convert(one, Tier))
    return ProductCharge(
        id=doc["id"],
        number=doc["productRatePlanChargeNumber"],
        name=doc["name"],
        model=doc["chargeModel"],
        type=doc["chargeType"],
        uom=doc["uOM"],
        billing_period=doc["billingPeriod"],
        billing_timing=doc["billingTiming"],
        trigger_event=doc["triggerEvent"],
        end_condition=doc["endDateCondition"],
        up_to=doc["upToPeriods"],
        up_to_type=doc["upToPeriodsType"],
        default_quantity=None if doc["defaultQuantity"] is None else Decimal(doc["defaultQuantity"]),
        tiers=tiers,
    )


def _tiers(tenant: Tenant, charge: str) -> list[dict[str, Any]]:
    found = tenant.store.children("product-rate-plan-charge-tiers", charge)
    return sorted(found, key=lambda one: int(one["tier"]))


def _spelt(value: str | None) -> str | None:
    return None if value is None else SPELT.get(value, value)
