"""State that was lost or put back from a backup: recognised, and healed by comparing with the target."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from lockstep.values import EPOCH_SHIFT
from tests.pairs import world as pairs
from tests.support import world as embedded


class AnyWorld(Protocol):
    root: Path

    def do(self, *statements: str) -> None: ...
    def run(self) -> Any: ...
    def assert_agreement(self) -> None: ...


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> AnyWorld:
    if request.param == "sqlite":
        made: Any = embedded.World(tmp_path, claims=False)
        made.do("INSERT INTO companies VALUES (1, 'a')")
        made.do("INSERT INTO users SELECT value, 1, NULL, 'u' || value, 0 FROM json_each('[1,2,3,4,5]')")
    else:
        made = pairs.World(
            tmp_path, request.getfixturevalue("postgres_url"), f"sql|{tmp_path / 'out'}|people"
        )
        made.do(*pairs.SCHEMA.strip().rstrip(";").split(";"))
    made.do("UPDATE users SET email = 'u1' WHERE id = 1")
    made.run()
    return made  # type: ignore[no-any-return]


def backup(world: AnyWorld, *files: str) -> Callable[[], None]:
    """Copies files of the state; what it returns puts them back, and removes what they had beside them."""
    state, kept = world.root / "state", world.root / "kept"
    kept.mkdir()
    for file in files:
        shutil.copy(state / file, kept / file)

    def restore() -> None:
        for file in files:
            for old in state.glob(f"{file}*"):
                old.unlink()
            shutil.copy(kept / file, state / file)

    return restore


BOTH = ("ledger.db", "journal.db")
CASES = [("sqlite", ("ledger.db",)), ("sqlite", ("journal.db",)), ("sqlite", BOTH), ("postgres", BOTH)]


@pytest.mark.parametrize(("world", "files"), CASES, indirect=["world"])
def test_there_and_back_around_a_restored_state(world: AnyWorld, files: tuple[str, ...]) -> None:
    """The old ledger says A, the target holds B, and the source is at A again: equal to the ledger."""
    restore = backup(world, *files)
    world.do("UPDATE users SET email = 'B' WHERE id = 1", "DELETE FROM users WHERE id = 2")
    world.run()
    world.run()
    restore()
    world.do("UPDATE users SET email = 'u1' WHERE id = 1")
    world.run()
    world.assert_agreement()
    world.do("UPDATE users SET email = 'later' WHERE id = 3")
    world.run()
    world.assert_agreement()


def test_versions_of_a_restored_state_are_above_those_in_the_target(world: AnyWorld) -> None:
    """Else every write of it would be superseded."""
    restore = backup(world, "ledger.db", "journal.db")
    for email in ("B", "C", "D"):
        world.do(f"UPDATE users SET email = '{email}' WHERE id = 1")
        world.run()
    highest = _highest(world)
    restore()
    world.do("UPDATE users SET email = 'E' WHERE id = 1")
    world.run()
    world.assert_agreement()
    assert _highest(world) >> EPOCH_SHIFT > highest >> EPOCH_SHIFT


def _highest(world: Any) -> int:
    target = world.pipeline().named("people").target
    writer = target.open(1)
    try:
        return int(writer.contents().highest)
    finally:
        writer.close()
