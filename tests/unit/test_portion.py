"""Where each change takes long a target is given few at a time, and the ledger learns of each part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

import lockstep.model as ls
from lockstep.values import Change, Outcome
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
