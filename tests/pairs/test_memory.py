"""Memory does not grow with the table."""

from __future__ import annotations

import pytest

import lockstep as ls
from tests.pairs.world import World


@pytest.mark.parametrize("world", ["opensearch"], indirect=True)
def test_memory_does_not_grow_with_the_table(world: World) -> None:
    """More keys than one span yields, and then more than twice as many, each in a process of its own."""
    world.do("TRUNCATE users, users_tags, conversations, messages")
    peaks: list[int] = []
    for first, last in ((1, 55_000), (55_001, 130_000)):
        world.do(f"INSERT INTO users SELECT i, 1, 'U' || i FROM generate_series({first}, {last}) i")
        if peaks:
            ls.backfill(world.pipeline(), "people", trust_target=True)
        peaks.append(world.peak())
    assert peaks[1] < 1.2 * peaks[0], peaks
    assert list(ls.plan(world.pipeline(), "people", ["1", "130000"])) == []
