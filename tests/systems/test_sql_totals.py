"""Sums of a table without a join say what the join says, whatever befell the table."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lockstep.errors import CannotSum
from lockstep.forms import keys
from lockstep.systems.postgres import Postgres
from lockstep.systems.sql import differing, summing, totals
from lockstep.systems.sql.target import SQLTarget
from lockstep.systems.sqlite import SQLite
from lockstep.testing.writer_hooks import write
from lockstep.values import EVERYTHING, Change, Fingerprint, Key, Meta, Span, Tallies, Tally, version

Do = Callable[[str], Any]
COLUMNS = {"id": "integer", "a": "text", "b": "numeric"}
CUTS = [keys.encode((n,)) for n in (10, 20)]
EQUAL = [Tally(10, 55), Tally(10, 155), Tally(20, 610)]

BEFALLS = {
    "nothing": (),
    "a row is edited": ("UPDATE t SET a = 'x' WHERE id = 7",),
    "a row of another mapping is edited": ("UPDATE t SET a = 'x' WHERE id = 43",),
    "two rows are exchanged": ("UPDATE t SET a = 'a' || (9 - id), b = 9 - id WHERE id IN (4, 5)",),
    "a row is deleted": ("DELETE FROM t WHERE id = 20",),
    "a row of another mapping is deleted": ("DELETE FROM t WHERE id = 43",),
    "a row is added": ("INSERT INTO t (id, a) VALUES (99, 'theirs')",),
    "a removed row is there again": ("INSERT INTO t (id, a, b) VALUES (60, 'a60', 60)",),
    "one row goes and one comes": ("DELETE FROM t WHERE id = 1", "INSERT INTO t (id) VALUES (98)"),
    "a key is edited": ("UPDATE t SET id = 97 WHERE id = 30",),
    "all rows are edited": ("UPDATE t SET b = b + 1",),
    "all rows are gone": ("DELETE FROM t",),
}


@pytest.fixture(params=["postgres", "sqlite"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[SQLTarget, Do]:
    """A table with rows 1 to 40 of one mapping, 41 to 45 of another, and 60, which was removed; and how to do
    something to its database past Lockstep."""
    if request.param == "sqlite":
        path = tmp_path / "a.db"

        def do(statement: str) -> None:
            with contextlib.closing(sqlite3.connect(path)) as connection, connection:
                connection.execute(statement)

        target = SQLite(path).table("t", columns=COLUMNS)
    else:
        url = request.getfixturevalue("postgres_url")

        def do(statement: str) -> None:
            with psycopg.connect(url) as connection:
                connection.execute(statement.encode())

        target = Postgres(url).table("t", columns=COLUMNS)
    with contextlib.closing(target.open(1)) as writer:
        writer.create("totals")
        write(writer, *(change(target, n, "m" if n <= 40 else "other") for n in [*range(1, 46), 60]))
        write(writer, change(target, 60, "m", batch=2, removed=True))
    return target, do


def change(target: SQLTarget, n: int, mapping: str, batch: int = 1, removed: bool = False) -> Change:
    record = None if removed else {"a": f"a{n}", "b": n}
    meta = Meta(mapping, keys.encode((n,)), Fingerprint(n), 0, version(1, batch))
    return Change(target.key((n,)), record, meta)


def summed(target: SQLTarget) -> tuple[Tallies | None, Tallies, set[Key]]:
    """Without a join, with it, and the keys that are edited."""
    with contextlib.closing(target.open(1)) as writer, writer._marked.moment() as connection:
        rows = writer._marked.rows(connection)
        given = (connection, writer._dialect, rows, writer._own)
        edited = summing.edited(*given, "m", 100)
        alone = totals.sums(*given, "m", CUTS, EVERYTHING)
        return alone, summing.sums(*given, "m", CUTS), {one.key for one in edited}


@pytest.mark.parametrize("found", ["in their spans", "in many spans", "of all"])
@pytest.mark.parametrize("what", BEFALLS)
def test_they_say_what_the_join_says(
    table: tuple[SQLTarget, Do], what: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, do = table
    if found != "of all":  # spans are told where the mapping is alone
        do("DELETE FROM t WHERE id BETWEEN 41 AND 45")
        do("DELETE FROM _lockstep_t WHERE mapping = 'other'")
        monkeypatch.setattr(totals, "APART", 3 if found == "in their spans" else 0)
    differs, places = differing.differing, list[Span]()

    def spied(*given: Any) -> Any:
        places.append(given[-1])
        return differs(*given)

    monkeypatch.setattr(totals, "differing", spied)
    for statement in BEFALLS[what]:
        do(statement)
    alone, joined, edited = summed(target)
    assert alone is not None
    assert (alone.spans, alone.others) == (joined.spans, joined.others)
    assert alone.edited is not None
    assert {mark.key for mark in alone.edited} == edited
    assert all(mark.meta.fingerprint == ~keys.decode(mark.key)[0] for mark in alone.edited)
    changed = (
        what not in ("nothing", "a row is added", "a removed row is there again") and "other" not in what
    )
    assert (alone.spans != EQUAL) == changed
    assert all((place == EVERYTHING) == (found != "in their spans") for place in places)
    assert places or not changed


def test_more_than_are_told_one_by_one_are_joined(
    table: tuple[SQLTarget, Do], monkeypatch: pytest.MonkeyPatch
) -> None:
    target, do = table
    for module in (totals, differing):
        monkeypatch.setattr(module, "NAMED", 39)
    do("UPDATE t SET b = b + 1 WHERE id <= 39")
    assert summed(target)[0] is not None
    do("UPDATE t SET b = b + 1 WHERE id = 40")
    assert summed(target)[0] is None


def test_what_is_gone_is_found_beside_many_that_are_edited(
    table: tuple[SQLTarget, Do], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more than are told one by one some are looked at: as few strangers may be among these as rows are
    gone, by chance, and all would seem to be there."""
    target, do = table
    do("INSERT INTO t (id, a) SELECT id + 100, 'theirs' FROM t WHERE id <= 6")  # after those that are edited
    do("DELETE FROM t WHERE id IN (39, 40)")
    for edited in range(6, 12):
        with monkeypatch.context() as few:
            for module in (totals, differing):
                few.setattr(module, "NAMED", 9)
            do(f"UPDATE t SET b = b + 1 WHERE id <= {edited}")
            alone, joined, _ = summed(target)
            assert alone is None or (alone.spans, alone.others) == (joined.spans, joined.others)


def test_rows_of_several_forms_are_joined(table: tuple[SQLTarget, Do]) -> None:
    target, do = table
    with contextlib.closing(target.open(1)) as writer:
        one = Change(
            target.key((50,)), {"a": "few"}, Meta("m", keys.encode((50,)), Fingerprint(50), 0, version(1, 1))
        )
        write(writer, one)
    assert summed(target)[0] is None
    do("UPDATE _lockstep_t SET held = NULL, recipe = NULL")
    assert summed(target)[0] is None, "written by an earlier version"


def test_keys_of_the_source_that_the_table_cannot_hold_narrow_nothing(postgres_url: str) -> None:
    """A mapping that leaves a key out has a ledger row of it all the same, and spans may be cut there."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE DOMAIN code AS text COLLATE \"C\" CHECK (VALUE LIKE 'C-%')")
        connection.execute("CREATE TABLE t (id code PRIMARY KEY, a text)")
    target = Postgres(postgres_url).table("t")
    names = [f"C-{n}" for n in range(10, 20)]
    with contextlib.closing(target.open(1)) as writer:
        writer.create("totals")
        for name in names:
            meta = Meta("m", keys.encode((name,)), Fingerprint(1), 0, version(1, 1))
            write(writer, Change(target.key((name,)), {"a": name}, meta))
        for cut in ("C-14", "A-1", "Z-1"):
            found = writer.sums("m", [keys.encode((cut,))])
            assert [span.records for span in found.spans] == [
                sum(n <= cut for n in names),
                sum(n > cut for n in names),
            ]


@pytest.mark.parametrize("mapping", ["m", "other"])
def test_a_part_with_a_row_from_elsewhere_is_not_summed_alone(
    table: tuple[SQLTarget, Do], mapping: str
) -> None:
    """Its source key is of another part: it would stand for the row that is gone."""
    target, do = table
    with contextlib.closing(target.open(1)) as writer:
        write(writer, change(target, 7, "m", batch=2, removed=True))
        meta = Meta(mapping, keys.encode((5000,)), Fingerprint(7), 0, version(1, 3))
        write(writer, Change(target.key((7,)), {"a": "a7", "b": 7}, meta))
        do("DELETE FROM t WHERE id = 3")
        with pytest.raises(CannotSum):
            writer.sums("m", CUTS[:1], Span(None, CUTS[1]))
        part = Span(CUTS[0], CUTS[1])
        assert writer.sums("m", [], part).spans == [EQUAL[1]], "where all is its own"
