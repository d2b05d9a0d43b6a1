"""Two mappings write the accounts of one tenant, each in its own thread: neither puts back what the other has
noted of an account that both touch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from lockstep.engine.lease import Lease
from lockstep.engine.writing.opening import StoredNotes
from lockstep.place import Place
from lockstep.ports.notes import Amendment, Note
from lockstep.state.store import Store
from lockstep.systems.zuora.writing.noted import Intent, Known, Moved, Noted, key_of
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


def intent(version: int, *ours: str) -> Intent:
    return Intent(
        method="POST",
        path="/v1/orders",
        body=b"{}",
        order="O-1",
        key="k",
        last=True,
        known=known(version, *ours),
        account=None,
    )


def test_a_move_does_not_put_back_what_its_old_account_was_noted_as(notes: StoredNotes) -> None:
    Noted(notes).settle((), {A: (known(1, "S-1"), b"old"), B: (known(1), b"")})

    def changed() -> None:
        Noted(notes).settle((), {A: (known(5, "S-2"), b"new")})

    moving = Noted(Interrupted(notes, changed))
    moving.settle((), {B: (known(4, "S-1"), b"")}, MOVED)
    found = moving.known([A, B])
    assert (found[A].version, found[A].fingerprint, found[A].ours) == (5, 5, ("S-2",))
    assert found[B].ours == ("S-1",)


@pytest.mark.parametrize("step", ["intend", "settle"])
def test_a_change_does_not_take_back_what_was_moved_from_its_account(notes: StoredNotes, step: str) -> None:
    Noted(notes).settle((), {A: (known(1, "S-1", "S-2"), b"")})

    def moved() -> None:
        Noted(notes).settle((), {B: (known(4, "S-1"), b"")}, MOVED)

    changing = Noted(Interrupted(notes, moved))
    if step == "intend":
        changing.intend({A: intent(5, "S-2")}, {A: known(5, "S-2")})
        assert changing.known([A])[A].version == 1, "it is not done yet"
    else:
        changing.settle((), {A: (known(5, "S-2"), b"")})
    assert changing.known([A])[A].ours == ("S-2",)
    assert changing.known([B])[B].ours == ("S-1",)
