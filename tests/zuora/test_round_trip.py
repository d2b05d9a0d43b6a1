"""Any wishes, one after another, with bills in between: written, read back by meaning, written again for
nothing."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from lockstep.effective import Timeline
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.forms.keys import encode
from lockstep.systems.zuora.models import Account, Contact, Rate, Rates, Subscription, Term
from lockstep.systems.zuora.records import record_of
from lockstep.systems.zuora.writing.writer import ZuoraWriter
from lockstep.testing.writer_hooks import DONE, same
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import Change, Meta, Outcome, Status, version
from tests.twins.api import Api
from tests.zuora import app
from tests.zuora.notes import MemoryNotes
from tests.zuora.wishes import DAYS, NAMES, START, WISHES

_numbers = itertools.count(1)


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    made = app.stocked(zuora_twin, NAMES)
    made.clock(START.isoformat())
    yield made
    made.http.close()


@pytest.fixture
def writer(zuora_twin: ZuoraTwin, api: Api) -> Iterator[ZuoraWriter]:
    target = app.tenant_of(zuora_twin).accounts(today=lambda: START).noting(MemoryNotes())
    with closing(target.open(1)) as made:
        made.create("law")
        yield made


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_what_is_written_is_read_and_written_again_for_nothing(
    writer: ZuoraWriter, api: Api, data: st.DataObject
) -> None:
    number = f"A-{next(_numbers)}"
    for at in range(data.draw(st.integers(1, 4))):
        own = itertools.cycle(data.draw(st.lists(OWN, min_size=1, max_size=5)))
        change = _change(number, data.draw(st.lists(WISHES, max_size=2)), at, own)
        (outcome,) = writer.write([change])
        if outcome.status is Status.REJECTED:
            assert any(said in str(outcome.reason) for said in SAID), outcome
            assert "/v1/orders" not in str(outcome.reason), "Zuora need not be asked for it"
            return
        assert outcome.status in DONE, outcome
        held = writer.read([change.key])[change.key]
        assert same(held.record, change.record), (outcome, held.record, change.record)
        assert held.meta == change.meta
        before = sum(writer._client.calls[name] for name in ("POST", "PUT"))
        assert writer.write([change]) == [Outcome(Status.UNCHANGED)]
        assert sum(writer._client.calls[name] for name in ("POST", "PUT")) == before
        if data.draw(st.booleans()):
            _bill(api, number, data.draw(st.sampled_from(DAYS)))
            held = writer.read([change.key])[change.key]
            assert same(held.record, change.record), "a bill is no change"


def test_a_plan_that_begins_when_a_shorter_term_is_over_does_not_come_back(writer: ZuoraWriter) -> None:
    rates: Rates = {"A1": Rate(Decimal("9.00")), "A2": Rate(Decimal("9.00"))}
    late = Subscription(
        key="S", term=Term(START), charges={"A": Timeline.from_events([(dt.date(2026, 5, 31), rates)])}
    )
    bare = Subscription(key="S", term=Term(START), charges={})
    number = f"A-{next(_numbers)}"
    for at, wish in enumerate([late, replace(bare, term=Term(START, 4)), bare]):
        change = _change(number, [wish], at, itertools.cycle([{}]))
        (outcome,) = writer.write([change])
        assert outcome.status in DONE, outcome
        assert same(writer.read([change.key])[change.key].record, change.record)


OWN: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {}, {"Cost__c": 1}, {"Cost__c": Decimal("2.50")}, {"Cost__c": None}, {"Why__c": "a", "Ok__c": True}]
)
"""Own fields of accounts, subscriptions and charges."""

SAID = (
    "cannot be changed",
    "before the start",
    "No order moves the start",
    "is suspended since",
    "begins on",
)
"""What no order can make so."""


def _bill(api: Api, number: str, day: dt.date) -> None:
    account = api.get(f"/v1/accounts/{number}")["basicInfo"]["id"]
    only = [{"filterType": "Account", "accountId": account}]
    asked = {"targetDate": str(day), "invoiceDate": str(START), "billRunFilters": only}
    run = api.post("/v1/bill-runs", asked)
    assert run["success"], run
    api.put(f"/v1/bill-runs/{run['id']}/post", {})


def _change(number: str, wishes: list[Subscription], at: int, own: Iterator[dict[str, Any]]) -> Change:
    subscriptions = tuple(
        replace(
            one,
            key=f"{number}-{place}",
            charges={plan: _with_units(t, own) for plan, t in one.charges.items()},
            custom=next(own),
        )
        for place, one in enumerate(wishes)
    )
    account = Account(
        key=number,
        name=f"Account {at // 2}",
        currency="USD",
        bill_to=Contact(first_name="Ada", last_name="Byron", country="Spain"),
        subscriptions=subscriptions,
        custom=next(own),
    )
    return change_of(account, at + 1)


def change_of(account: Account, at: int) -> Change:
    """A change as an engine would give it, in its n-th batch."""
    key, record = encode((account.key,)), record_of(account)
    return Change(key, record, Meta("law", key, fingerprint(key, canonical(record)), 1, version(1, at)))


def _with_units(timeline: Timeline[Rates], own: Iterator[dict[str, Any]]) -> Timeline[Rates]:
    def units(rates: Rates) -> Rates:
        return {name: Rate(one.price, one.quantity or Decimal(1), next(own)) for name, one in rates.items()}

    return timeline.map(units)
