"""Memory does not grow with the table, nor with how many roots share a row."""

from __future__ import annotations

import os

import pytest

import lockstep as ls
from tests.pairs.world import World

TIMES = int(os.environ.get("MEMORY_TIMES") or 3)
"""How many times larger the larger table is; `MEMORY_TIMES=10` takes two minutes."""
FEW = 55_000
"""More keys than one span yields."""


@pytest.mark.parametrize("world", ["opensearch", "sql"], indirect=True)
def test_memory_does_not_grow_with_the_table(world: World) -> None:
    """Each load in a process of its own."""
    world.do("TRUNCATE users, users_tags, conversations, messages")
    peaks: list[int] = []
    for first, last in ((1, 5_000), (5_001, FEW), (FEW + 1, TIMES * FEW)):
        world.do(f"INSERT INTO users SELECT i, 1, 'U' || i FROM generate_series({first}, {last}) i")
        if peaks:  # what is there is read as well
            ls.backfill(world.pipeline(), "people", trust_target=True)
        peaks.append(world.peak())
    assert peaks[2] < 1.15 * peaks[1], peaks
    assert list(ls.plan(world.pipeline(), "people", ["1", str(TIMES * FEW)])) == []
