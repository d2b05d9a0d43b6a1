"""What `lockstep explore` wrote of the product's database, and its engineers own."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import lockstep as ls


class Customer(ls.Model, table="customers"):
    id: int = ls.key()
    number: str
    name: str
    country: str
    currency: str
    first_name: str = ls.personal("name")
    last_name: str = ls.personal("name")
    email: str = ls.personal("email")


class Subscription(ls.Model, table="subscriptions"):
    id: int = ls.key()
    number: str
    customer_id: int = ls.ref("Customer.id")
    starts_on: dt.date
    months: int
    cancelled_on: dt.date | None


class PlanChange(ls.Model, table="plan_changes"):
    id: int = ls.key()
    subscription_id: int = ls.ref("Subscription.id")
    day: dt.date
    plan: str
    seats: int
    price: Decimal
