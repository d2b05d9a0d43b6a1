"""An owner transfer in any order of work, under faults, in processes that end between any two steps: one
transfer, nothing cancelled, and the notes say whose it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from lockstep.ports.notes import Amendment, Note
from lockstep.systems.zuora.api.failures import Declined
from lockstep.systems.zuora.writing.noted import Noted, key_of
from lockstep.systems.zuora.writing.writer import ZuoraWriter
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import Status
from tests.twins.api import Api, sign_in
from tests.zuora.handing_over import (
    DONE,
    ORDERS,
    Batches,
    account,
    begun,
    gone,
    kinds,
    left,
    on,
    opened,
    subscription,
    taken,
    worked,
)
from tests.zuora.notes import MemoryNotes
from tests.zuora.test_round_trip import change_of


@pytest.fixture
def writer(zuora_twin: ZuoraTwin, api: Api, notes: MemoryNotes) -> Iterator[ZuoraWriter]:
    with closing(opened(zuora_twin, notes)) as made:
        begun(made)
        yield made


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
                some: list[Note],
                amended: Sequence[Amendment] = (),
                at: int = at,
                before: bool = before,
                commits: Iterator[int] = commits,
            ) -> None:
                dies = next(commits) == at
                if not (dies and before):
                    write(some, amended)
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
        assert notes.scan("leaving", None, 9) == [], "with its answer it is settled for both"
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


def test_what_is_noted_of_one_that_is_done_stays_while_others_of_its_batch_go_on(writer: ZuoraWriter) -> None:
    """Its last request made one of its subscriptions as it should be, and not the one that came as it is."""
    assert (
        writer.write([change_of(account("A-3", subscription(number="S-3")), 1)])[0].status is Status.APPLIED
    )
    done = change_of(account("A-2", subscription(), subscription(9, "S-2")), 2)
    longer = change_of(account("A-9", subscription(7, "S-3")), 2)
    outcomes = writer.write([left(), done, change_of(account("A-3"), 2), longer])
    assert {one.status for one in outcomes} <= set(DONE)
    assert writer.read([done.key])[done.key].record == done.record
