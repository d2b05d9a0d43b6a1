"""Any operations in any order, worked now and then: the documents are those of a fresh build."""

from __future__ import annotations

import contextlib
import sqlite3
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.relations.operations import every
from tests.relations.tables import filled
from tests.relations.world import InSQLite

OPERATIONS = [statements for _, statements in every()]

# A transaction is a few operations, on rows that change places: so what one operation made is what the next
# one meets. One that breaks a constraint is rolled back whole, as an application's would be.
OPERATION = st.tuples(st.sampled_from(OPERATIONS), st.permutations(range(1, 5)))
ROUNDS = st.lists(st.lists(st.lists(OPERATION, min_size=1, max_size=4), max_size=12), min_size=1, max_size=3)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROUNDS)
def test_rebuild_equals_incremental(rounds: list[list[list[tuple[list[str], list[int]]]]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        world = InSQLite(Path(directory), "sql")
        world.fill(1)
        world.run()
        for transactions in rounds:
            for transaction in transactions:
                with contextlib.suppress(sqlite3.IntegrityError):
                    world.do(*(one for given, places in transaction for one in _elsewhere(given, places)))
            world.run()
            assert world.held() == world.expected()
        world.run("rebuilt")
        assert world.held() == world.held("rebuilt")


def _elsewhere(statements: list[str], places: list[int]) -> list[str]:
    """An operation with its rows 1 to 4 exchanged."""
    for at, place in enumerate(places, 1):
        for form in ("", "u", "r", "t"):
            statements = [one.replace(f"{{{form}{at}}}", f"{{{form}#{place}}}") for one in statements]
    return [filled(one.replace("#", ""), 10) for one in statements]
