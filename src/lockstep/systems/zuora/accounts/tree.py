"""An account's tree as the API shows it: all segments of all subscriptions, by numbers and never by ids."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from lockstep.errors import DataError
from lockstep.systems.zuora.accounts.found import FoundSubscription, with_held
from lockstep.systems.zuora.accounts.stamps import Stamp, stamp_of
from lockstep.systems.zuora.accounts.subscriptions import day, subscription
from lockstep.systems.zuora.api.client import Client
from lockstep.systems.zuora.api.object_query import Json, among, rows
from lockstep.systems.zuora.api.paths import in_path
from lockstep.systems.zuora.models import Contact

DETAIL = ("charge-detail", "all-segments")


class Unsaid(msgspec.Struct, frozen=True):
    """A subscription that no timeline can say, and why. `ended`: the first day on which it was no more."""

    error: DataError
    ended: dt.date | None


class FoundAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it is. `sold_to`: None where it is the same contact as `bill_to`; `custom`: all of its
    own fields; `subscriptions`: in their newest versions, where they were read; `stamp`: of the
    account itself."""

    number: str
    name: str
    currency: str
    bill_to: Contact
    sold_to: Contact | None = None
    custom: Mapping[str, Any] = {}
    subscriptions: tuple[FoundSubscription, ...] = ()
    stamp: Stamp | None = None
    customs: dict[str, dict[str, Any]] = {}
    """The own fields of each subscription, by its number."""
    unsaid: dict[str, Unsaid] = {}
    """The subscriptions that are none of `subscriptions`, as they cannot be expressed."""


def accounts(client: Client, numbers: Sequence[str]) -> dict[str, FoundAccount]:
    """The accounts themselves, without subscriptions, many in one call. Who is not there is left out."""
    found: dict[str, FoundAccount] = {}
    for condition in among("accountNumber", numbers):
        params = [("filter[]", condition), ("expand[]", "billto"), ("expand[]", "soldto")]
        for row in rows(client, "accounts", params):
            one = _account(row)
            found[one.number] = one
    return found


def _account(row: Json) -> FoundAccount:
    same = row.get("soldToId") in (None, row.get("billToId"))
    return FoundAccount(
        number=str(row["accountNumber"]),
        name=str(row.get("name") or ""),
        currency=str(row.get("currency") or ""),
        bill_to=contact(row.get("billTo") or {}),
        sold_to=None if same else contact(row.get("soldTo") or {}),
        custom=own_fields(row),
        stamp=stamp_of(row),
    )


def contact(row: Json) -> Contact:
    lines = [row.get("address1"), row.get("address2")]
    while lines and not lines[-1]:
        lines.pop()
    return Contact(
        first_name=row.get("firstName") or "",
        last_name=row.get("lastName") or "",
        email=row.get("workEmail") or None,
        phone=row.get("workPhone") or None,
        address=tuple(line or "" for line in lines),
        city=row.get("city") or None,
        postal_code=row.get("postalCode") or row.get("zipCode") or None,
        state=row.get("state") or None,
        country=row.get("country") or None,
    )


def own_fields(row: Json) -> dict[str, Any]:
    """The tenant's own fields."""
    return {name: value for name, value in row.items() if name.endswith("__c")}


def whole(client: Client, account: FoundAccount) -> FoundAccount:
    """With its subscriptions: one call, and one more for each forty subscriptions and each suspended one."""
    found: list[FoundSubscription] = []
    customs: dict[str, dict[str, Any]] = {}
    unsaid: dict[str, Unsaid] = {}
    page = 1
    while True:
        params = [DETAIL, ("page", str(page)), ("pageSize", "40")]
        said = client.ask("GET", f"/v1/subscriptions/accounts/{in_path(account.number)}", params=params)
        for one in said.get("subscriptions") or ():
            try:
                made = subscription(one)
                if made.suspended is not None:
                    made = with_held(made, _before(client, one))
            except DataError as error:
                unsaid[str(one["subscriptionNumber"])] = Unsaid(error, _ended(one))
                continue
            found.append(made)
            customs[made.number] = own_fields(one)
        if not said.get("nextPage"):
            break
        page += 1
    subscriptions = tuple(sorted(found, key=lambda one: one.number))
    return replace(account, subscriptions=subscriptions, customs=customs, unsaid=unsaid)


def _ended(said: Json) -> dt.date | None:
    """Since when a subscription is cancelled, or has expired."""
    of = {"Cancelled": "subscriptionEndDate", "Expired": "termEndDate"}.get(str(said.get("status")))
    return None if of is None else day(said.get(of))


def _before(client: Client, said: Json) -> FoundSubscription:
    """The version before the one that suspended it: what it had, and would have again."""
    number, version = said["subscriptionNumber"], int(said["version"]) - 1
    return subscription(
        client.ask("GET", f"/v1/subscriptions/{in_path(number)}/versions/{version}", params=[DETAIL])
    )


def numbers(client: Client) -> Iterator[str]:
    """The numbers of all accounts: a call for each 2,000."""
    said = client.ask(
        "POST", "/v1/action/query", {"queryString": "select AccountNumber from Account"}, reads=True
    )
    while True:
        yield from (str(one["AccountNumber"]) for one in said.get("records") or () if "AccountNumber" in one)
        if said.get("done", True):
            return
        locator = {"queryLocator": said["queryLocator"]}
        said = client.ask("POST", "/v1/action/queryMore", locator)
