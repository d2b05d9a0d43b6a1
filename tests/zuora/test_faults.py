"""Every fault that the stand-in knows, at the writer: never twice, never half, and nothing lost."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing

import msgspec
import pytest
from msgspec.structs import replace

from lockstep.errors import LeaseLost
from lockstep.ports.notes import Amendment, Note
from lockstep.systems import zuora
from lockstep.systems.zuora.writing.noted import Noted, key_of
from lockstep.systems.zuora.writing.writer import ZuoraWriter
from lockstep.twins.zuora.faults import Fault
from lockstep.twins.zuora.server import ZuoraTwin
from lockstep.values import Status
from tests.twins.api import Api, sign_in
from tests.zuora import app
from tests.zuora.notes import MemoryNotes
from tests.zuora.test_round_trip import change_of

ORDERS = "/v1/orders"


def opened(twin: ZuoraTwin, notes: MemoryNotes) -> ZuoraWriter:
    return app.tenant_of(twin).accounts(today=lambda: app.TODAY).noting(notes).open(1)


@pytest.fixture
def writer(zuora_twin: ZuoraTwin, api: Api, notes: MemoryNotes) -> Iterator[ZuoraWriter]:
    with closing(opened(zuora_twin, notes)) as made:
        made.create("law")
        yield made


def orders(api: Api) -> int:
    sign_in(api)  # a fault may have ended all tokens
    return len(api.get("/v1/orders", pageSize="40")["orders"])


@pytest.mark.parametrize("kind", ["429", "concurrent", "lock", "500", "503", "timeout", "cut", "token"])
def test_an_order_is_made_once_whatever_happens_to_its_request(
    writer: ZuoraWriter, zuora_twin: ZuoraTwin, api: Api, kind: str
) -> None:
    zuora_twin.faults(Fault(kind=kind, method="POST", path=ORDERS, times=1))
    (outcome,) = writer.write([change_of(app.example(), 1)])
    assert outcome.status is Status.APPLIED, outcome
    assert orders(api) == 1
    assert len(app.segments(api, "S-1")) == 2


def test_an_order_that_runs_long_after_its_time_out_is_waited_for(
    writer: ZuoraWriter, zuora_twin: ZuoraTwin, api: Api
) -> None:
    """Meanwhile it cannot be read, which proves nothing."""
    zuora_twin.faults(Fault(kind="timeout", method="POST", path=ORDERS, times=1, after=1.0))
    (outcome,) = writer.write([change_of(app.example(), 1)])
    assert outcome.status is Status.APPLIED, outcome
    assert orders(api) == 1


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("after", [1, 2])
def test_a_process_that_ends_before_or_after_the_send_leaves_one_order(
    writer: ZuoraWriter, notes: MemoryNotes, zuora_twin: ZuoraTwin, api: Api, after: int
) -> None:
    """1: the intent is durable and nothing is sent; 2: it was sent, and what came of it is not noted."""
    write, commits = notes.write, iter(range(1, 99))

    def dying(some: list[Note], amended: Sequence[Amendment] = ()) -> None:
        at = next(commits)
        if at == 1 or after == 1:
            write(some, amended)
        if at == after:
            raise Killed

    notes.write = dying  # type: ignore[method-assign,assignment]
    with pytest.raises(Killed):
        writer.write([change_of(app.example(), 1)])
    assert orders(api) == after - 1
    notes.write = write  # type: ignore[method-assign]
    with closing(opened(zuora_twin, notes)) as other:
        (outcome,) = other.write([change_of(app.example(seats=7), 2)])
    assert outcome.status is Status.APPLIED, outcome
    assert orders(api) == 2, "the one that was open, and the new one"
    assert {seats for _, _, _, seats, _ in app.segments(api, "S-1")} == {7}
    assert notes.scan("intent", None, 9) == []


def test_what_was_sent_is_noted_though_the_process_ended_before_its_answer(
    writer: ZuoraWriter, notes: MemoryNotes, zuora_twin: ZuoraTwin, api: Api
) -> None:
    """The account's fields are set and the process ends; of its next request nobody hears any more."""
    writer.write([change_of(app.example(), 1)])
    write, commits = notes.write, iter(range(1, 99))

    def dying(some: list[Note], amended: Sequence[Amendment] = ()) -> None:
        if next(commits) == 2:
            raise Killed
        write(some, amended)

    notes.write = dying  # type: ignore[method-assign,assignment]
    with pytest.raises(Killed):
        writer.write([change_of(replace(app.example(seats=7), name="Other"), 2)])
    notes.write = write  # type: ignore[method-assign]
    assert api.get("/v1/accounts/A-1")["basicInfo"]["name"] == "Other"
    with closing(opened(zuora_twin, notes)) as other:
        other.read([key_of("A-1")])
        other.write([change_of(replace(app.example(), currency="USD"), 3)])  # closes it, and is declined
    sent = Noted(notes).records([key_of("A-1")])[key_of("A-1")]
    assert sent.name == "Other"
    assert sent.subscriptions == app.example().subscriptions, "its order was never sent"


def test_who_has_lost_the_lease_sends_nothing(
    writer: ZuoraWriter, notes: MemoryNotes, zuora_twin: ZuoraTwin, api: Api
) -> None:
    def fenced(some: list[Note], amended: Sequence[Amendment]) -> None:
        raise LeaseLost("a newer epoch was drawn", "Nothing to do.")

    notes.write = fenced  # type: ignore[method-assign,assignment]
    with pytest.raises(LeaseLost):
        writer.write([change_of(app.example(), 1)])
    assert orders(api) == 0


def test_no_new_plan_before_the_open_request_has_its_answer(
    writer: ZuoraWriter, notes: MemoryNotes, zuora_twin: ZuoraTwin, api: Api
) -> None:
    writer._patience = 0.0
    zuora_twin.faults(Fault(kind="timeout_lost", method="POST", path=ORDERS))
    (first,) = writer.write([change_of(app.example(), 1)])
    (second,) = writer.write([change_of(app.example(seats=7), 2)])
    assert (first.status, second.status) == (Status.UNKNOWN, Status.UNKNOWN)
    assert len(notes.scan("intent", None, 9)) == 1
    assert zuora_twin.tenant.counts["GET /v1/subscriptions/accounts/{key}"] == 0
    zuora_twin.faults()
    (third,) = writer.write([change_of(app.example(seats=7), 2)])
    assert third.status is Status.APPLIED
    assert {seats for _, _, _, seats, _ in app.segments(api, "S-1")} == {7}


@pytest.mark.parametrize(
    ("plan", "currency", "said"),
    [
        ("Gold", "EUR", "rate plan Gold is not in the catalogue"),
        ("Pro", "CHF", "has no price in CHF"),
    ],
)
def test_what_cannot_be_mapped_is_refused_with_the_record_and_no_order(
    writer: ZuoraWriter, api: Api, plan: str, currency: str, said: str
) -> None:
    (outcome,) = writer.write([change_of(app.example(plan=plan, currency=currency), 1)])
    assert outcome.status is Status.REJECTED
    assert said in str(outcome.reason)
    assert "S-1" in str(outcome.reason)
    assert orders(api) == 0


def named(name: str) -> zuora.Account:
    return msgspec.structs.replace(app.example(), name=name)


@pytest.mark.parametrize("kind", ["timeout", "timeout_lost", "cut", "500", "429", "token"])
def test_fields_of_an_account_may_be_sent_twice(
    writer: ZuoraWriter, zuora_twin: ZuoraTwin, api: Api, kind: str
) -> None:
    """A PUT knows no Idempotency-Key: it says what should be, so twice is as once."""
    writer.write([change_of(named("Ada"), 1)])
    zuora_twin.faults(Fault(kind=kind, method="PUT", path="/v1/accounts/.*", times=1))
    (outcome,) = writer.write([change_of(named("Eve"), 2)])
    assert outcome.status is Status.APPLIED, outcome
    assert orders(api) == 1
    assert api.get("/v1/accounts/A-1")["basicInfo"]["name"] == "Eve"
    assert len(api.get("/object-query/accounts")["data"]) == 1
    assert len(api.get("/object-query/contacts")["data"]) == 1


def test_fields_that_land_after_later_ones_are_found_by_a_check_and_repaired(
    writer: ZuoraWriter, zuora_twin: ZuoraTwin, api: Api
) -> None:
    """What no order of ours can prevent: the first PUT times out and is done when the second one long is."""
    writer.write([change_of(named("Ada"), 1)])
    zuora_twin.faults(Fault(kind="timeout", method="PUT", path="/v1/accounts/.*", times=1, after=1.0))
    for version, name in ((2, "Bob"), (3, "Eve")):
        change = change_of(named(name), version)
        (outcome,) = writer.write([change])
        assert outcome.status is Status.APPLIED, outcome
    assert writer.read([change.key])[change.key].record == change.record
    time.sleep(1.2)
    assert api.get("/v1/accounts/A-1")["basicInfo"]["name"] == "Bob"
    assert writer.read([change.key])[change.key].record != change.record, "a deep check reads so"
    (outcome,) = writer.write([change_of(named("Eve"), 4)])
    assert outcome.status is Status.APPLIED, outcome
    assert api.get("/v1/accounts/A-1")["basicInfo"]["name"] == "Eve"
