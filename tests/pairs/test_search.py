"""PostgreSQL to every search server that is said to work, beside the one that all other tests use."""

from __future__ import annotations

import pytest

import lockstep as ls
from tests.pairs.changes import CHANGES
from tests.pairs.world import Following, World, until


@pytest.mark.parametrize("world", ["opensearch3", "elasticsearch8", "elasticsearch9"], indirect=True)
def test_documents_follow_on_every_version(world: World) -> None:
    assert [one for one in ls.check(world.pipeline()) if one.blocks] == []
    with Following(world):
        until(lambda: len(world.actual_or_none()) == 60, 60)
        for statements in CHANGES.values():
            world.do(*statements)
        until(lambda: world.actual() == world.expected(), 60)
    world.run()
    world.assert_agreement()
