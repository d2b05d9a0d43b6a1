"""What SQL targets say that they would refuse or change is what they then do when it is written."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from lockstep.forms.keys import encode
from lockstep.systems.postgres import Postgres
from lockstep.systems.sql.target import SQLTarget
from lockstep.systems.sqlite import SQLite
from lockstep.values import Change, Fingerprint, Meta, Status, version

AT = dt.datetime(2026, 3, 8, 9, 30, 0, 123456, tzinfo=dt.UTC)
WIDE = Decimal("12345678901234567.89")
Fate = str | None
Case = tuple[str, Any, Fate]
"""A type, a value, and its fate: kept (None), "changed" or "refused"."""

POSTGRES: list[Case] = [
    ("numeric(10,2)", Decimal("19.905"), "changed"),
    ("numeric(10,2)", Decimal("19.90"), None),
    ("numeric(10,2)", Decimal("123456789.5"), "refused"),
    ("numeric", WIDE, None),
    ("float8", WIDE, "changed"),
    ("float8", Decimal("19.9"), None),
    ("float4", 0.1, None),
    ("float4", 16777217, "changed"),
    ("smallint", 40000, "refused"),
    ("integer", Decimal("1.5"), "refused"),
    ("integer", True, None),
    ("varchar(3)", "long", "refused"),
    ("varchar(3)", "abc", None),
    ("varchar(3)", "abc  ", "changed"),
    ("varchar(3)[]", ["abc", "long"], "refused"),
    ("char(4)", "ab", None),
    ("text", 5, None),
    ("text", "a\0b", "refused"),
    ("timestamp", AT, "changed"),
    ("timestamp", AT.replace(tzinfo=None), None),
    ("timestamptz", AT.replace(tzinfo=None), "changed"),
    ("timestamptz", AT, None),
    ("timestamptz", "2026-03-08 09:30+02", None),
    ("timestamptz(3)", AT, "changed"),
    ("timestamptz(3)[]", [AT], "changed"),
    ("date", AT.date(), None),
    ("jsonb", {"b": WIDE, "a": "\\"}, None),
    ("mood", "glad", None),
    ("mood", "gald", "refused"),
    ("inet", "10.0.0.1/32", None),
    ("int4range", {"gte": 1, "lte": 5}, None),
    ("uuid", UUID(int=5), None),
    ("interval", dt.timedelta(days=400, seconds=5), None),
    ("bytea", b"\0a", None),
    ("varchar(3) NOT NULL", "long", "refused"),
    ("even", 3, "refused"),
]
SQLITE: list[Case] = [
    ("DECIMAL", WIDE, "changed"),
    ("NUMERIC(10,2)", Decimal("19.905"), None),
    ("DECIMAL TEXT", WIDE, None),
    ("REAL", WIDE, "changed"),
    ("REAL", Decimal("19.9"), None),
    ("INTEGER", 1 << 63, "refused"),
    ("INTEGER", Decimal("1.5"), "refused"),
    ("INTEGER", True, None),
    ("BOOLEAN", 1, None),
    ("VARCHAR(3)", "long", None),
    ("TEXT", 5, None),
    ("TEXT", dt.timedelta(days=1), None),
    ("DATETIME", AT, None),
    ("DATE", AT, "refused"),
    ("JSON", {"b": WIDE}, None),
    ("JSON", WIDE, "changed"),
    ("REAL NOT NULL", float("nan"), "refused"),
]


def foretold(target: SQLTarget, record: dict[str, Any]) -> Fate:
    lost = target.losses([{"id": 1}, record])
    assert [(loss.place, loss.field, loss.value) for loss in lost] in ([], [(1, "v", record["v"])])
    return None if not lost else "changed" if lost[0].refused is None else "refused"


def became(target: SQLTarget, record: dict[str, Any]) -> tuple[Fate, Any]:
    with closing(target.open(1)) as writer:
        writer.create("m")
        key = encode((record["id"],))
        (outcome,) = writer.write([Change(key, record, Meta("m", key, Fingerprint(1), 1, version(1, 1)))])
    if outcome.status is Status.REJECTED:
        return "refused", outcome.reason
    return ("changed", outcome.held["v"]) if outcome.held else (None, record["v"])


def as_written(target: SQLTarget, case: Case) -> None:
    """What was said is what is found. A change of the form alone (a text of a number) is no loss."""
    _, value, fate = case
    record = {"id": 1, "v": value}
    assert foretold(target, record) == fate, "before the table is there"
    fact, held = became(target, record)
    assert fact == fate or (fate is None and fact == "changed")
    if fate == "changed":
        assert [loss.held for loss in target.losses([record])] == [held]
    assert foretold(target, record) == fate, "of the table that is there"


@pytest.mark.parametrize("case", POSTGRES, ids=lambda case: f"{case[0]} {case[1]!r:.30}")
def test_postgres(postgres_url: str, case: Case) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
        connection.execute("CREATE DOMAIN even AS integer CHECK (value % 2 = 0)")
    as_written(Postgres(postgres_url).table("t", columns={"id": "bigint", "v": case[0]}), case)


@pytest.mark.parametrize("case", SQLITE, ids=lambda case: f"{case[0]} {case[1]!r:.30}")
def test_sqlite(tmp_path: Path, case: Case) -> None:
    as_written(SQLite(tmp_path / "t.db").table("t", columns={"id": "INTEGER", "v": case[0]}), case)


def test_many_values_are_judged_each_and_nothing_is_written(postgres_url: str) -> None:
    target = Postgres(postgres_url).table("t", columns={"id": "bigint", "v": "varchar(3)", "n": "bigserial"})
    records = [{"id": n, "v": "x" * n, "n": 5} for n in range(6)]
    assert [(loss.place, loss.type) for loss in target.losses(records)] == [
        (4, "varchar(3)"),
        (5, "varchar(3)"),
    ]
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)


def test_a_key_that_would_be_another_one_is_refused(postgres_url: str) -> None:
    target = Postgres(postgres_url).table("t", key=("v",), columns={"v": "char(4)"})
    (loss,) = target.losses([{"v": "ab"}, {"v": "ab "}])
    assert loss.place == 1
    assert loss.refused == "it is in the key, which would be another one"


def test_a_table_is_asked_as_it_is_not_as_it_was_declared(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v REAL)")
    target = SQLite(tmp_path / "t.db").table("t")
    assert [loss.type for loss in target.losses([{"id": 1, "v": WIDE}])] == ["REAL"]


@pytest.mark.parametrize("system", ["postgres", "sqlite"])
def test_a_name_that_is_no_column_is_refused_as_a_write_refuses_it(
    request: pytest.FixtureRequest, tmp_path: Path, system: str
) -> None:
    url = request.getfixturevalue("postgres_url") if system == "postgres" else ""
    of = Postgres(url) if url else SQLite(tmp_path / "t.db")
    target = of.table("t", columns={"id": "INTEGER", "v": "text"})
    records: list[dict[str, Any]] = [{"id": 1, "v": "x"}, {"id": 2, "w": "y"}, {"id": 3, "w": None}]
    foretold = [(1, "w", None, "its columns are id, v"), (2, "w", None, "its columns are id, v")]

    def said() -> list[tuple[int, str, str | None, str | None]]:
        return [(loss.place, loss.field, loss.type, loss.refused) for loss in target.losses(records)]

    assert said() == foretold, "before the table is there"
    with closing(target.open(1)) as writer:
        writer.create("m")
        assert said() == foretold, "of the table that is there"
        keys = [encode((record["id"],)) for record in records]
        outcomes = writer.write(
            [
                Change(key, record, Meta("m", key, Fingerprint(1), 1, version(1, 1)))
                for key, record in zip(keys, records, strict=True)
            ]
        )
    assert outcomes[0].status is Status.APPLIED
    for outcome in outcomes[1:]:
        assert outcome.status is Status.REJECTED
        assert "no column w; its columns are id, v" in (outcome.reason or "")
