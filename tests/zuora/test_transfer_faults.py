"""An owner transfer in any order of work, under faults, in processes that end between any two steps: one
transfer, nothing cancelled, and the notes say whose it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

import lockstep as ls
from lockstep.keys import encode
from lockstep.notes import Note
from lockstep.systems import zuora
from lockstep.systems.zuora.failures import Declined
from lockstep.systems.zuora.noted import Noted, key_of
from lockstep.systems.zuora.writer import ZuoraWriter
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import Change, Fingerprint, Meta, Outcome, Status, version
from tests.twins.api import Api, sign_in
from tests.zuora import app
from tests.zuora.notes import MemoryNotes
from tests.zuora.test_round_trip import change_of
from tests.zuora.test_transfer import kinds, on

ORDERS = "/v1/orders"
DONE = (Status.APPLIED, Status.UNCHANGED)
WITHIN = dt.timedelta(hours=1)


@pytest.fixture
def api(zuora_twin: ZuoraTwin) -> Iterator[Api]:
    made = app.stocked(zuora_twin)
    yield made
    made.http.close()


@pytest.fixture
def notes() -> MemoryNotes:
    return MemoryNotes()


def opened(
    twin: ZuoraTwin, notes: MemoryNotes, within: dt.timedelta | None = WITHIN, patience: float = 30.0
) -> ZuoraWriter:
    target = app.tenant_of(twin).accounts(today=lambda: app.TODAY, transfers_within=within)
    made = target.noting(notes).open(1)
    made._patience = patience
    return made


@pytest.fixture
def writer(zuora_twin: ZuoraTwin, api: Api, notes: MemoryNotes) -> Iterator[ZuoraWriter]:
    """A-1 has S-1, A-2 and its S-2 are there too."""
    with closing(opened(zuora_twin, notes)) as made:
        made.create("law")
        before = [change_of(account("A-1", subscription()), 1), change_of(account("A-2", other()), 1)]
        assert all(one.status is Status.APPLIED for one in made.write(before))
        yield made


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

WAYS: dict[str, Batches] = {
    "together": [[left(), taken()]],
    "together, the new one first": [[taken(), left()]],
    "the old one first": [[left()], [taken()]],
    "the new one first": [[taken()], [left()]],
    "the old one goes, together": [[gone(), taken()]],
    "the old one goes first": [[gone()], [taken()]],
    "the old one goes last": [[taken()], [gone()]],
    "to a new account": [[left(), taken(number="A-9")]],
    "to a new account that is first": [[taken(number="A-9")], [gone()]],
}


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


def assert_moved(api: Api, notes: MemoryNotes, to: str = "A-2") -> None:
    sign_in(api)
    assert on(api) == (to, to, "Active")
    assert kinds(api) == ["CreateSubscription", "OwnerTransfer", "UpdateProduct"]
    assert notes.scan("intent", None, 9) == []
    assert notes.scan("leaving", None, 9) == []
    known = Noted(notes).known([key_of("A-1"), key_of(to)])
    assert "S-1" not in known[key_of("A-1")].ours
    assert "S-1" in known[key_of(to)].ours


def to_of(way: str) -> str:
    return "A-9" if "new account" in way else "A-2"


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("way", WAYS)
def test_whichever_is_worked_first(
    writer: ZuoraWriter,
    notes: MemoryNotes,
    api: Api,
    way: str,
    told: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where a tenant says with a code that nobody knows that the number is taken."""
    if not told:
        monkeypatch.setattr(Declined, "taken", False)
    assert all(one.status in DONE for one in worked(writer, WAYS[way]))
    assert_moved(api, notes, to_of(way))
    again = [change for batch in WAYS[way] for change in batch]
    assert {one.status for one in writer.write(again)} == {Status.UNCHANGED}, "delivered again"
    assert_moved(api, notes, to_of(way))


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("first", ["the same", "the other"])
@pytest.mark.parametrize("way", ["together", "the old one first", "the new one first", "to a new account"])
def test_a_process_that_ends_at_any_commit(
    writer: ZuoraWriter, notes: MemoryNotes, zuora_twin: ZuoraTwin, api: Api, way: str, first: str
) -> None:
    """Before each commit and after it, one after another: every process does one more step and ends."""
    write, batches = notes.write, WAYS[way]
    ends = 0
    for at in range(1, 99):
        for before in (True, False):
            commits = iter(range(1, 99))

            def dying(
                some: list[Note], at: int = at, before: bool = before, commits: Iterator[int] = commits
            ) -> None:
                dies = next(commits) == at
                if not (dies and before):
                    write(some)
                if dies:
                    raise Killed

            notes.write = dying  # type: ignore[method-assign,assignment]
            with closing(opened(zuora_twin, notes)) as mortal:
                try:
                    worked(mortal, batches)
                except Killed:
                    ends += 1
                    if first == "the other":
                        batches = batches[::-1] if len(batches) > 1 else [batches[0][::-1]]
                    continue
            break
        else:
            continue
        break
    notes.write = write  # type: ignore[method-assign]
    assert ends > 3
    with closing(opened(zuora_twin, notes)) as last:
        assert all(one.status in DONE for one in worked(last, batches))
    assert_moved(api, notes, to_of(way))


@pytest.mark.parametrize("alone", ["A-1", "A-2"])
@pytest.mark.parametrize("sent", [False, True])
def test_an_open_transfer_is_closed_by_whichever_account_is_worked(
    writer: ZuoraWriter, notes: MemoryNotes, zuora_twin: ZuoraTwin, api: Api, alone: str, sent: bool
) -> None:
    """It is of both accounts: nothing of either is planned before it has its answer."""
    kind = "timeout" if sent else "timeout_lost"
    late = Fault(kind=kind, method="POST", path=ORDERS, after=1.0)
    with closing(opened(zuora_twin, notes, patience=0.0)) as impatient:
        impatient.write([left()])
        zuora_twin.faults(late)
        assert {one.status for one in impatient.write([taken()])} == {Status.UNKNOWN}
        ((_, intent),) = notes.scan("intent", None, 9)
        zuora_twin.tenant.counts.clear()
        (outcome,) = impatient.write([left(3) if alone == "A-1" else taken(3)])
        assert outcome.status is Status.UNKNOWN
        assert zuora_twin.tenant.counts["GET /v1/subscriptions/accounts/{key}"] == 0
        assert notes.scan("intent", None, 9) == [(key_of("A-2"), intent)], "under the same number"
    zuora_twin.faults()
    with closing(opened(zuora_twin, notes)) as next_:
        (outcome,) = next_.write([left(3) if alone == "A-1" else taken(3)])
        assert outcome.status in DONE
        assert on(api)[0] == "A-2"
        assert all(one.status in DONE for one in worked(next_, [[taken(4), left(4)]]))
    assert_moved(api, notes)


def test_an_open_request_of_the_old_account_comes_first(
    writer: ZuoraWriter, notes: MemoryNotes, zuora_twin: ZuoraTwin, api: Api
) -> None:
    """A-1 is in no batch then: its cancellation, of a time without transfers, is at work."""
    with closing(opened(zuora_twin, notes, within=None, patience=0.0)) as impatient:
        zuora_twin.faults(Fault(kind="timeout_lost", method="POST", path=ORDERS))
        (outcome,) = impatient.write([left()])
        assert outcome.status is Status.UNKNOWN
    zuora_twin.faults()
    Noted(notes).wish({key_of("A-1"): None})  # what it was sent is not known: it may return S-1 or not
    (outcome,) = writer.write([taken()])
    assert outcome.status is Status.REJECTED
    assert "was cancelled on account A-1" in str(outcome.reason)
    assert notes.scan("intent", None, 9) == []
    assert kinds(api) == ["CreateSubscription", "CancelSubscription"]


@pytest.mark.parametrize("kind", ["429", "lock", "500", "503", "timeout", "timeout_lost", "cut", "token"])
def test_a_transfer_is_made_once_whatever_happens_to_its_request(
    writer: ZuoraWriter, notes: MemoryNotes, zuora_twin: ZuoraTwin, api: Api, kind: str
) -> None:
    zuora_twin.faults(Fault(kind=kind, method="POST", path=ORDERS, times=1))
    assert all(one.status in DONE for one in worked(writer, WAYS["together"]))
    assert_moved(api, notes)


def test_two_that_both_return_it_never_take_it_from_each_other(
    writer: ZuoraWriter, notes: MemoryNotes, api: Api
) -> None:
    keeps = change_of(account("A-1", subscription(4)), 2)
    for batches in ([[keeps, taken()]], [[taken(3)], [change_of(account("A-1", subscription(5)), 3)]]):
        reasons = [str(one.reason) for one in worked(writer, batches) if one.status not in DONE]
        assert len(reasons) == 1
        assert "should have subscription S-1, which account A-1 returns, too" in reasons[0]
        assert on(api)[0] == "A-1"
    (outcome,) = writer.write([change_of(account("A-2", other()), 4)])
    assert outcome.status in DONE
    assert notes.scan("leaving", None, 9) == [], "nobody claims it any more"


def test_one_that_comes_back_in_time_stays(writer: ZuoraWriter, notes: MemoryNotes, api: Api) -> None:
    (outcome,) = writer.write([left()])
    assert "waits until" in str(outcome.reason)
    (outcome,) = writer.write([change_of(account("A-1", subscription(5)), 3)])
    assert outcome.status is Status.APPLIED
    assert notes.scan("leaving", None, 9) == []
    assert kinds(api) == ["CreateSubscription", "UpdateProduct"]


def test_a_claim_that_is_dropped_protects_no_longer(
    zuora_twin: ZuoraTwin, writer: ZuoraWriter, notes: MemoryNotes, api: Api
) -> None:
    with closing(opened(zuora_twin, notes, within=None)) as plain:
        for _ in range(2):
            (claim,) = plain.write([taken()])
            (kept,) = plain.write([left()])
            assert (claim.status, kept.status) == (Status.REJECTED, Status.REJECTED)
            assert "is returned by account A-2 now" in str(kept.reason)
        plain.write([change_of(account("A-2", other()), 3)])
        (outcome,) = plain.write([left()])
        assert outcome.status is Status.APPLIED
    assert kinds(api) == ["CreateSubscription", "CancelSubscription"]
    assert notes.scan("leaving", None, 9) == []


DAY = [{"name": name, "triggerDate": "2026-02-01"} for name in ("ContractEffective", "ServiceActivation")]


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("suspended", "suspended since 2026-02-01"),
        ("payer", "is billed to account A-3"),
        ("currency", "is in EUR, not in USD"),
        ("cancelled", "was cancelled on account A-1"),
    ],
)
def test_what_no_order_can_bring_over_is_a_stuck_key_and_stays(
    writer: ZuoraWriter, api: Api, spoilt: str, said: str
) -> None:
    change = taken()
    actions: dict[str, tuple[str, str, dict[str, str]]] = {
        "suspended": ("Suspend", "suspend", {"suspendPolicy": "Today"}),
        "payer": ("OwnerTransfer", "ownerTransfer", {"destinationInvoiceAccountNumber": "A-3"}),
        "cancelled": (
            "CancelSubscription",
            "cancelSubscription",
            {"cancellationPolicy": "SpecificDate", "cancellationEffectiveDate": "2026-02-01"},
        ),
    }
    if spoilt == "currency":
        change = change_of(account("A-9", subscription(7), currency="USD"), 2)
    else:
        api.account("A-3")
        kind, name, body = actions[spoilt]
        done = api.order({"type": kind, "triggerDates": DAY, name: body})
        assert done["success"], done
    before = kinds(api)
    writer.write([left()])
    (outcome,) = writer.write([change])
    assert outcome.status is Status.REJECTED
    assert said in str(outcome.reason), outcome
    assert kinds(api) == before
    assert on(api)[0] == "A-1"


def test_what_is_not_lockstep_s_is_never_moved(writer: ZuoraWriter, notes: MemoryNotes, api: Api) -> None:
    noted = Noted(notes)
    known = noted.known([key_of("A-1")])[key_of("A-1")]
    noted.settle((), {key_of("A-1"): (replace(known, ours=()), None)})
    (outcome,) = writer.write([taken()])
    assert outcome.status is Status.REJECTED
    assert "is on account A-1 in Zuora and is not Lockstep's" in str(outcome.reason)
    assert (on(api)[0], kinds(api)) == ("A-1", ["CreateSubscription"])
    assert notes.scan("leaving", None, 9) == []
