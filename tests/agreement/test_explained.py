"""What `explain` says of a key is what a check says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

import lockstep as ls
from lockstep.forms import keys
from tests.agreement.test_strangers import two_into_one_table
from tests.support.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, claims=False)
    made.do("INSERT INTO users VALUES (1, NULL, NULL, 'u', NULL)", "INSERT INTO companies VALUES (7, 'Acme')")
    ls.run(two_into_one_table(made), once=True)
    return made


def told(world: World) -> tuple[dict[str, int], str, dict[str, bool]]:
    """What a check counts of companies, the verdict on the one, and which of its records are equal."""
    counts = ls.verify(two_into_one_table(world), "companies", method="deep").counts
    found = ls.explain(two_into_one_table(world), "companies", "7")
    return counts, found.verdict, {one.key: one.equal for one in found.records}


def test_as_it_should_be(world: World) -> None:
    counts, verdict, records = told(world)
    assert (counts, records) == ({}, {"c7": True})
    assert verdict == "The target holds what the source means: in agreement."


def test_a_record_that_does_not_say_whose_it_is(world: World) -> None:
    world.spoil("DELETE FROM _lockstep_things WHERE mapping = 'companies'")
    counts, verdict, records = told(world)
    assert (counts, records) == ({"different": 1}, {"c7": False})
    assert verdict.startswith(
        "The target does not hold what the source means: it does not say it is from here."
    )
    assert "`lockstep repair companies`" in verdict


def test_a_record_at_another_key(world: World) -> None:
    stray = keys.encode(("stray",)).hex()
    world.spoil(
        "CREATE TEMP TABLE t AS SELECT * FROM _lockstep_things WHERE mapping = 'companies'",
        f"UPDATE t SET key = x'{stray}'",
        "INSERT INTO _lockstep_things SELECT * FROM t",
        "INSERT INTO things VALUES ('stray', 'Acme')",
    )
    counts, verdict, records = told(world)
    assert (counts, records) == ({"extra": 1}, {"c7": True, "stray": False})
    assert verdict.startswith("The target holds a record of it that the source does not mean.")


def test_a_ledger_that_lost_it(world: World) -> None:
    world.spoil_state("DELETE FROM ledger")
    counts, verdict, records = told(world)
    assert (counts, records) == ({"ledger": 1}, {"c7": True})
    assert "but not the ledger: the ledger does not know it" in verdict
