"""What may not be transferred, or not yet: a stuck key that says why, and nothing is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import msgspec
import pytest
from msgspec.structs import replace

from lockstep.ports.notes import Amendment, Note
from lockstep.systems.zuora.writing.noted import Leaving, Noted, key_of
from lockstep.systems.zuora.writing.writer import ZuoraWriter
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import Status
from tests.twins.api import Api
from tests.zuora.handing_over import (
    DONE,
    account,
    begun,
    kinds,
    left,
    on,
    opened,
    other,
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
    assert "another one may return it" in str(outcome.reason)
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


def test_a_claim_that_is_dropped_begins_the_time_anew(
    writer: ZuoraWriter, notes: MemoryNotes, api: Api
) -> None:
    """From A-1 to A-2, and before that was done from there to A-3: days after it left A-1."""
    Noted(notes).note_leaving({"S-1": Leaving(on="A-1", since=0.0, wanted="A-2")})
    (outcome,) = writer.write([change_of(account("A-2", other()), 3)])
    assert outcome.status in DONE
    (outcome,) = writer.write([left()])
    assert "another one may return it" in str(outcome.reason)
    assert all(one.status in DONE for one in worked(writer, [[taken(3, "A-3")], [left(3)]]))
    assert on(api) == ("A-3", "A-3", "Active")


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
    known = Noted(notes).known([key_of("A-1")])[key_of("A-1")]
    notes.write([Note("account", key_of("A-1"), msgspec.json.encode(replace(known, ours=())))])
    (outcome,) = writer.write([taken()])
    assert outcome.status is Status.REJECTED
    assert "is on account A-1 in Zuora and is not Lockstep's" in str(outcome.reason)
    assert (on(api)[0], kinds(api)) == ("A-1", ["CreateSubscription"])
    assert notes.scan("leaving", None, 9) == []


def test_one_that_is_back_is_not_taken(
    writer: ZuoraWriter, notes: MemoryNotes, zuora_twin: ZuoraTwin, api: Api
) -> None:
    """The new account has claimed it, and the old one had left it; then the app changed its mind."""
    with closing(opened(zuora_twin, notes, within=None)) as plain:
        plain.write([taken()])
        plain.write([left()])
        (outcome,) = plain.write([change_of(account("A-1", subscription(5)), 3)])
        assert outcome.status is Status.APPLIED
    (outcome,) = writer.write([taken(3)])
    assert "which account A-1 returns, too" in str(outcome.reason)
    assert kinds(api) == ["CreateSubscription", "UpdateProduct"]


def test_one_that_a_person_brings_over_is_noted_as_there(
    writer: ZuoraWriter, notes: MemoryNotes, zuora_twin: ZuoraTwin, api: Api
) -> None:
    with closing(opened(zuora_twin, notes, within=None)) as plain:
        plain.write([taken()])
        to = {"destinationAccountNumber": "A-2", "destinationInvoiceAccountNumber": "A-2"}
        assert api.order({"type": "OwnerTransfer", "triggerDates": DAY, "ownerTransfer": to})["success"]
        (outcome,) = plain.write([taken()])
        assert outcome.status is Status.APPLIED
    assert notes.scan("leaving", None, 9) == []
    assert Noted(notes).known([key_of("A-1")])[key_of("A-1")].ours == ()


def test_what_zuora_refuses_for_another_reason_is_sent_once(
    writer: ZuoraWriter, zuora_twin: ZuoraTwin, api: Api
) -> None:
    assert "actions_per_order" in str(api.put("/twin/settings", {"actions_per_order": 0}))
    zuora_twin.tenant.counts.clear()
    (outcome,) = writer.write([change_of(account("A-9", subscription(number="S-9")), 2)])
    assert outcome.status is Status.REJECTED
    assert "an order may have 0 order actions" in str(outcome.reason)
    assert zuora_twin.tenant.counts["POST /v1/orders"] == 1


def test_a_transfer_that_zuora_refuses_is_sent_once_and_loses_nothing(
    writer: ZuoraWriter, zuora_twin: ZuoraTwin, api: Api
) -> None:
    api.put("/twin/settings", {"actions_per_order": 0})
    zuora_twin.tenant.counts.clear()
    coming, going = writer.write([taken(), left()])
    assert "Owner Transfer (Feature Management)" in str(coming.reason)
    assert "is returned by account A-2 now" in str(going.reason)
    assert zuora_twin.tenant.counts["POST /v1/orders"] == 1
    assert on(api) == ("A-1", "A-1", "Active")


def test_no_two_open_requests_change_one_account(writer: ZuoraWriter, notes: MemoryNotes, api: Api) -> None:
    """Two contracts of A-1 go to two others, one of A-2 comes, all in one batch."""
    writer.write([change_of(account("A-1", subscription(), subscription(number="S-3")), 2)])
    write = notes.write

    def watched(some: list[Note], amended: Sequence[Amendment] = ()) -> None:
        write(some, amended)
        intents = Noted(notes).intents([key_of(f"A-{n}") for n in range(10)])
        touched = [
            one
            for key, intent in intents.items()
            for one in {key, *(key_of(each.account) for each in intent.moves)}
        ]
        assert len(touched) == len(set(touched)), "one open request an account"

    notes.write = watched  # type: ignore[method-assign,assignment]
    batch = [
        change_of(account("A-1", other()), 3),
        change_of(account("A-2", subscription()), 3),
        change_of(account("A-3", subscription(number="S-3")), 3),
    ]
    assert all(one.status in DONE for one in writer.write(batch))
    assert [on(api, f"S-{n}")[0] for n in (1, 2, 3)] == ["A-2", "A-1", "A-3"]
