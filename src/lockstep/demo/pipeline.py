"""What the engineers declare: what a user of the product means in the search index."""

from __future__ import annotations

from pathlib import Path

import lockstep as ls
from lockstep.demo.models import Company, Conversation, Subscription, Tag, User, UserTag


class Customer(Company):
    subscription: Subscription | None


class Person(User):
    company: Customer | None
    tags: list[Tag] = ls.many(through=UserTag)
    conversations: list[Conversation]


def declare(directory: Path) -> ls.Pipeline:
    """The pipeline over a product in `directory`."""
    app = ls.SQLite(directory / "app.db")
    search = ls.Tantivy(directory / "search", snapshots=directory / "saved")
    pipeline = ls.Pipeline("demo", state=directory / "state")

    @pipeline.mapping(app, to=search.index("users"))
    def user_document(user: Person) -> dict[str, object]:
        company = user.company
        subscription = company.subscription if company else None
        return {
            "name": user.name,
            "email": user.email.lower(),
            "company": company and {"name": company.name, "city": company.city},
            "plan": subscription.plan if subscription else None,
            "monthly": subscription.price * subscription.seats if subscription else None,
            "tags": sorted(tag.name for tag in user.tags),
            "open": sorted({one.subject for one in user.conversations if one.open}),
        }

    return pipeline
