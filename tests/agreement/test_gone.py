"""A target that goes away: checks and explanations say that, and what to type."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

import lockstep as ls
from tests.pairs.world import World


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_it_is_said_to_be_gone_and_not_that_a_record_is_missing(world: World) -> None:
    world.run()
    assert "in agreement" in ls.explain(world.pipeline(), "people", "31").verdict
    _, where, name = world.target.split("|")
    with contextlib.closing(sqlite3.connect(where)) as out, out:
        out.execute(f"DROP TABLE {name}")
    verdict = ls.explain(world.pipeline(), "people", "31").verdict
    assert "is not there" in verdict
    assert "repair" not in verdict
    for method in ("fast", "deep"):
        with pytest.raises(ls.LockstepError) as error:
            ls.verify(world.pipeline(), "people", method=method)
        assert "`lockstep backfill people --rebuild`" in error.value.remedy
