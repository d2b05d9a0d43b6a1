"""Several batches in flight: every interleaving of changes, answers and broken writes ends in agreement."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lockstep.declaration.model as ls
from lockstep.forms import keys
from lockstep.forms.canonical import canonical, fingerprint
from lockstep.values import EVERYTHING, Hint, Key, Lane, Status
from tests.support.gated import Gated
from tests.support.memory import MemorySource


class User(ls.Model, table="users"):
    id: int = ls.key()
    email: str


def plain(user: User) -> dict[str, object]:
    return {"email": user.email}


def K(*values: object) -> Key:
    return keys.encode(values)


def row(id: int, email: str) -> dict[str, Any]:
    return {"id": id, "email": email}


Make = Callable[..., Gated]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Gated] = []

    def loaded(*rows: dict[str, Any]) -> Gated:
        one = Gated(tmp_path, plain, MemorySource(users=list(rows)))
        made.append(one)
        one.works.ask()
        one.quiet()
        one.writer.open = False
        return one

    yield loaded
    for one in made:
        one.end()


def agrees(one: Gated) -> None:
    """Target, ledger and source say the same."""
    wanted = {K(row["id"]): {"email": row["email"]} for row in one.works.source.tables["users"]}
    assert one.works.held() == wanted
    rows = one.works.store.ledger.page(one.works.consumer, None, 100)
    assert {row.key: row.sent for row in rows} == {
        key: fingerprint(key, canonical(record)) for key, record in wanted.items()
    }
    assert not any(row.void for row in rows)


def test_two_writes_are_under_way_at_once(make: Make) -> None:
    one = make(row(1, "A"), row(2, "A"))
    one.works.change("users", row(1, "A"), row(1, "B"))
    one.until(lambda: len(one.writer.waiting) == 1)
    one.works.change("users", row(2, "A"), row(2, "B"))
    one.until(lambda: len(one.writer.waiting) == 2)
    one.quiet()
    agrees(one)


def test_there_and_back_with_the_first_write_in_flight(make: Make) -> None:
    """A → B is being written when B → A is hinted. Decided at once it would be "equal, nothing to write"."""
    one = make(row(1, "A"), row(2, "A"))
    one.works.change("users", row(1, "A"), row(1, "B"))
    one.until(lambda: len(one.writer.waiting) == 1)
    one.works.change("users", row(1, "B"), row(1, "A"))
    one.works.change("users", row(2, "A"), row(2, "B"))
    one.until(lambda: bool(one.works.taker._again))  # it was taken, and waits
    assert len(one.writer.waiting) == 1
    one.quiet()
    agrees(one)
    assert not one.writer.together


def test_what_lands_first_is_not_settled_first(make: Make) -> None:
    """The committed position is the lowest unsettled one: a crash now takes both hints again."""
    one = make(row(1, "A"), row(2, "A"))
    one.works.change("users", row(1, "A"), row(1, "B"))
    one.until(lambda: len(one.writer.waiting) == 1)
    one.works.change("users", row(2, "A"), row(2, "B"))
    one.until(lambda: len(one.writer.waiting) == 2)
    one.writer.waiting[1].answer()
    one.until(lambda: len(one.writer.waiting) == 1)
    for _ in range(20):
        one.works.loop._arrived.set()
        time.sleep(0.002)
    assert one.works.taker.behind(Lane.LIVE) == 2
    assert len(one.works.store.ledger.intended(one.works.consumer)) == 2
    one.quiet()
    agrees(one)


def test_a_span_sees_what_was_in_flight(make: Make) -> None:
    """A row is created, and goes unseen (its hint is lost) while that is written. The span after the hole
    finds it in the ledger, and nowhere else: so it waits until it is there."""
    one = make(row(1, "A"))
    one.works.change("users", None, row(2, "B"))
    one.until(lambda: len(one.writer.waiting) == 1)
    one.works.source.tables["users"].remove(row(2, "B"))
    one.works.hint(Hint("users", span=EVERYTHING))
    for _ in range(20):
        one.works.loop._arrived.set()
        time.sleep(0.002)
    one.quiet()
    agrees(one)


def test_a_broken_write_takes_back_all_in_flight(make: Make) -> None:
    one = make(row(1, "A"), row(2, "A"))
    one.works.change("users", row(1, "A"), row(1, "B"))
    one.until(lambda: len(one.writer.waiting) == 1)
    one.works.change("users", row(2, "A"), row(2, "B"))
    one.until(lambda: len(one.writer.waiting) == 2)
    one.writer.waiting[0].answer(lands=True, said=Status.UNKNOWN)
    one.quiet()
    agrees(one)


@pytest.mark.parametrize("seed", range(12))
def test_any_interleaving(make: Make, seed: int) -> None:
    """Few keys and few values, so that there-and-back is common; answers in any order, some of them lost."""
    dice = random.Random(seed)
    one = make(*[row(number, "A") for number in range(1, 4)])
    for _ in range(60):
        waiting = list(one.writer.waiting)
        if waiting and dice.random() < 0.4:
            write = dice.choice(waiting)
            fate = dice.choice(["applied", "applied", "applied", "lost", "unsaid"])
            if fate == "applied":
                write.answer()
            else:
                write.answer(lands=fate == "unsaid", said=Status.UNKNOWN)
        else:
            number = dice.randrange(1, 4)
            before = next((r for r in one.works.source.tables["users"] if r["id"] == number), None)
            value = dice.choice(["A", "B", None])
            after = None if value is None else row(number, value)
            if before is not None or after is not None:
                one.works.change("users", before, after)
        if dice.random() < 0.7:  # else several hints make one batch
            one.works.loop._arrived.set()
            time.sleep(0.004)
    one.quiet()
    agrees(one)
    assert not one.writer.together, "a key was in two writes at once"
