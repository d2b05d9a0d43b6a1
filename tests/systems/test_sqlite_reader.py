"""What is particular to reading SQLite: storage classes, collations, orders that no index serves."""

from __future__ import annotations

import datetime as dt
import math
import os
import sqlite3
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.systems.sqlite_reading import Database, t

from lockstep.errors import DataError, Refused, Unreachable
from lockstep.systems.sqlite import SQLite
from lockstep.systems.sqlite.reader import SQLiteReader
from lockstep.values import Fetch


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(tmp_path / "app.db")
    yield db
    db.close()


@pytest.mark.parametrize(
    ("declared", "stored", "value"),
    [
        ("INTEGER", 2**63 - 1, 2**63 - 1),
        ("unsigned big int", -5, -5),
        ("VARCHAR(20)", "x", "x"),
        ("CHAR(32)", "é\0", "é\0"),
        ("STRING", "abc", "abc"),
        ("BLOB", b"\0", b"\0"),
        ("VARBINARY(3)", b"", b""),
        ("DOUBLE PRECISION", 3, 3.0),
        ("FLOAT", -0.0, 0.0),
        ("REAL", math.inf, math.inf),
        ("DECIMAL(10, 2)", 10, Decimal(10)),
        ("NUMERIC", 0.1, Decimal("0.1")),
        ("NUMERIC", "12.50", Decimal("12.5")),
        ("NUMERIC", 2**63 - 1, Decimal(2**63 - 1)),
        ("BOOLEAN", 1, True),
        ("bool", 0, False),
        ("DATE", "2024-02-29", dt.date(2024, 2, 29)),
        ("TIME", "09:30:00.500", dt.time(9, 30, 0, 500_000)),
        ("DATETIME", "2024-02-29 09:30", dt.datetime.fromisoformat("2024-02-29T09:30:00")),
        (
            "TIMESTAMP(6)",
            "2024-02-29T09:30:00.000001",
            dt.datetime.fromisoformat("2024-02-29T09:30:00.000001"),
        ),
        ("TIMESTAMP WITH TIME ZONE", "2024-02-29 09:30:00Z", dt.datetime(2024, 2, 29, 9, 30, tzinfo=dt.UTC)),
        (
            "TIMESTAMPTZ",
            "2024-02-29 09:30:00+05:30",
            dt.datetime(2024, 2, 29, 9, 30, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))),
        ),
        (
            "UUID",
            "0b3f2a4e-0000-4000-8000-00000000000a",
            UUID("0b3f2a4e-0000-4000-8000-00000000000a"),
        ),
        ("JSON", '{"a": [1, 2.50, null, "x"]}', {"a": [1, Decimal("2.50"), None, "x"]}),
        ("JSON", "123456789012345678901234567890.5", Decimal("1.2345678901234568E+29")),  # SQLite rounds it
        ("JSON", '"abc"', "abc"),
        ("JSON", "5", 5),
        ("JSON", "null", None),
    ],
)
def test_declared_types(db: Database, declared: str, stored: Any, value: Any) -> None:
    db.app.execute(f"CREATE TABLE t(id INTEGER PRIMARY KEY, v {declared}, empty {declared})")
    db.app.execute("INSERT INTO t VALUES (1, ?, NULL)", (stored,))
    found = db.one("t", "v")
    assert (found, type(found)) == (value, type(value))
    assert db.one("t", "empty") is None


@pytest.mark.parametrize(
    ("declared", "stored", "kind"),
    [
        ("INTEGER", "abc", "text"),
        ("INTEGER", 1.5, "real"),
        ("TEXT", b"x", "blob"),
        ("BLOB", "x", "text"),
        ("REAL", "x", "text"),
        ("DECIMAL", "about 5", "text"),
        ("DECIMAL", math.inf, "real"),
        ("BOOLEAN", 2, "integer"),
        ("BOOLEAN", "true", "text"),
        ("DATE", "2024-02-30", "text"),
        ("DATE", 19782, "integer"),
        ("DATE", "2024-02-29 00:00", "text"),
        ("DATETIME", "2024-02-29", "text"),
        ("DATETIME", 1709195400, "integer"),
        ("DATETIME", "2024-02-29 09:30:00.1234567", "text"),
        ("DATETIME", "now", "text"),
        ("TIME", "24:00:01", "text"),
        ("UUID", "0B3F2A4E-0000-4000-8000-00000000000A", "text"),
        ("UUID", "0b3f2a4e00004000800000000000000a", "text"),
        ("JSON", "{", "text"),
        ("JSON", "NaN", "text"),
        ("STRING", 12, "integer"),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_it(
    db: Database, declared: str, stored: Any, kind: str
) -> None:
    db.app.execute(f"CREATE TABLE t(id INTEGER PRIMARY KEY, v {declared})")
    db.app.execute("INSERT INTO t VALUES (1, ?), (2, NULL)", (stored,))
    with pytest.raises(DataError, match=r"t\.v") as error:
        db.one("t", "v")
    assert error.value.remedy
    assert str(stored) not in str(error.value) or len(str(stored)) < 4, "errors do not show values"
    assert kind in str(error.value)
    assert db.one("t", "v", 2) is None, "another row is not harmed"


def test_text_that_is_no_utf8_is_an_error_without_the_text(db: Database) -> None:
    db.app.execute("CREATE TABLE t(id TEXT PRIMARY KEY, v TEXT)")
    db.app.execute(
        "INSERT INTO t VALUES ('a', CAST(x'736563726574ff' AS TEXT)), (CAST(x'61ff' AS TEXT), 'x')"
    )
    with pytest.raises(DataError, match="no UTF-8") as error:
        db.one("t", "v", "a")
    assert "secret" not in str(error.value)
    found = db.keys(t("id"), limit=1)
    assert len(found) == 2, "both rows have a key"
    with pytest.raises(DataError):
        db.one("t", "v", next(key for (key,) in found if key != "a"))


def test_keys_that_differ_in_case_are_two(db: Database) -> None:
    db.app.execute("CREATE TABLE t(id TEXT COLLATE NOCASE PRIMARY KEY, other TEXT COLLATE NOCASE)")
    db.app.execute("CREATE INDEX t_other ON t(other)")
    db.app.execute("INSERT INTO t VALUES ('Ann', 'X'), ('ben', 'x')")
    assert db.rows("t", "id", "id", "ann") == []
    assert db.rows("t", "id", "id", "Ann", "ann", "ANN") == [("Ann",)]
    assert db.rows("t", "id", "other", "x") == [("ben",)]
    db.app.execute("DROP INDEX t_other")
    assert db.rows("t", "id", "other", "x") == [("ben",)], "and so without an index"


@pytest.mark.parametrize(
    ("by", "value"), [("id", 1), ("code", "x"), ("a b", (1, "x")), ("a", 1), ("code a", ("x", 1))]
)
def test_rows_are_searched_by_an_index(db: Database, by: str, value: Any) -> None:
    db.app.execute(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, code TEXT COLLATE NOCASE UNIQUE, a INTEGER, b TEXT,"
        " UNIQUE (a, b))"
    )
    seen: list[str] = []
    with db.reader.snapshot() as snapshot:
        snapshot._connection.set_trace_callback(seen.append)
        snapshot.rows(Fetch("t", ("id",), tuple(by.split())), [value if type(value) is tuple else (value,)])
        snapshot._connection.set_trace_callback(None)
    (sql,) = [one for one in seen if one.startswith("WITH")]
    steps = [row[3] for row in db.app.execute(f"EXPLAIN QUERY PLAN {sql}")]
    assert any(step.startswith("SEARCH t USING") for step in steps), steps
    assert not any("AUTOMATIC" in step for step in steps)


def test_datetimes_are_found_in_each_of_their_texts(db: Database) -> None:
    db.app.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, at DATETIME)")
    texts = [
        "2024-02-29 09:30",
        "2024-02-29T09:30:00",
        "2024-02-29 09:30:00.000",
        "2024-02-29T09:30:00.000000",
    ]
    texts += ["2024-02-29 09:30:00Z", "2024-02-29 09:30+00:00"]
    db.app.executemany("INSERT INTO t(at) VALUES (?)", [(text,) for text in texts])
    local = dt.datetime.fromisoformat("2024-02-29T09:30:00")
    assert len(db.rows("t", "id", "at", local)) == 4
    assert len(db.rows("t", "id", "at", local.replace(tzinfo=dt.UTC))) == 2
    assert db.rows("t", "id", "at", local.replace(second=1)) == []


def test_a_schema_that_changes_between_snapshots(db: Database) -> None:
    db.app.executescript("CREATE TABLE t(id INTEGER PRIMARY KEY, v INTEGER); INSERT INTO t VALUES (1, 5)")
    assert db.one("t", "v") == 5
    db.app.executescript(
        "DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'x')"
    )
    assert db.one("t", "v") == "x"


def test_a_restored_file_is_read_and_not_the_old_one(db: Database, tmp_path: Path) -> None:
    db.app.executescript("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'old')")
    copy = sqlite3.connect(tmp_path / "copy.db", isolation_level=None)
    db.app.backup(copy)
    copy.execute("UPDATE t SET v = 'new'")
    copy.close()
    assert db.one("t", "v") == "old"
    os.replace(tmp_path / "copy.db", db.path)
    assert db.one("t", "v") == "new"


def test_what_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no SQLite database at"), SQLiteReader(tmp_path / "none").snapshot():
        pass
    (tmp_path / "text").write_text("no database at all, but long enough to look like one" * 100)
    with (
        pytest.raises(Refused, match="not a database") as refused,
        SQLiteReader(tmp_path / "text").snapshot(),
    ):
        pass
    assert refused.value.remedy


def test_a_locked_database_is_unreachable(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockstep.systems.sqlite.reader.BUSY_SECONDS", 0.05)
    db.app.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    db.app.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unreachable, match="lock") as error:
        db.rows("t", "id", "id", 1)
    assert error.value.retriable
    db.app.execute("ROLLBACK")
    assert db.rows("t", "id", "id", 1) == []


def test_a_reader_writes_nothing(db: Database) -> None:
    db.app.execute("CREATE TABLE t(id INTEGER PRIMARY KEY)")
    with db.reader.snapshot() as snapshot, pytest.raises(sqlite3.OperationalError, match="readonly"):
        snapshot._connection.execute("INSERT INTO t VALUES (1)")


def test_paths_with_odd_signs(tmp_path: Path) -> None:
    path = tmp_path / "a?b#c%20 ü.db"
    app = sqlite3.connect(path)
    app.executescript("CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)")
    app.close()
    source: Callable[[], SQLiteReader] = SQLite(path).reader
    reader = source()
    with reader.snapshot() as snapshot:
        assert snapshot.rows(Fetch("t", ("id",), ("id",)), [(1,)]) == [(1,)]
    reader.close()


@pytest.mark.parametrize(
    ("declared", "stored", "others"),
    [
        ("INTEGER", 1, ["1", True, b"1", Decimal("1.5"), 2**70]),
        ("TEXT", "1", [1, 1.0, True, b"1"]),
        ("BOOLEAN", 1, [1, 1.0, "1", "true", False]),
        ("DATE", "2024-02-29", ["2024-02-29", dt.datetime.fromisoformat("2024-02-29T00:00:00")]),
        ("UUID", "0b3f2a4e-0000-4000-8000-00000000000a", ["0b3f2a4e-0000-4000-8000-00000000000a"]),
        ("REAL", 0.1, [Decimal("0.1000000000000000055511151231257827"), "0.1"]),
        ("NUMERIC", 0.1, [Decimal("0.10000000000000001"), "0.1", Decimal("1e400"), Decimal("NaN")]),
        ("BLOB", b"a", ["a", 97]),
    ],
)
def test_a_value_of_another_type_finds_nothing(
    db: Database, declared: str, stored: Any, others: list[Any]
) -> None:
    db.app.execute(f"CREATE TABLE t(id INTEGER PRIMARY KEY, v {declared})")
    db.app.execute("CREATE INDEX t_v ON t(v)")
    db.app.execute("INSERT INTO t VALUES (1, ?)", (stored,))
    for other in others:
        assert db.rows("t", "id", "v", other) == [], repr(other)
    assert db.rows("t", "id", "v", db.one("t", "v")) == [(1,)]
