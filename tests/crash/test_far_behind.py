"""A mapping that is far behind its journal is worked off in the memory of a few batches."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from lockstep.database import Access
from lockstep.forms import keys
from lockstep.operations.opened import existing
from lockstep.values import PARTITIONS, Entry, Hint, Lane, source_stream
from tests.support.world import World, in_process

TIMES = int(os.environ.get("MEMORY_TIMES") or 4)
"""How many times more hints wait in the longer journal; `MEMORY_TIMES=20` are half a million."""
FEW = 25_000
"""More than fit into the batches that are in flight."""
WIDE = "x" * 1_000


def _falls_behind(world: World, hints: int, lane: Lane) -> None:
    """So many hints come in, of keys of their own and a thousand bytes each, while nobody works them."""
    (source,) = world.pipeline().sources()
    with existing(world.pipeline(), Access.RUN) as store:
        for start in range(1, hints, 1_000):
            some = [(key, keys.encode((key,))) for key in range(start, start + 1_000)]
            store.journal.append(
                [
                    Entry(
                        source_stream(source),
                        lane,
                        keys.partition_of(key, PARTITIONS),
                        (Hint("users", key=key, position=f"{WIDE}{number}"),),
                    )
                    for number, key in some
                ]
            )


def _measured(world: World) -> None:
    world.run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (world.root / "peak").write_text(str(peak))


@pytest.mark.parametrize("lane", Lane)
def test_memory_does_not_grow_with_what_waits(tmp_path: Path, lane: Lane) -> None:
    peaks = []
    for hints in (FEW, TIMES * FEW):
        (tmp_path / str(hints)).mkdir()
        world = World(tmp_path / str(hints), claims=False)
        world.do(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
            "INSERT INTO users SELECT i, NULL, NULL, 'u' || i, 0 FROM n"
        )
        world.run()
        _falls_behind(world, hints, lane)
        world.do("UPDATE users SET email = 'after all of them' WHERE id = 7")
        assert in_process(_measured, world) == 0
        assert world.actual()["people"][6]["email"] == "after all of them"
        peaks.append(int((world.root / "peak").read_text()))
        world.assert_agreement()
    assert peaks[1] < 1.15 * peaks[0], peaks
