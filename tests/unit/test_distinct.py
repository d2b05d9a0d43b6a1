"""A set of byte strings that lies on disk beyond a bound."""

from __future__ import annotations

import random

import pytest

from lockstep.journal import distinct
from lockstep.journal.distinct import Distinct


@pytest.mark.parametrize("most", [1, 7, 1_000])
def test_each_once_and_in_order(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distinct, "MOST", most)
    chance = random.Random(most)
    added = [chance.randbytes(chance.randrange(4)) for _ in range(500)]
    found = Distinct()
    for start in range(0, 500, 3):
        found.update(added[start : start + 3])
        assert len(found._recent) < most, "no more is held than was said"
    assert list(found) == sorted(set(added))
    assert list(found) == sorted(set(added)), "and again"
    assert found.count() == len(set(added))
    found.close()


def test_nothing() -> None:
    found = Distinct()
    assert not found
    assert list(found) == []
    assert found.count() == 0
