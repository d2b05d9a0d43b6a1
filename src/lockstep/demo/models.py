"""What `lockstep explore` wrote of the product's database, and its engineers own."""

from __future__ import annotations

from decimal import Decimal

import lockstep as ls


class Company(ls.Model, table="companies"):
    id: int = ls.key()
    name: str
    city: str


class Subscription(ls.Model, table="subscriptions"):
    id: int = ls.key()
    company_id: int = ls.ref("Company.id")
    plan: str
    seats: int
    price: Decimal


class User(ls.Model, table="users"):
    id: int = ls.key()
    company_id: int | None = ls.ref("Company.id")
    name: str
    email: str = ls.personal("email")


class Tag(ls.Model, table="tags"):
    id: int = ls.key()
    name: str


class UserTag(ls.Model, table="users_tags"):
    user_id: int = ls.key(ref="User.id")
    tag_id: int = ls.key(ref="Tag.id")


class Conversation(ls.Model, table="conversations"):
    id: int = ls.key()
    user_id: int = ls.ref("User.id")
    subject: str
    open: bool
