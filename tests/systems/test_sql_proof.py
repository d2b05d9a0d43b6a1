"""SQL targets tell a row that somebody edited in place from one that is as it was written."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sqlite3
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lockstep.errors import CannotSum
from lockstep.forms import keys
from lockstep.ports import GroupingWriter
from lockstep.systems.postgres import Postgres
from lockstep.systems.sql import totals
from lockstep.systems.sql.proof import recipe
from lockstep.systems.sql.target import SQLTarget
from lockstep.systems.sqlite import SQLite
from lockstep.systems.sqlite.writer import _ARGUMENTS
from lockstep.testing.writer_hooks import write
from lockstep.values import EVERYTHING, Change, Fingerprint, Meta, Record, Tally, version

Do = Callable[[str], Any]
COLUMNS = {
    "id": "integer",
    "a": "text",
    "b": "numeric",
    "f": "double precision",
    "at": "timestamptz",
    "day": "date",
    "raw": "bytea",
    "span": "interval",
    "list": "jsonb",
    "theirs": "text",
}


@pytest.fixture(params=["postgres", "sqlite"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SQLTarget, Do]]:
    """A table, and how to do something to its database past Lockstep."""
    if request.param == "sqlite":
        path = tmp_path / "a.db"

        def do(statement: str) -> None:
            with contextlib.closing(sqlite3.connect(path)) as connection, connection:
                connection.execute(statement)

        types = COLUMNS | {"raw": "BLOB", "b": "DECIMAL(20, 5)", "list": "JSON"}
        yield SQLite(path).table("t", columns=types), do
        return
    url = request.getfixturevalue("postgres_url")

    def execute(statement: str) -> None:
        with psycopg.connect(url) as connection:
            connection.execute(statement.encode())

    yield Postgres(url).table("t", columns=COLUMNS), execute


def record(number: int) -> Record:
    return {
        "a": f"text {number}",
        "b": Decimal(number) / 8,
        "f": number / 3,
        "at": dt.datetime(2026, 11, 25, number % 24, 7, tzinfo=dt.UTC),
        "day": dt.date(2026, 11, 1 + number % 28),
        "raw": bytes([number]),
        "list": [number],
    }


def change(target: SQLTarget, number: int, record: Record, batch: int = 1) -> Change:
    key = target.key((number,))
    return Change(key, record, Meta("m", keys.encode((number,)), Fingerprint(number), 0, version(1, batch)))


def listed(target: SQLTarget) -> tuple[Tally, dict[int, int]]:
    """The sum of all, and the fingerprint that each record is listed with."""
    with contextlib.closing(target.open(1)) as writer:
        (total,) = writer.sums("m", []).spans
        marks = [mark for page in writer.marks("m", EVERYTHING) for mark in page]
        edited = writer.edited("m", 100)
    assert {mark.key for mark in edited} == {one.key for one in marks if one.meta.fingerprint < 0}
    assert total.edited == len(edited)
    return total, {keys.decode(mark.meta.key)[0]: mark.meta.fingerprint for mark in marks}


def written(target: SQLTarget) -> None:
    with contextlib.closing(target.open(1)) as writer:
        writer.create("proof")
        write(writer, *(change(target, n, record(n)) for n in range(1, 21)))
        fewer = {"a": "few"}
        write(writer, *(change(target, n, fewer) for n in range(21, 31)))
        write(writer, change(target, 31, {}))


ALL = {n: n for n in range(1, 32)}


@pytest.mark.parametrize("name", ["a", "b", "f", "at", "day", "raw", "list"])
def test_an_edit_of_a_written_column_is_told(table: tuple[SQLTarget, Do], name: str) -> None:
    target, do = table
    written(target)
    assert listed(target) == (Tally(31, 31 * 16), ALL)
    do(f"UPDATE t SET {name} = NULL WHERE id = 7")
    do(f"UPDATE t SET {name} = (SELECT {name} FROM t WHERE id = 9) WHERE id = 8")
    tally, marks = listed(target)
    assert marks == ALL | {7: ~7, 8: ~8}
    assert tally == Tally(31, 31 * 16, edited=2)


def test_two_edits_that_cancel_are_told(table: tuple[SQLTarget, Do]) -> None:
    target, do = table
    written(target)
    do("UPDATE t SET a = CASE id WHEN 4 THEN 'text 5' ELSE 'text 4' END WHERE id IN (4, 5)")
    assert listed(target)[1] == ALL | {4: ~4, 5: ~5}


def test_a_column_that_was_not_written_is_somebody_elses(table: tuple[SQLTarget, Do]) -> None:
    target, do = table
    written(target)
    do("UPDATE t SET theirs = 'x'")
    do("UPDATE t SET b = 5, raw = NULL WHERE id > 20")
    do("ALTER TABLE t ADD COLUMN more text DEFAULT 'y'")
    assert listed(target) == (Tally(31, 31 * 16), ALL)
    do("ALTER TABLE t DROP COLUMN f")
    assert listed(target)[1] == ALL | {n: ~n for n in range(1, 21)}, "a written column is gone"


def test_a_companion_from_before_says_nothing_of_its_rows_until_they_are_written(
    table: tuple[SQLTarget, Do],
) -> None:
    target, do = table
    written(target)
    do("ALTER TABLE _lockstep_t DROP COLUMN held")
    do("ALTER TABLE _lockstep_t DROP COLUMN recipe")
    do("UPDATE t SET a = 'edited' WHERE id = 7")
    assert listed(target) == (Tally(31, 31 * 16, unproved=31), ALL)
    with contextlib.closing(target.open(1)) as writer:
        assert len(writer.scan(None, 100)) == 31
        write(writer, change(target, 8, record(80), batch=2))
    assert listed(target) == (Tally(31, 31 * 16, unproved=30), ALL)
    do("UPDATE t SET a = 'edited' WHERE id = 8")
    assert listed(target)[1] == ALL | {8: ~8}


def hashed_as_once(url: str) -> None:
    """Makes PostgreSQL's companion say of its rows what the first version of their hash did."""
    with psycopg.connect(url) as connection:
        major = connection.info.server_version // 10000
        types: dict[str, str] = dict(
            connection.execute(
                "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute"
                " WHERE attrelid = 't'::regclass AND attnum > 0"
            ).fetchall()
        )
        for (names,) in connection.execute("SELECT DISTINCT names FROM _lockstep_t").fetchall():
            columns = ["id", *sorted(json.loads(names))]
            number = recipe(1, major, *(part for name in columns for part in (name, types[name])))
            row = ", ".join(f"t.{name}" for name in columns)
            connection.execute(
                f"UPDATE _lockstep_t o SET recipe = {number},"
                f' held = hashtextextended(ROW({row})::text COLLATE "C", 0)'
                f" FROM t WHERE o.names = '{names}' AND o.fingerprint = t.id".encode()
            )


def test_what_an_earlier_version_hashed_is_proved_as_it_was(postgres_url: str) -> None:
    target = Postgres(postgres_url).table("t", columns=COLUMNS)
    written(target)
    hashed_as_once(postgres_url)
    assert listed(target) == (Tally(31, 31 * 16), ALL)
    with contextlib.closing(target.open(1)) as writer:
        write(writer, change(target, 9, record(9), batch=2))
    assert listed(target) == (Tally(31, 31 * 16), ALL)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE t SET a = 'edited' WHERE id IN (8, 9, 22)")
    assert listed(target) == (Tally(31, 31 * 16, edited=3), ALL | {8: ~8, 9: ~9, 22: ~22})


def test_rows_of_one_form_that_an_earlier_version_hashed_add_up_without_a_join(postgres_url: str) -> None:
    target = Postgres(postgres_url).table("t", columns=COLUMNS)
    with contextlib.closing(target.open(1)) as writer:
        writer.create("proof")
        write(writer, *(change(target, n, record(n)) for n in range(1, 21)))
    hashed_as_once(postgres_url)

    def summed() -> Tally:
        with contextlib.closing(target.open(1)) as writer, writer._marked.moment() as connection:
            rows = writer._marked.rows(connection)
            tallies = totals.sums(connection, writer._dialect, rows, writer._own, "m", [], EVERYTHING)
        assert tallies is not None
        return tallies.spans[0]

    assert summed() == Tally(20, 210)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE t SET a = 'edited' WHERE id = 8")
        connection.execute("DELETE FROM t WHERE id = 20")
    assert summed() == Tally(19, 190, edited=1)
    assert listed(target)[1] == {n: n for n in range(1, 20)} | {8: ~8}


def test_settings_of_a_session_have_no_part_in_it(postgres_url: str) -> None:
    target = Postgres(postgres_url).table("t", columns=COLUMNS)
    written(target)
    database = postgres_url.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for setting in (
            "DateStyle = 'German, DMY'",
            "TimeZone = 'Pacific/Chatham'",
            "extra_float_digits = -10",
            "bytea_output = 'escape'",
            "IntervalStyle = 'iso_8601'",
        ):
            connection.execute(f'ALTER DATABASE "{database}" SET {setting}'.encode())
    assert listed(target) == (Tally(31, 31 * 16), ALL)
    with psycopg.connect(postgres_url) as connection:
        (shown,) = connection.execute("SELECT at::text FROM t WHERE id = 1").fetchone() or ("",)
        assert shown.startswith(("25.11.2026", "26.11.2026")), "the settings were taken"


def test_a_column_of_another_type_by_now_leaves_its_rows_unproved(postgres_url: str) -> None:
    target = Postgres(postgres_url).table("t", columns=COLUMNS)
    written(target)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("ALTER TABLE t ALTER COLUMN b TYPE numeric(20, 10)")
    assert listed(target) == (Tally(31, 31 * 16, unproved=20), ALL)


def test_a_list_is_not_hashed_as_its_elements(postgres_url: str) -> None:
    """Its type is written with their length: character varying(9)[]."""
    columns = {"id": "integer", "a": "varchar(9)[]", "b": "numeric(6,2)[]", "c": "char(3)[]", "d": "text"}
    target = Postgres(postgres_url).table("t", columns=columns)
    lists: list[list[Any]] = [[], [None], ["x"], ["x", "y"], ["y", "x"]]
    with contextlib.closing(target.open(1)) as writer:
        writer.create("proof")
        for n, values in enumerate(lists, 1):
            numbers = [value and len(values) for value in values]
            made: Record = {"a": values, "b": numbers, "c": values, "d": "x"}
            write(writer, change(target, n, made))
        assert isinstance(writer, GroupingWriter)
        for of, by in ((None, ("a",)), ("b", ())):
            with pytest.raises(CannotSum, match=r"\[\]"):
                list(writer.groups(of, by))
    as_written = {n: n for n in range(1, 6)}
    assert listed(target) == (Tally(5, 15), as_written)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE t SET a = '{z}' WHERE id = 2")
        connection.execute("UPDATE t SET b = '{7}' WHERE id = 3")
        connection.execute("UPDATE t SET c = '{}' WHERE id = 4")
    assert listed(target)[1] == as_written | {2: ~2, 3: ~3, 4: ~4}


def test_a_wide_table_and_a_text_that_is_none(tmp_path: Path) -> None:
    """SQLite takes some hundred arguments, and any bytes for a text."""
    names = [f"c{n}" for n in range(2 * _ARGUMENTS + 1)]
    target = SQLite(tmp_path / "a.db").table("t", columns={"id": "INTEGER"} | dict.fromkeys(names, "TEXT"))
    with contextlib.closing(target.open(1)) as writer:
        writer.create("proof")
        write(writer, *(change(target, n, dict.fromkeys(names, "x")) for n in (1, 2, 3)))
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute(f"UPDATE t SET {names[-1]} = CAST(x'ff' AS TEXT) WHERE id = 2")
        connection.execute(f"UPDATE t SET {names[0]} = CAST('x' AS BLOB) WHERE id = 3")
    assert listed(target)[1] == {1: 1, 2: ~2, 3: ~3}
