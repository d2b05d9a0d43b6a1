"""Whose fault it is that nobody knows what became of a write: the target's, or one record's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.engine.writing.doubt import resolved
from lockstep.errors import Unreachable
from lockstep.forms import keys
from lockstep.values import Change, Fingerprint, Key, Meta, Outcome, Status, Trust, version
from tests.support.engine import Works
from tests.support.memory import MemorySource, MemoryTarget, MemoryWriter, Row


class User(ls.Model, table="users"):
    id: int = ls.key()
    email: str


def plain(user: User) -> dict[str, object]:
    return {"email": user.email}


def K(number: int) -> Key:
    return keys.encode((number,))


def row(number: int, email: str = "a") -> Row:
    return {"id": number, "email": email}


class Strange(MemoryWriter):
    """Answers nothing at all of a batch in which one of these keys is, as behind a proxy that cuts it."""

    strange: frozenset[Key] = frozenset()
    calls = 0

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        self.calls += 1
        if any(change.key in self.strange for change in changes):
            return [Outcome(Status.UNKNOWN, "cut")] * len(changes)
        return super().write(changes)


def steps(one: Works, count: int) -> int:
    """Tries to work batches; how many broke off."""
    broke = 0
    for _ in range(count):
        try:
            if one.loop.step() is None:
                break
        except Unreachable:
            broke += 1
            one.loop.abandon()
    return broke


def test_a_target_that_answers_for_nobody_makes_nobody_stuck(tmp_path: Path) -> None:
    """More keys than would stop the mapping, and far more tries than a short fault takes."""
    writer = MemoryWriter()
    one = Works(
        tmp_path,
        plain,
        MemorySource(users=[row(n) for n in range(150)]),
        MemoryTarget(writer=writer),
        limit=200,
    )
    writer.answer = lambda change: Status.UNKNOWN
    one.ask()
    assert steps(one, 10) >= 9
    assert one.stuck() == {}
    writer.answer = lambda change: None
    one.work()
    assert len(one.held()) == 150
    assert one.stuck() == {}


@pytest.mark.parametrize("strange", [{7}, {0}, {39}, {3, 4, 30}])
def test_a_record_that_silences_its_whole_batch_is_found(tmp_path: Path, strange: set[int]) -> None:
    writer = Strange()
    one = Works(tmp_path, plain, MemorySource(users=[row(n) for n in range(40)]), MemoryTarget(writer=writer))
    writer.strange = frozenset(map(K, strange))
    one.ask()
    steps(one, 10)
    assert set(one.stuck()) == writer.strange
    assert set(one.held()) == {K(n) for n in range(40)} - writer.strange
    writer.strange = frozenset()
    one.ask(trust=Trust.TARGET)
    one.work()
    assert len(one.held()) == 40
    assert one.stuck() == {}


def test_part_of_a_batch_that_was_cut_is_sent_again_at_once(tmp_path: Path) -> None:
    """Not one of its keys is at fault: none is stuck, none waits for a retry."""
    writer = MemoryWriter()
    one = Works(tmp_path, plain, MemorySource(users=[row(n) for n in range(40)]), MemoryTarget(writer=writer))
    cut = {K(n) for n in range(20, 40)}

    def once(change: Change) -> Status | None:
        if change.key not in cut:
            return None
        cut.remove(change.key)
        return Status.UNKNOWN

    writer.answer = once
    one.ask()
    one.work()
    assert cut == set()
    assert len(one.held()) == 40
    assert one.stuck() == {}


def test_single_changes_are_not_stuck_one_after_another(tmp_path: Path) -> None:
    """A trickle of changes, and the target answers none: the first may be its own trouble, the next not."""
    writer = MemoryWriter()
    one = Works(tmp_path, plain, MemorySource(users=[row(n) for n in range(5)]), MemoryTarget(writer=writer))
    one.ask()
    one.work()
    writer.answer = lambda change: Status.UNKNOWN
    for n in range(5):
        one.change("users", row(n), row(n, "b"))
        steps(one, 6)
    assert len(one.stuck()) == 1
    writer.answer = lambda change: None
    one.work()
    one.ask(trust=Trust.TARGET)
    one.work()
    assert {record["email"] for record in one.held().values()} == {"b"}
    assert one.stuck() == {}


def test_what_comes_after_a_doubtful_change_of_one_key_is_sent_again_after_it() -> None:
    """One key gives a target key up and another takes it: the delete, sent again, must not be the last."""
    meta = Meta("m", K(1), Fingerprint(1), 1, version(1, 1))
    changes = [Change(K(9), None, meta), Change(K(8), {}, meta), Change(K(9), {}, meta)]
    sent: list[Change] = []

    def send(part: Sequence[Change]) -> list[Outcome]:
        sent.extend(part)
        return [Outcome(Status.APPLIED)] * len(part)

    known = [Outcome(Status.UNKNOWN), Outcome(Status.APPLIED), Outcome(Status.APPLIED)]
    assert {one.status for one in resolved(send, changes, known)} == {Status.APPLIED}
    assert sent == [changes[0], changes[2]]


def test_a_target_that_comes_back_meanwhile_has_not_accused_anybody() -> None:
    """The search for the record at fault has come down to one when the target answers again."""
    meta = Meta("m", K(1), Fingerprint(1), 1, version(1, 1))
    changes = [Change(K(n), {}, meta) for n in range(8)]
    away = iter(range(6))  # 4, 2, 1 and 1 twice more: the first one is accused; then the next is sent

    def send(part: Sequence[Change]) -> list[Outcome]:
        status = Status.APPLIED if next(away, None) is None else Status.UNKNOWN
        return [Outcome(status)] * len(part)

    found = resolved(send, changes, [Outcome(Status.UNKNOWN)] * 8)
    assert {one.status for one in found} == {Status.APPLIED}
