"""A log that does not hold what a row belonged to: refused with the mend, and never silently wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import lockstep as ls
from tests.relations.world import InPostgres

DEFAULT = "ALTER TABLE notes REPLICA IDENTITY DEFAULT"
MEND = 'ALTER TABLE "public"."notes" REPLICA IDENTITY FULL;'


@pytest.fixture
def world(tmp_path: Path, postgres_url: str) -> InPostgres:
    made = InPostgres(tmp_path, "sql", postgres_url)
    made.fill(1)
    return made


def test_nothing_begins_without_the_old_values(world: InPostgres) -> None:
    world.do(DEFAULT)
    findings = [one for one in ls.check(world.pipeline("a")) if one.subject == "public.notes"]
    assert [(one.blocks, one.mend) for one in findings] == [(True, MEND)]
    with pytest.raises(ls.Refused, match=r"public\.notes: .* old values of about") as refused:
        world.run()
    assert refused.value.remedy == MEND


@pytest.mark.parametrize(
    "change", ["UPDATE notes SET about = 12 WHERE id = 11", "DELETE FROM notes WHERE id = 11"]
)
def test_what_happened_without_them_is_found_all_the_same(world: InPostgres, change: str) -> None:
    """The identity is taken away behind our back and the row leaves its parent, which nobody names."""
    world.run()
    world.do(DEFAULT, change)
    with pytest.raises(ls.Refused, match="old values"):
        world.run()
    world.do(MEND)
    world.run()
    assert world.held() == world.expected()
    assert world.held()[11]["notes"] == []
