"""A write of the ledger is made under an epoch that still stands, or is one of those that are listed here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import lockstep.state
from lockstep.errors import LeaseLost
from lockstep.state import schema
from lockstep.state.books import Unfenced
from lockstep.state.store import Store

ANYBODYS = {
    "DEAD": {"Ledger.forget", "Ledger.forget_tombstones"},
    "DRAWS": {"Store.__init__", "Store.draw_epoch"},
    "OWN": {
        *("Builds.pointed", "Checks.begin", "Checks.forget", "Checks.keep", "Checks.take"),
        *("Drills.begin", "Drills.end", "Events.flush", "Events.prune"),
        *("Generations.note_verified", "Reports.add", "Reports.remark", "Runs.begin", "Runs.see"),
        *("Snapshots.begin", "Snapshots._set"),
    },
    "PERSON": {"Backfills.ask", "Holds.decide", "Reports.accept", "StuckKeys.retry_all"},
}
"""Another one in this list is a decision: what if a run that stood still for an hour does it?"""


def _methods() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in Path(lockstep.state.__path__[0]).glob("*.py"):
        if path.name != "books.py":
            for owner in ast.walk(ast.parse(path.read_text())):
                if isinstance(owner, ast.ClassDef):
                    for method in owner.body:
                        if isinstance(method, ast.FunctionDef):
                            yield f"{owner.name}.{method.name}", method


def test_what_is_written_without_an_epoch_is_listed() -> None:
    found: dict[str, set[str]] = {one.name: set() for one in Unfenced}
    fenced = 0
    for name, method in _methods():
        for node in ast.walk(method):
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("writing", "_alone"), f"{name} goes round the books"
                fenced += node.attr == "under"
                if isinstance(node.value, ast.Name) and node.value.id == "Unfenced":
                    found[node.attr].add(name)
    assert found == ANYBODYS
    assert fenced > 25


def test_a_write_under_an_epoch_that_is_over_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "state")
    books = store._database
    over = store.draw_epoch()
    with books.under(over) as connection:
        connection.execute(schema.meta.insert(), {"name": "first", "value": ""})
    stands = store.draw_epoch()
    with pytest.raises(LeaseLost, match=f"epoch {over} is over"), books.under(over) as connection:
        connection.execute(schema.meta.insert(), {"name": "second", "value": ""})
    with books.under(stands) as connection:
        noted = set(connection.scalars(sa.select(schema.meta.c.name)))
    assert "first" in noted
    assert "second" not in noted
    store.close()
