"""Two accounts with a contract that changes hands, for a writer without an engine."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import lockstep as ls
from lockstep.forms.keys import encode
from lockstep.systems import zuora
from lockstep.systems.zuora.writing.writer import ZuoraWriter
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import Change, Fingerprint, Meta, Outcome, Status, version
from tests.twins.api import Api
from tests.zuora import app
from tests.zuora.notes import MemoryNotes
from tests.zuora.test_round_trip import change_of

ORDERS = "/v1/orders"
DONE = (Status.APPLIED, Status.UNCHANGED)
WITHIN = dt.timedelta(hours=1)


def opened(
    twin: ZuoraTwin, notes: MemoryNotes, within: dt.timedelta | None = WITHIN, patience: float = 30.0
) -> ZuoraWriter:
    target = app.tenant_of(twin).accounts(today=lambda: app.TODAY, transfers_within=within)
    made = target.noting(notes).open(1)
    made._patience = patience
    return made


def begun(writer: ZuoraWriter) -> None:
    """A-1 has S-1, and A-2 has S-2."""
    writer.create("law")
    before = [change_of(account("A-1", subscription()), 1), change_of(account("A-2", other()), 1)]
    assert all(one.status is Status.APPLIED for one in writer.write(before))


def subscription(seats: int = 3, number: str = "S-1") -> zuora.Subscription:
    rates = [(dt.date(2026, 1, 1), {"Pro-seat": zuora.Rate(Decimal(9), Decimal(seats))})]
    charges = {"Pro": ls.Timeline.from_events(rates)}
    return zuora.Subscription(key=number, term=zuora.Term(dt.date(2026, 1, 1), 12), charges=charges)


def other() -> zuora.Subscription:
    return subscription(number="S-2")


def account(number: str, *subscriptions: zuora.Subscription, currency: str = "EUR") -> zuora.Account:
    return zuora.Account(
        key=number,
        name="Ltd",
        currency=currency,
        bill_to=zuora.Contact(first_name="Ada", last_name="Byron", country="Spain"),
        subscriptions=subscriptions,
    )


def left(at: int = 2) -> Change:
    """A-1 without S-1."""
    return change_of(account("A-1"), at)


def gone(at: int = 2) -> Change:
    """No A-1 any more."""
    key = encode(("A-1",))
    return Change(key, None, Meta("law", key, Fingerprint(0), 0, version(1, at)))


def taken(at: int = 2, number: str = "A-2", seats: int = 7) -> Change:
    """A-2 with S-1, and other seats of it."""
    more = (other(),) if number == "A-2" else ()
    return change_of(account(number, subscription(seats), *more), at)


Batches = Sequence[Sequence[Change]]


def worked(writer: ZuoraWriter, batches: Batches, times: int = 4) -> list[Outcome]:
    """Batch after batch, what is not done again and again, as an engine would; the last outcomes."""
    last: dict[Any, Outcome] = {}
    for _ in range(times):
        for batch in batches:
            waiting = [one for one in batch if one.key not in last or last[one.key].status not in DONE]
            last |= dict(zip([one.key for one in waiting], writer.write(waiting), strict=True))
        if all(one.status in DONE for one in last.values()):
            break
    return list(last.values())


def of(api: Api, number: str = "S-1") -> dict[str, object]:
    return dict(api.get(f"/v1/subscriptions/{number}", **{"charge-detail": "all-segments"}))


def on(api: Api, number: str = "S-1") -> tuple[object, object, object]:
    """Who owns a subscription, who is billed for it, and its status."""
    said = of(api, number)
    return said["accountNumber"], said["invoiceOwnerAccountNumber"], said["status"]


def kinds(api: Api, number: str = "S-1") -> list[str]:
    """All order actions on a subscription, in order."""
    orders = api.get(f"/v1/orders/subscription/{number}", pageSize="40")["orders"]
    parts = [one for order in orders for one in order["subscriptions"] if one["subscriptionNumber"] == number]
    parts.sort(key=lambda one: one["newVersion"])
    return [action["type"] for one in parts for action in one["orderActions"]]
