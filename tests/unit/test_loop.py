"""The loop of one mapping: what becomes of bad outcomes, broken batches and claims."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import lockstep.declaration.model as ls
from lockstep.declaration.mapping import Keyed
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.errors import LeaseLost, MappingStopped, StateUnreachable, TooMuch, Unreachable
from lockstep.forms import keys
from lockstep.place import Place
from lockstep.state.ledger import Ledger
from lockstep.state.rows import Intent
from lockstep.values import EVERYTHING, Change, Hint, Key, Lane, Status, Trust
from tests.support.engine import Works
from tests.support.memory import MemorySource, MemoryTarget, MemoryWriter


class User(ls.Model, table="users"):
    id: int = ls.key()
    email: str


def plain(user: User) -> dict[str, object]:
    return {"email": user.email}


def by_email(user: User) -> Keyed | None:
    return Keyed(user.email, {"user": user.id}) if user.email else None


def parts(user: User) -> list[Keyed]:
    return [Keyed(part, {"user": user.id}) for part in user.email.split(",") if part]


def K(*values: object) -> Key:
    return keys.encode(values)


def row(id: int, email: str) -> dict[str, object]:
    return {"id": id, "email": email}


def works(path: Place, function: object = plain, *rows: dict[str, object], **options: object) -> Works:
    source = MemorySource(users=list(rows))
    made = Works(path, function, source, MemoryTarget(), **options)  # type: ignore[arg-type]
    made.ask()
    made.work()
    return made


def test_first_load_change_and_delete(place: Place) -> None:
    one = works(place, plain, row(1, "a"), row(2, "b"))
    assert one.held() == {K(1): {"email": "a"}, K(2): {"email": "b"}}
    one.change("users", row(1, "a"), row(1, "A"))
    one.change("users", row(2, "b"), None)
    one.work()
    assert one.held() == {K(1): {"email": "A"}}
    assert list(one.store.ledger.rows(one.consumer, [K(1), K(2)])) == [K(1)]


def test_nothing_is_written_twice(place: Place) -> None:
    one = works(place, plain, row(1, "a"), row(2, "b"))
    before = one.store.ledger.page(one.consumer, None, 10)
    one.ask()
    one.work()
    one.ask(trust=Trust.TARGET)
    one.work()
    assert len(one.target.writer.written) == 2
    assert one.store.ledger.page(one.consumer, None, 10) == before, "a key that is as it was is untouched"


def test_a_changed_key_moves_its_record(place: Place) -> None:
    one = works(place, plain, row(1, "a"))
    one.change("users", row(1, "a"), row(9, "a"))
    one.work()
    assert one.held() == {K(9): {"email": "a"}}


def test_rejected_leaves_a_void_row_void(place: Place) -> None:
    """Ledger A, target B after a write nobody could tell of; then C is rejected; then A again."""
    one = works(place, plain, row(1, "A"), row(2, "x"))
    writer = one.target.writer
    writer.answer = lambda change: Status.UNKNOWN if change.key == K(1) else None
    writer.lands = lambda change: True
    one.change("users", row(1, "A"), row(1, "B"))
    one.change("users", row(2, "x"), row(2, "y"))
    one.work()
    writer.answer = lambda change: Status.REJECTED if change.key == K(1) else None
    writer.lands = lambda change: False
    one.change("users", row(1, "B"), row(1, "C"))
    one.work()
    assert "rejected" in one.stuck()[K(1)]
    writer.answer = lambda change: None
    one.change("users", row(1, "C"), row(1, "A"))
    one.work()
    assert one.held()[K(1)] == {"email": "A"}
    assert not one.stuck()


@pytest.mark.parametrize("gone", [False, True])
def test_a_write_that_lands_late_changes_nothing(place: Place, gone: bool) -> None:
    """The way to the target broke; the target works on what it was sent, and answers the next read before.

    All is as it was by then: equal to the ledger, and to what the target holds when it is asked.
    """
    one = works(place, plain, *(() if gone else [row(1, "A")]), row(2, "x"))
    writer = one.target.writer
    late: list[Change] = []
    writer.answer = lambda change: late.append(change) or Status.UNKNOWN  # type: ignore[func-returns-value]
    one.change("users", None if gone else row(1, "A"), row(1, "B"))
    with pytest.raises(Unreachable):
        one.loop.step()
    one.restart()
    writer.answer = lambda change: None
    one.change("users", row(1, "B"), None if gone else row(1, "A"))
    one.work()
    writer.write(late)
    assert one.held().get(K(1)) == (None if gone else {"email": "A"})
    assert not any(found.void for found in one.store.ledger.page(one.consumer, None, 10))


def test_unknown_is_read_back_and_written_again(place: Place) -> None:
    one = works(place, plain, row(1, "A"), row(2, "x"))
    writer = one.target.writer
    writer.answer = lambda change: Status.UNKNOWN if change.key == K(1) else None
    one.change("users", row(1, "A"), row(1, "B"))
    one.change("users", row(2, "x"), row(2, "y"))
    one.work()
    assert one.store.ledger.rows(one.consumer, [K(1)])[K(1)].void
    assert K(1) in one.stuck()
    writer.answer = lambda change: None
    one.ask(K(1))
    one.work()
    assert one.held()[K(1)] == {"email": "B"}
    assert not one.store.ledger.rows(one.consumer, [K(1)])[K(1)].void


def test_superseded_draws_a_newer_epoch_and_wins(place: Place) -> None:
    one = works(place, plain, row(1, "A"))
    one.target.writer.versions[K(1)] = one.lease.next_version() + 1_000  # type: ignore[assignment]
    epoch = one.lease.epoch
    one.change("users", row(1, "A"), row(1, "B"))
    one.work()
    assert one.lease.epoch > epoch
    one.ask(K(1))
    one.work()
    assert one.held()[K(1)] == {"email": "B"}
    assert not one.stuck()


def test_a_batch_that_breaks_off_is_taken_again(place: Place) -> None:
    one = works(place, plain, row(1, "A"))
    writer = one.target.writer
    writer.answer = lambda change: Status.UNKNOWN
    writer.lands = lambda change: True
    one.change("users", row(1, "A"), row(1, "B"))
    with pytest.raises(Unreachable):
        one.loop.step()
    one.loop.abandon()
    assert one.store.ledger.rows(one.consumer, [K(1)])[K(1)].void
    writer.answer = lambda change: None
    one.work()
    assert one.held()[K(1)] == {"email": "B"}
    assert one.store.ledger.intended(one.consumer) == []


def test_what_was_written_while_the_state_store_went_down_is_not_forgotten(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither settled nor voided; then the source goes back to what the ledger knows."""
    one = works(place, plain, row(1, "a"))
    one.change("users", row(1, "a"), row(1, "b"))

    def down(*_: object, **__: object) -> None:
        raise StateUnreachable("the state store does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "settle", down)
        patched.setattr(Ledger, "void_intents", down)
        for _ in range(2):
            with pytest.raises(StateUnreachable):
                one.loop.step()
            with pytest.raises(StateUnreachable):
                one.loop.abandon()
    assert one.held() == {K(1): {"email": "b"}}
    one.change("users", row(1, "b"), row(1, "a"))
    one.work()
    assert one.held() == {K(1): {"email": "a"}}


def test_a_batch_taken_again_appends_nothing_again(place: Place) -> None:
    """A target that is away for an hour must not multiply the hints of a span or of a shared row."""
    one = works(place, plain, *(row(number, "a") for number in range(20)))
    one.target.writer.answer = lambda change: Status.UNKNOWN
    one.change("users", row(1, "a"), row(1, "b"))
    one.hint(Hint("users", span=EVERYTHING))
    for _ in range(3):
        with pytest.raises(Unreachable):
            one.loop.step()
        one.loop.abandon()
    assert one.taker.behind(Lane.BULK) <= 20
    one.target.writer.answer = lambda change: None
    assert sum(counts.keys for counts in one.work()) <= 22


def test_one_key_that_stays_unknown_does_not_keep_the_others_waiting(place: Place) -> None:
    """Alone in its batch it looks like a target that is away; after three tries it is its own trouble."""
    one = works(place, plain, row(1, "a"), row(2, "a"))
    one.target.writer.answer = lambda change: Status.UNKNOWN if change.key == K(1) else None
    one.change("users", row(1, "a"), row(1, "b"))
    for _ in range(3):
        with pytest.raises(Unreachable):
            one.loop.step()
        one.loop.abandon()
    one.change("users", row(2, "a"), row(2, "b"))
    one.work()
    assert one.held()[K(2)] == {"email": "b"}
    assert [stuck.key for stuck in one.store.stuck.of(one.consumer)] == [K(1)]
    one.target.writer.answer = lambda change: None
    one.ask(K(1))
    one.work()
    assert one.held()[K(1)] == {"email": "b"}
    assert one.store.stuck.of(one.consumer) == []


def test_a_record_beside_the_default_one_survives_a_crash_in_the_books(place: Place) -> None:
    """A row in short form (one record, at the source key) is voided by an intent of another record."""
    one = works(place, plain, row(1, "a"))
    ledger = one.store.ledger
    (before,) = ledger.page(one.consumer, None, 1)
    assert before.targets is None
    ledger.intend(
        one.lease.epoch,
        one.generation,
        one.consumer,
        one.lease.next_version(),
        [Intent(K(1), [K("other")], [])],
        claiming=False,
    )
    one.restart()
    one.source.tables["users"].clear()
    one.ask(K(1))
    one.work()
    assert one.held() == {}


def test_stops_when_most_keys_fail(place: Place) -> None:
    def broken(user: User) -> dict[str, object]:
        raise ValueError(user.email)

    one = Works(
        place, broken, MemorySource(users=[row(n, "a") for n in range(150)]), MemoryTarget(), limit=200
    )
    one.ask()
    with pytest.raises(MappingStopped):
        one.work()


def test_one_failing_key_stops_no_other(place: Place) -> None:
    def picky(user: User) -> dict[str, object]:
        return {"email": 1 // (user.id - 3)}

    one = works(place, picky, *(row(n, "a") for n in range(10)))
    assert len(one.held()) == 9
    assert list(one.stuck()) == [K(3)]
    one.change("users", row(3, "a"), None)
    one.work()
    assert not one.stuck()


def test_an_older_epoch_writes_nothing(place: Place) -> None:
    one = works(place, plain, row(1, "a"))
    one.store.draw_epoch()
    one.change("users", row(1, "a"), row(1, "b"))
    with pytest.raises(LeaseLost):
        one.loop.step()
    assert one.held() == {K(1): {"email": "a"}}


def test_normalised_records_are_not_written_again(place: Place) -> None:
    target = MemoryTarget(writer=MemoryWriter(normalise=lambda r: {**r, "email": str(r["email"]).strip()}))
    one = Works(place, plain, MemorySource(users=[row(1, " a ")]), target)
    one.ask()
    one.work()
    for trust in Trust:
        one.ask(trust=trust)
        one.work()
    assert len(target.writer.written) == 1
    held = target.writer.records[K(1)]
    target.writer.records[K(1)] = type(held)(K(1), {"email": "spoilt"}, held.meta)
    one.ask(trust=Trust.TARGET)
    one.work()
    assert one.held() == {K(1): {"email": "a"}}


def test_a_batch_of_fat_roots_is_written_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its positions are settled with the last part: a crash before that takes all of it again."""
    one = works(tmp_path, plain)
    whole = Deriver._together
    source = one.source.tables["users"]

    def little(self: Deriver, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
        if len(wanted) > 4:
            raise TooMuch("33,554,433 bytes of users belong together", "")
        return whole(self, wanted, now)

    monkeypatch.setattr(Deriver, "_together", little)
    source += [row(number, "a") for number in range(1, 11)]
    one.hint(*[Hint("users", key=K(number)) for number in range(1, 11)])
    sizes = []
    while (counts := one.loop.step()) is not None:
        sizes.append(counts.keys)
        assert (one.taker.behind(Lane.LIVE) == 0) == (sum(sizes) == 10)
    assert max(sizes) <= 4
    assert len(one.held()) == 10
