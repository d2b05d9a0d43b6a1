"""Many rows in one SQLite statement leave what a statement for each leaves."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from lockstep.database import multirow
from lockstep.state import schema

NAMES = ("consumer", "key", "sent", "void", "due", "hint", "version")
Row = tuple[Any, ...]


def _written(rows: list[Row], before: list[Row]) -> set[Row]:
    with sqlite3.connect(":memory:") as database:
        database.execute(
            'CREATE TABLE ledger (consumer INTEGER, "key" BLOB, sent INTEGER, void BOOLEAN, due DOUBLE, '
            'hint BLOB, version INTEGER, PRIMARY KEY (consumer, "key")) WITHOUT ROWID'
        )
        for some in (before, rows):
            for statement, parameters in multirow.upserts(schema.ledger, NAMES, some):
                database.executemany(statement, parameters)
        return set(database.execute("SELECT * FROM ledger"))


def _row(number: int, **other: Any) -> Row:
    own = {"consumer": 1, "key": b"%06d" % number, "sent": -number, "void": False, "due": None, "hint": b"h"}
    return tuple((own | {"version": 7} | other)[name] for name in NAMES)


@pytest.mark.parametrize("count", [1, 99, 100, 101, 350])
def test_each_row_is_as_it_was_given(count: int) -> None:
    before = [_row(number, sent=5, due=2.5, hint=b"old", void=True, version=6) for number in range(1, 120)]
    given = [_row(number) for number in range(count)]

    found = _written(given, before)

    assert found == set(given) | {row for row in before if row[1] not in {row[1] for row in given}}


def test_a_value_that_one_row_alone_has_is_its_own() -> None:
    given = [_row(number) for number in range(200)]
    given[150] = _row(150, void=True, due=1.5, hint=None)

    assert _written(given, []) == set(given)


def test_of_two_rows_of_one_key_the_last_stays() -> None:
    given = [_row(number) for number in range(120)]
    given[60] = _row(10, sent=99)

    found = _written(given, [])

    assert _row(10, sent=99) in found
    assert len(found) == 119
