"""A tenant's objects as a source, against the stand-in: what the laws of readers and feeds ask, as far as
an API without moments and without a log can do it."""

from __future__ import annotations

import datetime as dt
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from itertools import chain, pairwise
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.errors import DataError, Refused
from lockstep.forms import keys
from lockstep.systems.zuora.tables.polling import ZuoraFeed
from lockstep.systems.zuora.tables.reader import ZuoraReader, ZuoraSnapshot
from lockstep.systems.zuora.tables.source import ZuoraTables
from lockstep.testing.source_world import walk
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import EVERYTHING, FeedMark, Fetch, Hint, Span, Table
from tests.twins.api import Api, opened, stocked

ACCOUNTS = Table("accounts", ("id", "accountNumber", "balance"), ("id",))
SUBSCRIPTIONS = Table("subscriptions", ("originalId", "name", "status"), ("originalId",), ("accountId",))
INVOICES = Table("invoices", ("id", "balance"), ("id",), ("accountId",))


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    made = stocked(opened(zuora_twin))
    yield made
    made.http.close()


@pytest.fixture
def source(zuora_twin: ZuoraTwin) -> ZuoraTables:
    tenant = ls.Zuora(zuora_twin.url, client_id=zuora_twin.client_id, client_secret=zuora_twin.client_secret)
    return tenant.tables(every=0.1, overlap=dt.timedelta(seconds=30))


@pytest.fixture
def reader(source: ZuoraTables) -> Iterator[ZuoraReader]:
    with closing(source.reader()) as made:
        yield made


@pytest.fixture
def snapshot(reader: ZuoraReader) -> Iterator[ZuoraSnapshot]:
    with reader.snapshot() as made:
        yield made


def billed(api: Api) -> None:
    api.account()
    assert api.order(api.subscribe())["success"]
    said = api.post(
        "/v1/bill-runs", {"invoiceDate": "2025-01-01", "targetDate": "2025-01-01", "autoPost": True}
    )
    assert said["success"], said


def test_values_are_exact_and_typed(api: Api, snapshot: ZuoraSnapshot) -> None:
    billed(api)
    fetch = Fetch("invoices", ("amount", "invoiceDate", "updatedDate", "status"), ("invoiceDate",))
    ((amount, day, updated, status),) = snapshot.rows(fetch, [(dt.date(2025, 1, 1),)])
    assert (amount, type(amount), day, status) == (Decimal(100), Decimal, dt.date(2025, 1, 1), "Posted")
    assert updated.tzinfo is dt.UTC
    items = Fetch("invoice-items", ("chargeAmount", "subscriptionNumber"), ("subscriptionNumber",))
    assert snapshot.rows(items, [("S-1",)]) == [(Decimal(100), "S-1")]


def test_of_a_subscription_only_the_newest_version_is_a_row_and_its_key_stays(
    api: Api, snapshot: ZuoraSnapshot
) -> None:
    api.clock("2025-02-01")
    billed(api)
    before = walk(snapshot, SUBSCRIPTIONS)
    assert api.order(api.update("2025-06-01", quantity=20))["success"]
    assert walk(snapshot, SUBSCRIPTIONS) == before
    fetch = Fetch("subscriptions", ("name", "version", "status"), ("originalId",))
    ((name, version, status),) = snapshot.rows(fetch, [keys.decode(before[0])])
    assert (name, version) == ("S-1", 2)
    assert status != "Expired", "which is what the older version is"


def test_rows_are_found_as_asked_each_once(api: Api, snapshot: ZuoraSnapshot) -> None:
    for number in ("A-1", "a-1", "A,[2]"):
        api.account(number)
    fetch = Fetch("accounts", ("accountNumber",), ("accountNumber",))
    assert snapshot.rows(fetch, [("A-1",), ("A-1",), (None,), ("A-9",)]) == [("A-1",)]
    assert snapshot.rows(fetch, [("A,[2]",)]) == [("A,[2]",)]
    assert snapshot.rows(fetch, []) == []
    pair = Fetch("accounts", ("accountNumber",), ("currency", "accountNumber"))
    assert snapshot.rows(pair, [("USD", "a-1"), ("EUR", "A-1")]) == [("a-1",)]
    money = Fetch("accounts", ("accountNumber",), ("balance",))
    assert len(snapshot.rows(money, [(Decimal("0.00"),)])) == 3


def test_a_walk_sees_every_key_once_and_spans_adjoin(api: Api, reader: ZuoraReader) -> None:
    for number in range(105):
        api.account(f"A-{number}")
    with reader.snapshot() as snapshot:
        every = walk(snapshot, ACCOUNTS)
        assert len(every) == len(set(every)) == 105
        assert every == sorted(every)
        assert walk(snapshot, ACCOUNTS, limit=10) == every
        cuts = [None, every[3], keys.encode((keys.decode(every[50])[0][:-1],)), None]
        parts = [walk(snapshot, ACCOUNTS, Span(*pair), 7) for pair in pairwise(cuts)]
        assert list(chain.from_iterable(parts)) == every
        assert snapshot.keys(ACCOUNTS, EVERYTHING, 105).rest is None
        fetch = Fetch("accounts", ("id",), ("id",))
        assert len(snapshot.rows(fetch, [keys.decode(key) for key in every])) == 105
    assert reader.estimate(ACCOUNTS) == reader.count(ACCOUNTS, 1_000) == 105
    assert reader.count(ACCOUNTS, 5) == 5


def test_hashes_follow_the_values(api: Api, snapshot: ZuoraSnapshot) -> None:
    api.account("A-1")
    fetch = Fetch("accounts", ("id",), ("accountNumber",), (("name", "crmId"), ("currency",)))
    ((_, before, other),) = snapshot.rows(fetch, [("A-1",)])
    assert api.put("/v1/accounts/A-1", {"name": "Eve"})["success"]
    ((_, after, same),) = snapshot.rows(fetch, [("A-1",)])
    assert before != after
    assert other == same


def test_what_is_not_there_is_refused_with_a_mend(snapshot: ZuoraSnapshot, source: ZuoraTables) -> None:
    for fetch in (Fetch("accounts", ("nothing",), ("id",)), Fetch("nowhere", ("id",), ("id",))):
        with pytest.raises(Refused) as refused:
            snapshot.rows(fetch, [("1",)])
        assert refused.value.remedy
    assert [one.blocks for one in source.check([Table("accounts", ("id",), ("name",))])] == [True]
    assert source.check([ACCOUNTS, INVOICES]) == []
    right, wrong = source.parse_keys(ACCOUNTS, [("abc",), ("a", "b")])
    assert right == keys.encode(("abc",))
    assert isinstance(wrong, DataError)


def hinted(feed: ZuoraFeed, position: str, act: Callable[[], object]) -> tuple[list[Hint], str]:
    """What is hinted until all that `act` did must have been, and the position then."""
    act()
    goal = feed.reached()
    found: list[Hint] = []
    for caught in feed.follow(position):
        found += caught.hints
        assert caught.position is not None
        if feed.passed(caught.position, goal):
            return found, caught.position
    raise AssertionError("the feed ended")


def test_what_is_updated_is_hinted_with_its_joins_and_goes_on_after_a_crash(
    api: Api, source: ZuoraTables, snapshot: ZuoraSnapshot
) -> None:
    with closing(source.feed()) as feed:
        capture = feed.prepare([ACCOUNTS, SUBSCRIPTIONS], None)
        assert capture.started == ("accounts", "subscriptions")
        hints, position = hinted(feed, capture.position, lambda: billed(api))
    (account,), (subscription,) = walk(snapshot, ACCOUNTS), walk(snapshot, SUBSCRIPTIONS)
    assert {(one.table, one.key) for one in hints} >= {("accounts", account), ("subscriptions", subscription)}
    assert all(one.after == {"accountId": account} for one in hints if one.table == "subscriptions")
    with closing(source.feed()) as feed:
        mark = FeedMark(source.name, position, capture.identity)
        again = feed.prepare([ACCOUNTS, SUBSCRIPTIONS, INVOICES], mark)
        assert (again.started, again.hole) == (("invoices",), None)
        hints, _ = hinted(feed, again.position, lambda: assert_renamed(api))
        assert account in {one.key for one in hints}
        moved = feed.prepare([ACCOUNTS], FeedMark(source.name, position, "zuora:other"))
        assert moved.hole
        assert moved.started == ("accounts",)


def assert_renamed(api: Api) -> None:
    assert api.put("/v1/accounts/A-1", {"name": "Eve"})["success"]


def test_the_overlap_is_not_hinted_again_and_a_busy_tenant_loses_nothing(
    api: Api, source: ZuoraTables, zuora_twin: ZuoraTwin
) -> None:
    with closing(source.feed()) as feed:
        capture = feed.prepare([ACCOUNTS], None)
        zuora_twin.faults(Fault(kind="503", times=2, path="/object-query/.*"))

        def many() -> None:
            for number in range(120):
                api.account(f"A-{number}")

        hints, position = hinted(feed, capture.position, many)
        assert len({one.key for one in hints}) == 120
        time.sleep(2.2)
        hinted(feed, position, lambda: None)
        hints, _ = hinted(feed, position, lambda: None)
        assert hints == []


def test_changes_of_one_updated_date_and_what_shows_up_late_are_hinted(
    api: Api, source: ZuoraTables, zuora_twin: ZuoraTwin
) -> None:
    """A date has a resolution, and a long transaction shows up after what was updated later than it."""
    moment = dt.datetime.now(dt.UTC).replace(microsecond=0)
    zuora_twin.set_clock(moment)
    with closing(source.feed()) as feed:
        capture = feed.prepare([ACCOUNTS], None)
        first, position = hinted(feed, capture.position, lambda: api.account("A-1"))
        second, position = hinted(feed, position, lambda: api.account("A-2"))
        (one,) = {hint.key for hint in first}
        (two,) = {hint.key for hint in second} - {one}
        again, position = hinted(feed, position, lambda: assert_renamed(api))
        assert one in {hint.key for hint in again}, "a second change within its updated date"
        zuora_twin.set_clock(moment - dt.timedelta(seconds=20))
        late, _ = hinted(feed, position, lambda: api.account("A-3"))
        assert {hint.key for hint in late} - {one, two}, "updated before the newest that was seen"


class Customer(ls.Model, table="accounts"):
    id: str = ls.key()
    accountNumber: str
    balance: Decimal


class Invoice(ls.Model, table="invoices"):
    id: str = ls.key()
    accountId: str = ls.ref("Customer.id")
    balance: Decimal


class Owing(Customer):
    invoices: list[Invoice]


def owed(customer: Owing) -> dict[str, object]:
    number = len([one for one in customer.invoices if one.balance > 0])
    return {"id": customer.accountNumber, "balance": customer.balance, "open_invoices": number}


def test_a_table_of_the_app_keeps_what_accounts_owe(api: Api, source: ZuoraTables, tmp_path: Path) -> None:
    columns = {"id": "TEXT", "balance": "NUMERIC", "open_invoices": "INTEGER"}
    target = ls.SQLite(tmp_path / "app.db").table("owed", columns=columns)
    pipeline = ls.Pipeline("owed", state=tmp_path / "state")
    pipeline.mapping(source, to=target, key=Owing.accountNumber, name="owed")(owed)
    billed(api)
    ls.run(pipeline, once=True)
    with closing(sqlite3.connect(tmp_path / "app.db")) as app:
        assert app.execute("SELECT id, balance, open_invoices FROM owed").fetchall() == [("A-1", 100, 1)]
        (invoice,) = api.get("/object-query/invoices")["data"]
        paid = {
            "accountNumber": "A-1",
            "amount": 100,
            "currency": "USD",
            "type": "External",
            "effectiveDate": "2025-01-02",
            "invoices": [{"invoiceId": invoice["id"], "amount": 100}],
        }
        assert api.post("/v1/payments", paid)["success"]
        ls.run(pipeline, once=True)
        assert app.execute("SELECT id, balance, open_invoices FROM owed").fetchall() == [("A-1", 0, 0)]
    (report,) = pipeline.verify("owed", method="deep")
    assert report.agreement, report


def test_what_changed_while_nobody_followed_is_hinted(api: Api, zuora_twin: ZuoraTwin) -> None:
    tenant = ls.Zuora(zuora_twin.url, client_id=zuora_twin.client_id, client_secret=zuora_twin.client_secret)
    source = tenant.tables(every=0.1, overlap=dt.timedelta(seconds=0.2))
    with closing(source.feed()) as feed:
        capture = feed.prepare([ACCOUNTS], None)
        _, position = hinted(feed, capture.position, lambda: None)
    api.account()
    time.sleep(0.8)  # longer than the overlap reaches back
    with closing(source.feed()) as feed:
        again = feed.prepare([ACCOUNTS], FeedMark(source.name, position, capture.identity))
        hints, _ = hinted(feed, again.position, lambda: None)
        assert len(hints) >= 1
