"""The keys of a SQLite table: every row has one, whatever it stores, and no order of an index loses any."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.systems.sqlite_reading import Database, t

from lockstep.errors import Refused
from lockstep.forms import keys
from lockstep.systems.sqlite import walk
from lockstep.values import EVERYTHING, Key, Span

NASTY: list[Any] = [
    0, 1, -1, 255, 256, -256, 2**53 + 1, -(2**63), 2**63 - 1, 0.1, -2.5, 1.5, 1e300, 5e-324,
    math.inf, -math.inf, 1e23, 4.611686018427388e18,
    "", " ", "a\0b", "\0", "a", "A", "12", "1e5", " 5", "é", "雪🎿", "\uffff",
    b"", b"\0\xff", b"text", b"\x80",
]  # fmt: skip


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    db = Database(tmp_path / "app.db")
    yield db
    db.close()


@pytest.mark.parametrize("declared", ["BLOB", "BIGINT", "TEXT", "NUMERIC", "REAL", "DATE", "BOOLEAN", "UUID"])
def test_every_row_has_a_key_by_which_it_is_found(db: Database, declared: str) -> None:
    db.app.execute(f"CREATE TABLE t(id {declared} PRIMARY KEY NOT NULL, n INTEGER)")
    nasty = [*NASTY, "2024-02-29", "0b3f2a4e-0000-4000-8000-00000000000a"]
    db.app.executemany("INSERT OR IGNORE INTO t VALUES (?, ?)", [(value, n) for n, value in enumerate(nasty)])
    (count,) = db.app.execute("SELECT count(*) FROM t").fetchone()
    found = db.keys(t("id"), limit=3)
    assert len(found) == count
    seen = set()
    for key in found:
        (row,) = db.rows("t", "n", "id", key)
        seen.add(row)
    assert len(seen) == count, "each key leads to its own row"
    if db.ordered(t("id")):
        encoded = [keys.encode(key) for key in found]
        assert encoded == sorted(encoded)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_spans_over_keys_of_any_class(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    db = Database(tmp_path_factory.mktemp("spans") / "app.db")
    declared = data.draw(st.sampled_from(["BLOB", "INTEGER", "TEXT", "NUMERIC", "REAL"]))
    values = st.one_of(
        st.sampled_from(NASTY), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text()
    )
    db.app.execute(f"CREATE TABLE t(a {declared}, b TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID")
    for a, b in data.draw(st.lists(st.tuples(values, st.text(max_size=2)), max_size=12)):
        try:
            db.app.execute("INSERT OR IGNORE INTO t VALUES (?, ?)", (a, b))
        except UnicodeEncodeError:
            continue
    every = db.keys(t("a", "b"))
    cuts = data.draw(
        st.lists(
            st.one_of(
                st.tuples(values, st.text(max_size=2)),
                st.tuples(values),
                st.tuples(st.dates(), st.text()),
                st.tuples(st.decimals(allow_nan=False, places=3), st.integers()),
            ).map(keys.encode),
            max_size=4,
        )
    )
    edges: list[Key | None] = [None, *sorted(cuts), None]
    parts = [db.keys(t("a", "b"), Span(after, upto), limit=2) for after, upto in pairwise(edges)]
    assert sum(parts, []) == every  # noqa: RUF017
    db.close()


@pytest.mark.parametrize(
    ("ddl", "ordered"),
    [
        ("CREATE TABLE t(a TEXT, b INTEGER, PRIMARY KEY (a, b))", True),
        ("CREATE TABLE t(a TEXT, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID", True),
        ("CREATE TABLE t(a TEXT COLLATE NOCASE, b INTEGER, PRIMARY KEY (a, b))", False),
        (
            "CREATE TABLE t(a TEXT COLLATE NOCASE, b INTEGER);"
            " CREATE UNIQUE INDEX i ON t(a COLLATE BINARY, b)",
            True,
        ),
        ("CREATE TABLE t(a TEXT, b INTEGER, PRIMARY KEY (a DESC, b))", False),
        ("CREATE TABLE t(a TEXT, b INTEGER, PRIMARY KEY (a DESC, b DESC)) WITHOUT ROWID", False),
        ("CREATE TABLE t(a TEXT, b INTEGER, PRIMARY KEY (b, a))", False),
        ("PRAGMA encoding = 'UTF-16le'; CREATE TABLE t(a TEXT, b INTEGER, PRIMARY KEY (a, b))", False),
        ("CREATE TABLE t(a TEXT, b DATE, PRIMARY KEY (a, b))", False),
    ],
)
@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_walks_in_every_order(
    db: Database, ddl: str, ordered: bool, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "LOOKED_AT", 7)
    db.app.executescript(ddl)
    names = ["", "a", "B", "b2", "C", "\uf900", "🎿", "ä"]
    wanted = [(name, number) for name in names for number in (-70000, -1, 0, 1, 300)]
    db.app.executemany("INSERT INTO t(a, b) VALUES (?, ?)", wanted)
    assert db.ordered(t("a", "b")) is ordered
    found = db.keys(t("a", "b"), limit=limit)
    assert sorted(found) == sorted(wanted)
    middle = Span(keys.encode(("C", -1)), keys.encode(("ä", 0)))
    inside = [key for key in wanted if middle.after < keys.encode(key) <= middle.upto]  # type: ignore[operator]
    assert sorted(db.keys(t("a", "b"), middle, limit)) == sorted(inside)


def test_a_page_never_sorts(db: Database) -> None:
    for ddl in (
        "CREATE TABLE t(a TEXT, b INTEGER, c COLLATE NOCASE, PRIMARY KEY (a, b))",
        "CREATE TABLE t(a TEXT, b INTEGER, PRIMARY KEY (b DESC, a))",
        "CREATE TABLE t(a TEXT COLLATE NOCASE, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID",
    ):
        db.app.execute("DROP TABLE IF EXISTS t")
        db.app.execute(ddl)
        db.app.execute("INSERT INTO t(a, b) VALUES ('a', 1), ('b', 2), ('c', 3)")
        statements: list[str] = []
        with db.reader.snapshot() as snapshot:
            snapshot._connection.set_trace_callback(statements.append)
            page = snapshot.keys(t("a", "b"), EVERYTHING, 1)
            assert page.rest is not None
            snapshot.keys(t("a", "b"), page.rest, 1)
            snapshot._connection.set_trace_callback(None)
        walked = [one for one in statements if "ORDER BY" in one]
        assert len(walked) == 3
        plans = [[row[3] for row in db.app.execute(f"EXPLAIN QUERY PLAN {sql}")] for sql in walked]
        assert not any("TEMP B-TREE" in step for plan in plans for step in plan), plans
        assert all(plan[0].startswith("SEARCH t USING") for plan in plans[1:]), plans


def test_a_cursor_of_another_index_begins_again(db: Database) -> None:
    db.app.execute("CREATE TABLE t(a TEXT COLLATE NOCASE PRIMARY KEY, b INTEGER)")
    db.app.executemany("INSERT INTO t VALUES (?, 1)", [(name,) for name in "aBcD"])
    with db.reader.snapshot() as snapshot:
        page = snapshot.keys(t("a"), EVERYTHING, 2)
    assert not page.ordered
    db.app.executescript("CREATE TABLE n(a TEXT COLLATE RTRIM PRIMARY KEY); INSERT INTO n SELECT a FROM t;")
    db.app.executescript("DROP TABLE t; ALTER TABLE n RENAME TO t")
    assert page.rest is not None
    assert len(db.keys(t("a"), page.rest)) == 4


def test_a_table_without_a_key_is_refused(db: Database) -> None:
    db.app.executescript(
        "CREATE TABLE t(a, b); CREATE UNIQUE INDEX t_a ON t(a) WHERE b; CREATE VIEW v AS SELECT * FROM t;"
    )
    with pytest.raises(Refused, match="no key of t") as refused:
        db.keys(t("a"))
    assert "CREATE UNIQUE INDEX" in refused.value.remedy
    with pytest.raises(Refused, match="view"):
        db.rows("v", "a", "a", 1)


def test_null_keys_are_no_keys(db: Database) -> None:
    db.app.execute("CREATE TABLE t(a TEXT, b INTEGER, PRIMARY KEY (a, b))")
    db.app.execute("INSERT INTO t VALUES (NULL, 1), ('x', NULL), ('y', 1)")
    assert db.keys(t("a", "b")) == [("y", 1)]
