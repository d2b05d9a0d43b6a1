"""Take: what becomes of hints before anything is derived."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from unittest import mock

import pytest

import lockstep.declaration.model as ls
from lockstep.engine.hints import unfold
from lockstep.engine.hints.batch import Batch
from lockstep.forms import keys
from lockstep.journal.sql import SqlJournal
from lockstep.place import Place
from lockstep.state.rows import Row, Settlement
from lockstep.values import EVERYTHING, Entry, FeedMark, Hint, Key, Lane, Span, Trust, Version
from tests.support.engine import Works
from tests.support.memory import MemorySource, MemoryTarget


class Company(ls.Model, table="companies"):
    id: int = ls.key()


class User(ls.Model, table="users"):
    id: int = ls.key()
    company_id: int | None = ls.ref("Company.id")


class Person(User):
    company: Company | None


def person(user: Person) -> dict[str, object]:
    return {"id": user.id}


def K(value: object) -> Key:
    return keys.encode((value,))


@contextlib.contextmanager
def counting(journal: SqlJournal) -> Iterator[list[Sequence[Entry]]]:
    """Every append to a journal meanwhile."""
    calls: list[Sequence[Entry]] = []
    append = journal.append

    def counted(entries: Sequence[Entry], mark: FeedMark | None = None) -> None:
        calls.append(entries)
        append(entries, mark)

    with mock.patch.object(journal, "append", counted):
        yield calls


@pytest.fixture
def one(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Works]:
    monkeypatch.setattr(unfold, "SPAN", 20)
    monkeypatch.setattr(unfold, "PACKED", 3)
    users = [{"id": number, "company_id": number % 3} for number in range(101)]
    source = MemorySource(users=users, companies=[{"id": number} for number in range(3)])
    made = Works(place, person, source, MemoryTarget(), limit=30)
    yield made
    made.store.close()


def everything(one: Works, most: int = 400) -> list[Batch]:
    """Takes and settles until nothing is takeable."""
    found: list[Batch] = []
    while (batch := one.taker.take()) is not None:
        found.append(batch)
        one.taker.settled(batch)
        assert len(found) < most
    return found


def known(one: Works, *numbers: int) -> None:
    """Makes the ledger know keys that the source may not have."""
    rows = [Row(K(number), 1) for number in numbers]
    done = Settlement(one.consumer, Version(1), rows, (), (), (), (), {}, 0)
    one.store.ledger.settle(one.lease.epoch, one.generation, done)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_span_yields_every_key_once_and_orphans_too(one: Works, ordered: bool) -> None:
    one.source.ordered = ordered
    orphans = [-5, 1000, 1001, *range(2000, 2050)]
    known(one, 5, 50, *orphans)
    one.ask()
    batches = everything(one)
    seen = [key for batch in batches for key in batch.works]
    wanted = {K(number) for number in [*range(101), *orphans]}
    assert set(seen) == wanted
    # An unordered walk meets the keys that the ledger knows a second time.
    assert len(seen) == len(wanted) + (0 if ordered else 2)
    assert max(len(batch.works) for batch in batches) <= 30 + 3


def test_a_span_is_only_its_span(one: Works) -> None:
    known(one, 10, 15, 300)
    one.hint(Hint("users", span=Span(K(10), K(20))))
    seen = [key for batch in everything(one) for key in batch.works]
    assert set(seen) == {K(number) for number in range(11, 21)}
    assert len(seen) == 10


def test_the_rest_of_a_span_is_taken_lazily(one: Works) -> None:
    one.ask()
    assert one.taker.take() is not None
    assert one.taker.behind(Lane.BULK) <= 1 + 20 + 1, "one span's keys and the rest, not all keys"


def test_a_crash_between_append_and_settle_only_doubles(one: Works) -> None:
    one.ask()
    one.taker.take()
    one.begin()
    seen = [key for batch in everything(one) for key in batch.works]
    assert set(seen) == {K(number) for number in range(101)}
    assert len(seen) <= 2 * 101


def test_a_span_of_a_related_table_is_all_of_the_root(one: Works) -> None:
    one.hint(Hint("companies", span=Span(K(1), K(2))))
    assert {key for batch in everything(one) for key in batch.works} == {K(number) for number in range(101)}
    one.hint(Hint("strangers", span=EVERYTHING), Hint("strangers", key=K(1)))
    (batch,) = everything(one)
    assert not batch.works


def test_a_shared_row_beyond_the_batch_goes_to_bulk(one: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfold, "SPAN", 40)
    one.hint(Hint("companies", key=K(1)))
    first, *rest = everything(one)
    assert (first.lane, len(first.works)) == (Lane.LIVE, 30)
    assert {batch.lane for batch in rest} == {Lane.BULK}
    seen = [key for batch in [first, *rest] for key in batch.works]
    assert sorted(seen) == sorted(K(number) for number in range(101) if number % 3 == 1)


def test_a_row_that_many_share_is_expanded_span_by_span(one: Works) -> None:
    """As a span is: each take appends what it yields and the rest of it, in one append, in bulk."""
    one.hint(Hint("companies", key=K(1)), Hint("companies", key=K(2), trust=Trust.TARGET))
    seen: list[Key] = []
    appends: list[int] = []
    while True:
        before = one.store.journal.end()
        with counting(one.store.journal) as calls:
            batch = one.taker.take()
        if batch is None:
            break
        assert len(calls) <= 1, "what is appended in one take is appended at once"
        appends += [
            len(hint.keys) for entries in calls for entry in entries for hint in entry.hints if hint.keys
        ]
        assert len(batch.works) <= 30
        assert one.taker.behind(Lane.BULK) <= 2 * (20 + 2), "one span's keys and the rest, not all keys"
        seen += batch.works
        assert {work.trust for work in batch.works.values()} <= {Trust.TARGET}
        one.taker.settled(batch)
        assert one.store.journal.end() >= before
    assert sorted(seen) == sorted(K(number) for number in range(101) if number % 3 in (1, 2))
    assert sum(appends) == len(seen)


def test_a_crash_while_a_shared_row_is_expanded_doubles_one_span_at_most(one: Works) -> None:
    one.hint(Hint("companies", key=K(1)))
    seen: list[Key] = []
    while one.taker.take() is not None:
        one.begin()  # what was appended was not settled
        batch = one.taker.take()
        assert batch is not None
        seen += batch.works
        one.taker.settled(batch)
        done = Settlement(one.consumer, Version(1), (), (), (), (), (), batch.positions, 0)
        one.store.ledger.settle(one.lease.epoch, one.generation, done)
    wanted = [K(number) for number in range(101) if number % 3 == 1]
    assert set(seen) == set(wanted)
    assert len(seen) <= 4 * len(wanted)


def test_the_orphans_of_a_span_are_taken_lazily_too(one: Works) -> None:
    """A table that was truncated: everything that the ledger knows is an orphan of one span."""
    known(one, *range(1000, 1500))
    one.source.tables["users"].clear()
    one.ask()
    seen: list[Key] = []
    while (batch := one.taker.take()) is not None:
        assert one.taker.behind(Lane.BULK) <= 2 * (20 + 1)
        seen += batch.works
        one.taker.settled(batch)
    assert sorted(seen) == [K(number) for number in range(1000, 1500)]


def test_a_way_to_many_roots_that_cannot_be_read_is_all_of_them(one: Works) -> None:
    one.hint(Hint("companies", key=K(1)), Hint("companies", key=K(2)))
    first = one.taker.take()
    assert first is not None
    one.taker.settled(first)
    one.source.bad["users"] = lambda row: row["id"] == 52
    seen = {key for batch in everything(one) for key in batch.works}
    assert seen == {K(number) for number in range(101)}


def test_live_goes_first_and_bulk_keeps_a_tenth(one: Works) -> None:
    for number in range(400):
        one.hint(Hint("users", key=K(number)))
        one.ask(K(number))
    lanes = []
    for _ in range(20):
        batch = one.taker.take()
        assert batch is not None
        lanes.append(batch.lane)
        one.taker.settled(batch)
        for number in range(30):
            one.hint(Hint("users", key=K(number)))
    assert lanes.count(Lane.BULK) == 2
    assert lanes[0] is Lane.LIVE


def test_nothing_before_its_transaction_can_be_read(one: Works) -> None:
    one.source.invisible = {"tx2"}
    one.hint(Hint("users", key=K(1), token="tx1"))
    one.hint(Hint("users", key=K(2), token="tx2"))
    one.hint(Hint("users", key=K(3), token="tx3"))
    (batch,) = everything(one)
    assert list(batch.works) == [K(1)]
    assert one.taker.waits_for is not None
    assert "tx2" in one.taker.waits_for
    assert one.taker.behind(Lane.LIVE) == 2
    one.source.invisible = set()
    (batch,) = everything(one)
    assert list(batch.works) == [K(2), K(3)]
    assert one.taker.waits_for is None


def test_what_cannot_be_read_yet_blocks_no_bulk(one: Works) -> None:
    one.source.invisible = {"tx"}
    one.hint(Hint("users", key=K(1), token="tx"))
    one.ask(K(2))
    (batch,) = everything(one)
    assert list(batch.works) == [K(2)]


def test_many_hints_of_a_key_are_one(one: Works) -> None:
    one.hint(*[Hint("users", key=K(1)) for _ in range(20)])
    one.hint(Hint("users", key=K(1), trust=Trust.TARGET, reason="repair"))
    (batch,) = everything(one)
    assert batch.hints == 21
    assert batch.works[K(1)].trust is Trust.TARGET


def test_trust_in_the_target_only_survives_expansion(one: Works) -> None:
    one.ask(trust=Trust.TARGET)
    one.hint(Hint("companies", key=K(1)), Hint("companies", key=K(2), trust=Trust.TARGET))
    works = [work for batch in everything(one) for work in batch.works.values()]
    assert {work.trust for work in works} == {Trust.TARGET}


def test_positions_are_those_of_what_was_taken(one: Works) -> None:
    one.hint(Hint("users", key=K(1)))
    batch = one.taker.take()
    assert batch is not None
    assert one.taker.behind(Lane.LIVE) == 1
    one.taker.rewind()
    assert one.taker.take() is batch, "until it is settled"
    one.taker.settled(batch)
    assert one.taker.behind(Lane.LIVE) == 0
    assert one.taker.take() is None
    assert all(len(set(offsets.values())) == 1 for offsets in one.taker.positions().values())
