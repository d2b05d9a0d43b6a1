"""Who changed a record last, and when, as Zuora says it of every record."""

from __future__ import annotations

import datetime as dt

import msgspec
from msgspec.structs import replace

from lockstep.errors import LockstepError
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.object_query import Json, rows


class Stamp(msgspec.Struct, frozen=True):
    """`by` and `made_by` are ids of users, as Zuora's own UI has them in the address of a user's page;
    `at` is an instant. `made_by`: None where a version of it says only who made that version."""

    by: str
    at: str
    made_by: str | None = None

    def __str__(self) -> str:
        made = f" (made by {'the same' if self.by == self.made_by else self.made_by})" if self.made_by else ""
        return f"last changed by user {self.by} at {_instant(self.at)}{made}"


def stamp_of(row: Json) -> Stamp | None:
    """Of an account, as an object query says it; None where it does not."""
    by, at = row.get("updatedById"), row.get("updatedDate")
    return Stamp(str(by), str(at), row.get("createdById")) if by and at else None


def stamp_of_subscription(client: Client, number: str) -> Stamp | None:
    """Of its newest version: an order makes one, for the order's user; its own fields are set in that."""
    params = [("filter[]", f"name.EQ:{number}"), ("filter[]", "isLatestVersion.EQ:true")]
    try:
        found = next((stamp_of(row) for row in rows(client, "subscriptions", params)), None)
    except LockstepError:  # it is only told: what is held is held without it
        return None
    return None if found is None else replace(found, made_by=None)


def _instant(said: str) -> str:
    try:
        at = dt.datetime.fromisoformat(said)
    except ValueError:
        return said
    return said if at.tzinfo is None else f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
