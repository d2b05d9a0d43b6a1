"""Where each change takes long a target is given few at a time, the ledger learns of each part, and a run
that is killed again and again gets on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import lockstep.declaration.model as ls
from lockstep.engine.writing.stride import FIRST, Stride
from lockstep.forms.keys import encode
from lockstep.values import Change, Held, Hint, Key, Outcome, Trust
from tests.support.engine import Works
from tests.support.memory import MemorySource, MemoryTarget, MemoryWriter


class User(ls.Model, table="users"):
    id: int = ls.key()
    email: str


def plain(user: User) -> dict[str, object]:
    return {"email": user.email}


class Dying(MemoryWriter):
    """Dies in its third write."""

    def __init__(self) -> None:
        super().__init__()
        self.features = self.features._replace(portion=2)
        self.given: list[int] = []

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        self.given.append(len(changes))
        if len(self.given) == 3:
            raise KeyboardInterrupt
        return super().write(changes)


def test_what_was_answered_before_a_crash_is_not_sent_again(tmp_path: Path) -> None:
    writer = Dying()
    rows = [{"id": n, "email": "A"} for n in range(7)]
    works = Works(tmp_path, plain, MemorySource(users=rows), MemoryTarget(writer=writer))
    works.ask()
    with pytest.raises(KeyboardInterrupt):
        works.work()
    works.begin()
    works.work()
    assert writer.given == [2, 2, 2, 2, 1], "four of seven were known to be written"
    assert len(works.held()) == 7


class Mortal(MemoryWriter):
    """Dies in its fifth call, until it has another life."""

    def __init__(self) -> None:
        super().__init__()
        self.features = self.features._replace(portion=2)
        self.calls = 0

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]:
        self._live()
        return super().read(keys)

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        self._live()
        return super().write(changes)

    def _live(self) -> None:
        self.calls += 1
        if self.calls == 5:
            raise KeyboardInterrupt


def test_a_run_that_is_killed_again_and_again_gets_on(tmp_path: Path) -> None:
    writer = Mortal()
    rows = [{"id": n, "email": "A"} for n in range(12)]
    works = Works(tmp_path, plain, MemorySource(users=rows), MemoryTarget(writer=writer))
    works.hint(*(Hint("users", key=encode((n,)), trust=Trust.TARGET) for n in range(2)))
    for n in range(2, 12):
        works.hint(Hint("users", key=encode((n,)), trust=Trust.TARGET))
    for _ in range(8):
        writer.calls = 0
        try:
            works.work()
            break
        except KeyboardInterrupt:
            works.restart()
    else:
        pytest.fail("each run asked for what the one before it had settled")
    assert len(works.held()) == 12


def test_a_run_begins_with_few_and_takes_more_as_long_as_it_is_quick() -> None:
    stride = Stride(5_000, 40)
    taken = [stride.keys]
    for keys, seconds in (
        (8, 1.0),
        (16, 3.0),
        (16, 1.0),
        (3, 0.1),
        (32, 1.0),
        (40, 6.0),
        (20, 6.0),
        (10, 9.0),
    ):
        stride.took(keys, seconds)
        taken.append(stride.keys)
    assert taken == [FIRST, 16, 16, 32, 32, 40, 20, 10, FIRST]
    assert Stride(5_000, 2).keys == 2
    assert Stride(5_000, None).keys == 5_000, "a quick target takes all there is"
