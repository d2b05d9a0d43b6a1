"""Two mappings write the accounts of one tenant, each in its own thread: neither puts back what the other has
noted of an account that both touch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import pytest

from lockstep.engine.lease import Lease
from lockstep.engine.writing.opening import StoredNotes
from lockstep.place import Place
from lockstep.ports.notes import Amendment, Note
from lockstep.state.store import Store
from lockstep.systems.zuora.writing.noted import Answer, Intent, Known, Moved, Noted, key_of
from lockstep.systems.zuora.writing.sending import Sending
from lockstep.systems.zuora.writing.turns import Turns
from lockstep.values import Key

A, B = key_of("A-1"), key_of("A-2")
MOVED = [Moved("S-1", "A-1")]


class Interrupted:
    """Notes of one thread that another one gets ahead of, once, right before a commit."""

    def __init__(self, notes: StoredNotes, other: Callable[[], None]) -> None:
        self._notes, self._others = notes, [other]
        self.scan = notes.scan

    def read(self, kind: str, keys: Sequence[Key]) -> dict[Key, bytes]:
        return self._notes.read(kind, keys)

    def write(self, notes: Sequence[Note], amended: Sequence[Amendment] = ()) -> None:
        while self._others:
            self._others.pop()()
        self._notes.write(notes, amended)


@pytest.fixture
def notes(place: Place) -> Iterator[StoredNotes]:
    store = Store(place)
    yield StoredNotes("zuora/accounts", 1, store, Lease(store))
    store.close()


def known(version: int, *ours: str) -> Known:
    return Known(mapping="m", source="", fingerprint=version, sum=0, version=version, ours=ours)


def intent(
    version: int, *ours: str, moves: Sequence[Moved] = (), last: bool = True, account: bytes | None = None
) -> Intent:
    return Intent(
        method="POST",
        path="/v1/orders",
        body=b"{}",
        order="O-1",
        key=f"k{version}",
        last=last,
        known=known(version, *ours),
        account=account,
        moves=tuple(moves),
    )


class Answering:
    """Requests that are all done, of a batch that moves nothing."""

    def each(self, deliver: Callable[[Intent], Exception | None], some: Iterable[Intent]) -> list[None]:
        return [None for _ in some]

    def movers(self, some: Iterable[Key]) -> list[Key]:
        return []

    def arrived(self, moved: Iterable[Moved]) -> None: ...


def closing(notes: StoredNotes, *accounts: Key, when: Callable[[], None]) -> None:
    """Another mapping's batch closes what is open of these accounts; `when`: once it has the answers."""
    answering = cast(Any, Answering())
    interrupted = Noted(Interrupted(notes, when))
    Sending(interrupted, answering, lambda _: None, {}, answering, Turns()).close(accounts)


def test_a_move_does_not_put_back_what_its_old_account_was_noted_as(notes: StoredNotes) -> None:
    Noted(notes).settle({}, {A: (known(1, "S-1"), b"old"), B: (known(1), b"")})
    bringing = intent(4, "S-1", moves=MOVED)
    Noted(notes).intend({B: bringing}, {})

    def changed() -> None:
        Noted(notes).settle({}, {A: (known(5, "S-2"), b"new")})

    moving = Noted(Interrupted(notes, changed))
    moving.settle({B: Answer(bringing, True)}, {B: (known(4, "S-1"), b"")})
    found = moving.known([A, B])
    assert (found[A].version, found[A].fingerprint, found[A].ours) == (5, 5, ("S-2",))
    assert found[B].ours == ("S-1",)


@pytest.mark.parametrize("step", ["intend", "settle"])
def test_a_change_does_not_take_back_what_was_moved_from_its_account(notes: StoredNotes, step: str) -> None:
    Noted(notes).settle({}, {A: (known(1, "S-1", "S-2"), b"")})
    bringing = intent(4, "S-1", moves=MOVED)
    Noted(notes).intend({B: bringing}, {})

    def moved() -> None:
        Noted(notes).settle({B: Answer(bringing, True)}, {B: (known(4, "S-1"), b"")})

    changing = Noted(Interrupted(notes, moved))
    if step == "intend":
        changing.intend({A: intent(5, "S-2")}, {A: known(5, "S-2")})
        assert changing.known([A])[A].version == 1, "it is not done yet"
    else:
        changing.settle({}, {A: (known(5, "S-2"), b"")})
    assert changing.known([A])[A].ours == ("S-2",)
    assert changing.known([B])[B].ours == ("S-1",)


@pytest.mark.parametrize("last", [True, False], ids=["done", "half"])
def test_who_closes_anothers_request_leaves_the_next_one_open(notes: StoredNotes, last: bool) -> None:
    """The mapping whose account it is has had the same answer, and is at its next request by then."""
    first, second = intent(2, "S-1", last=last, account=b"half"), intent(3, "S-1", account=b"whole")
    Noted(notes).intend({A: first}, {A: known(2, "S-1")})

    def gone_on() -> None:
        own = Noted(notes)
        own.settle({A: Answer(first, True)}, {A: (known(2, "S-1"), b"sent")})
        own.intend({A: second}, {A: known(3, "S-1")})
        own.settle({}, {A: (known(3, "S-1"), b"whole")})

    closing(notes, A, when=gone_on)
    assert Noted(notes).intents([A]) == {A: second}, "what is open is remembered, or it is ordered twice"
    assert notes.read("record", [A]) == {A: b"whole"}
    assert Noted(notes).known([A])[A].version == 3


def test_who_closes_anothers_request_too_late_moves_nothing_back(notes: StoredNotes) -> None:
    """What it brought has gone back to its old account by then."""
    bringing, back = intent(2, "S-1", moves=MOVED), intent(3, "S-1", moves=[Moved("S-1", "A-2")])
    Noted(notes).settle({}, {A: (known(1, "S-1"), b""), B: (known(1), b"")})
    Noted(notes).intend({B: bringing}, {})

    def gone_back() -> None:
        own = Noted(notes)
        own.settle({B: Answer(bringing, True)}, {B: (known(2, "S-1"), b"")})
        own.intend({A: back}, {})
        own.settle({A: Answer(back, True)}, {A: (known(3, "S-1"), b"")})

    closing(notes, B, when=gone_back)
    found = Noted(notes).known([A, B])
    assert (found[A].ours, found[B].ours) == (("S-1",), ())


def test_who_closes_anothers_request_in_time_notes_what_was_sent(notes: StoredNotes) -> None:
    bringing = intent(2, "S-1", moves=MOVED, account=b"sent")
    Noted(notes).settle({}, {A: (known(1, "S-1"), b""), B: (known(1), b"")})
    Noted(notes).intend({B: bringing}, {})
    closing(notes, B, when=lambda: None)
    found = Noted(notes).known([A, B])
    assert (found[A].ours, found[B].ours, found[B].version) == ((), ("S-1",), 2)
    assert notes.read("record", [B]) == {B: b"sent"}
    assert Noted(notes).intents([B]) == {}
