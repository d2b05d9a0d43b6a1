"""A source's log that has lost something, and a start that is killed while it sees to that.

Every key is derived again then. What must not happen is that code which means something else slips in with
it, unasked: the guard's sample comes after the pass is noted.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import lockstep as ls
from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.operations.opened import existing
from tests.support.world import Person, World, people

USERS = 1_100
"""More than are derived in place without a question."""

HOLES = ("log", "journal")
POINTS = ("hinted", "spanned", "followed", "created", "taken", "written", "settled")


class HoleWorld(World):
    """`code`: "old", or other code: "helper" under the same version, "declared" under another."""

    def __init__(self, root: Path) -> None:
        self.code = "old"
        super().__init__(root, claims=False)

    def pipeline(self) -> Pipeline:
        made = super().pipeline()
        mapping = made.named("people")
        if self.code != "old":
            mapping.function = shouting
        if self.code == "declared":
            mapping.version = "2"
        return made

    def lose(self, what: str) -> None:
        """Makes a hole."""
        if what == "log":
            self.do("UPDATE _lockstep_changes SET token = token + 1")
        else:
            for file in (self.root / "state").glob("journal.db*"):
                file.unlink()

    def reasons(self) -> list[str]:
        """Why all keys were derived, the newest first."""
        with existing(self.pipeline(), Access.RUN) as store:
            (consumer,) = store.generations.consumers()
            return [one.reason for one in store.backfills.of(consumer.id)]


def shouting(user: Person) -> dict[str, object] | None:
    made = people(user)
    return None if made is None else {**made, "email": user.email.upper()}


@pytest.fixture
def world(tmp_path: Path) -> HoleWorld:
    made = HoleWorld(tmp_path)
    made.do(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {USERS}) "
        "INSERT INTO users (id, email) SELECT i, 'user' || i || '@example.com' FROM n"
    )
    made.run()
    return made


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("point", POINTS)
def test_a_start_with_a_hole_that_is_killed_converges(world: HoleWorld, hole: str, point: str) -> None:
    world.do("UPDATE users SET email = 'new@example.com' WHERE id = 7", "DELETE FROM users WHERE id = 8")
    world.lose(hole)
    died = world.dies(point)
    assert died == (point != "created"), "the target is there"
    assert "hole" in world.reasons()[0] or point == "hinted"
    world.run()
    assert any("hole" in reason for reason in world.reasons())
    world.assert_agreement()


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("code", ["helper", "declared"])
@pytest.mark.parametrize("point", ["hinted", "spanned", "followed"])
def test_other_code_does_not_slip_in_with_the_pass(
    world: HoleWorld, hole: str, code: str, point: str
) -> None:
    before = world.actual()
    world.lose(hole)
    world.code = code
    assert world.dies(point)
    for _ in range(2):
        with pytest.raises(ls.HeldBack, match="mean something else now"):
            world.run()
        assert world.actual() == before, "nothing of it was written"
    world.code = "old"
    world.run()
    assert ls.holds(world.root / "state") == []
    world.assert_agreement()
