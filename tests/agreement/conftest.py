import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockstep.agreement import bookmark, deep
from tests.agreement.test_adopt_search import Theirs
from tests.pairs.conftest import target_url, world
from tests.pairs.world import World as PairWorld
from tests.support.world import World

__all__ = ["small", "target_url", "world"]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """200 users, in agreement; a deep check looks at 10 of them at a time, and keeps its place after each."""
    monkeypatch.setattr(deep, "PAGE", 10)
    monkeypatch.setattr(bookmark, "EVERY", 0.0)
    monkeypatch.setattr(sys, "path", [*sys.path])  # a file that is loaded adds its directory
    made = World(tmp_path, claims=False)
    made.do(*(f"INSERT INTO users VALUES ({n}, NULL, NULL, 'u{n}', NULL)" for n in range(1, 201)))
    made.run()
    return made


@pytest.fixture
def theirs(world: PairWorld) -> Iterator[Theirs]:
    """What others have in the cluster of a world's target."""
    made = Theirs(world)
    yield made
    made.close()
