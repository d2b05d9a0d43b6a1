"""`check` says where no state of a target could be saved."""

from __future__ import annotations

from pathlib import Path

import lockstep as ls
from tests.support.world import World


def test_a_target_without_a_place_for_saved_states(tmp_path: Path) -> None:
    world = World(tmp_path, claims=False)
    (unsaved,) = [one for one in ls.check(world.pipeline()) if "bring it back" in one.problem]
    assert not unsaved.blocks
    assert "snapshots=" in unsaved.mend
