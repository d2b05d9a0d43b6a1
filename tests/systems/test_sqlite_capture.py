"""Capture sees every way that SQLite has to change a row: each unique index, each kind of table."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.systems.sqlite_capture import Captured

from lockstep.forms import keys
from lockstep.values import Table

Open = Callable[..., Captured]


@pytest.fixture
def capture(tmp_path: Path) -> Iterator[Open]:
    opened: list[Captured] = []

    def open_(ddl: str, table: Table, **options: Any) -> Captured:
        opened.append(Captured(tmp_path / f"{len(opened)}.db", ddl, table, **options))
        return opened[-1]

    yield open_
    for one in opened:
        one.close()


def t(key: str = "id", joins: str = "j", name: str = "t") -> Table:
    return Table(name, (), tuple(key.split()), tuple(joins.split()))


def test_replace_under_each_kind_of_unique_index(capture: Open) -> None:
    one = capture(
        """
        CREATE TABLE t(id INTEGER PRIMARY KEY, j, a TEXT COLLATE NOCASE UNIQUE, b, c, d, e TEXT,
          UNIQUE (b, c));
        CREATE UNIQUE INDEX t_part ON t(d, j /* ) WHERE */) WHERE e IS NOT NULL -- only some
        ;
        CREATE UNIQUE INDEX "t lower" ON t(lower(e) COLLATE NOCASE DESC, coalesce(b, ',')) WHERE b > 100;
        INSERT INTO t VALUES (1, 'x', 'one', 1, 1, 1, NULL), (2, 'x', 'two', 1, 2, 2, 'E'),
          (3, 'x', NULL, 101, 1, 3, 'Lower'), (4, 'y', 'four', NULL, NULL, 2, 'E');
        """,
        t(),
    )
    assert one.keys("REPLACE INTO t(id, a) VALUES (9, 'ONE')") == [(1,), (9,)]
    assert one.keys("REPLACE INTO t(a, b, c) VALUES ('z', 1, 2)")[:1] == [(2,)]
    assert one.keys("REPLACE INTO t(id, d, j, e) VALUES (20, 2, 'y', 'new')") == [(4,), (20,)]
    assert one.keys("REPLACE INTO t(id, d, j) VALUES (21, 2, 'y')") == [(20,), (21,)], "a hint too many"
    assert one.keys("REPLACE INTO t(id, b, e) VALUES (22, 101, 'LOWER')") == [(3,), (22,)]
    assert one.app.execute("SELECT count(*) FROM t WHERE id = 20").fetchone() == (1,)


def test_an_update_that_enters_a_partial_index_replaces(capture: Open) -> None:
    one = capture(
        """
        CREATE TABLE t(id INTEGER PRIMARY KEY, j, email TEXT, gone INTEGER);
        CREATE UNIQUE INDEX t_email ON t(email) WHERE gone = 0;
        INSERT INTO t VALUES (1, 1, 'a', 0), (2, 2, 'a', 1), (3, 3, 'b', 0);
        """,
        t(),
    )
    assert one.keys("UPDATE OR REPLACE t SET gone = 0 WHERE id = 2") == [(1,), (2,)]
    assert one.app.execute("SELECT id FROM t ORDER BY id").fetchall() == [(2,), (3,)]
    assert one.keys("UPDATE t SET j = 7 WHERE id = 2") == [(2,)], "a row is not in its own way"


def test_the_rows_in_the_way_are_searched_not_scanned(capture: Open) -> None:
    one = capture(
        """
        CREATE TABLE t(id INTEGER PRIMARY KEY, j, email TEXT, gone INTEGER, a TEXT COLLATE NOCASE UNIQUE);
        CREATE UNIQUE INDEX t_email ON t(email) WHERE gone = 0;
        CREATE UNIQUE INDEX t_lower ON t(lower(email), j);
        """,
        t(),
    )
    found = one.app.execute(
        "SELECT sql FROM sqlite_master WHERE type = 'trigger' AND name LIKE '%replace_insert'"
    ).fetchone()
    statements = found[0].partition("BEGIN")[2].rpartition("END")[0].split(";")[:-1]
    assert len(statements) == 4
    for statement in statements:
        select = re.sub(r'NEW\."?\w+"?', "?1", statement[statement.index("SELECT") :])
        steps = [row[3] for row in one.app.execute(f"EXPLAIN QUERY PLAN {select}", (1,))]
        assert any(step.startswith("SEARCH t USING") for step in steps), (steps, select)


def test_defaults_that_replace_puts_for_null(capture: Open) -> None:
    one = capture(
        """
        CREATE TABLE t(id INTEGER PRIMARY KEY, j, slot TEXT NOT NULL DEFAULT 'main' UNIQUE);
        INSERT INTO t VALUES (1, 1, 'main'), (2, 2, 'side');
        """,
        t(),
    )
    assert one.keys("INSERT OR REPLACE INTO t VALUES (3, 3, NULL)") == [(1,), (3,)]
    assert one.keys("UPDATE OR REPLACE t SET slot = NULL WHERE id = 2") == [(2,), (3,)]


def test_conflict_clauses_of_the_schema(capture: Open) -> None:
    one = capture(
        """
        CREATE TABLE t(id INTEGER PRIMARY KEY ON CONFLICT REPLACE, j, a UNIQUE ON CONFLICT REPLACE);
        INSERT INTO t VALUES (1, 1, 'a'), (2, 2, 'b');
        """,
        t(),
    )
    assert one.keys("INSERT INTO t VALUES (1, 5, 'b')") == [(1,), (2,)]
    assert one.keys("INSERT INTO t VALUES (NULL, 6, 'b')") == [(1,), (2,)]


def test_generated_columns(capture: Open) -> None:
    one = capture(
        """
        CREATE TABLE t(id INTEGER PRIMARY KEY, j TEXT AS (upper(name)) STORED, name TEXT,
          low TEXT AS (lower(name)) VIRTUAL UNIQUE);
        INSERT INTO t(id, name) VALUES (1, 'Ann'), (2, 'Ben');
        """,
        t(),
    )
    assert one.keys("INSERT OR REPLACE INTO t(id, name) VALUES (3, 'ANN')") == [(1,), (3,)]
    assert one.keys("UPDATE OR REPLACE t SET name = 'bEn' WHERE id = 3") == [(2,), (3,)]


def test_without_rowid(capture: Open) -> None:
    one = capture(
        """
        CREATE TABLE t(a TEXT, b INTEGER, j, u UNIQUE, PRIMARY KEY (a DESC, b)) WITHOUT ROWID;
        INSERT INTO t VALUES ('x', 1, 'j1', 1), ('x', 2, 'j2', 2), ('y', 1, 'j3', 3);
        """,
        t("a b"),
    )
    assert one.keys("REPLACE INTO t VALUES ('x', 1, 'new', 2)") == [("x", 1), ("x", 2)]
    assert one.keys("UPDATE OR REPLACE t SET a = 'x', b = 1 WHERE a = 'y'") == [("x", 1), ("y", 1)]
    assert one.keys("DELETE FROM t") == [("x", 1)]


def test_a_rowid_table_whose_key_is_text(capture: Open) -> None:
    one = capture(
        "CREATE TABLE t(id TEXT PRIMARY KEY, j); INSERT INTO t VALUES ('a', 1), ('b', 2), ('c', 3);", t()
    )
    assert one.keys("INSERT OR REPLACE INTO t(rowid, id, j) VALUES (2, 'new', 9)") == [("b",), ("new",)]
    assert one.keys("UPDATE OR REPLACE t SET oid = 1 WHERE id = 'c'") == [("a",), ("c",)]
    assert one.keys("VACUUM") == []


def test_a_column_named_rowid(capture: Open) -> None:
    one = capture(
        "CREATE TABLE t(rowid TEXT PRIMARY KEY, j); INSERT INTO t VALUES ('a', 1), ('b', 2);", t("rowid")
    )
    assert one.keys("INSERT OR REPLACE INTO t(_rowid_, rowid, j) VALUES (2, 'new', 9)") == [("b",), ("new",)]


def test_key_column_that_folds_case(capture: Open) -> None:
    one = capture(
        "CREATE TABLE t(id TEXT PRIMARY KEY COLLATE NOCASE, j); INSERT INTO t VALUES ('a', 1), ('b', 2);", t()
    )
    assert one.keys("REPLACE INTO t VALUES ('A', 3)") == [("A",), ("a",)]
    assert one.keys("UPDATE t SET id = 'B' WHERE id = 'b'") == [("B",), ("b",)]


def test_an_index_that_compares_otherwise_than_its_column(capture: Open) -> None:
    one = capture(
        """
        CREATE TABLE t(id INTEGER PRIMARY KEY, j, a TEXT COLLATE NOCASE, b TEXT);
        CREATE UNIQUE INDEX t_a ON t(a COLLATE BINARY);
        CREATE UNIQUE INDEX t_b ON t(b COLLATE NOCASE);
        INSERT INTO t VALUES (1, 1, 'x', 'x'), (2, 2, 'X', 'y');
        """,
        t(),
    )
    assert one.keys("UPDATE OR REPLACE t SET b = 'X' WHERE id = 2") == [(1,), (2,)]
    assert one.keys("INSERT INTO t VALUES (3, 3, 'x', 'z')") == [(3,)]
    assert one.keys("UPDATE OR REPLACE t SET a = 'X' WHERE id = 3") == [(2,), (3,)]


def test_nulls_in_a_unique_index_stand_in_nobodys_way(capture: Open) -> None:
    one = capture(
        "CREATE TABLE t(id INTEGER PRIMARY KEY, j, u UNIQUE); INSERT INTO t VALUES (1, 1, NULL);", t()
    )
    assert one.keys("INSERT INTO t VALUES (2, 2, NULL)") == [(2,)]


def test_a_key_that_becomes_null_and_back(capture: Open) -> None:
    one = capture("CREATE TABLE t(id TEXT PRIMARY KEY, j); INSERT INTO t VALUES ('a', 1);", t())
    assert one.keys("UPDATE t SET id = NULL") == [("a",)]
    assert one.keys("INSERT INTO t VALUES (NULL, 2)") == []
    assert one.keys("UPDATE t SET id = 'b' WHERE j = 1") == [("b",)]


@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_triggers_of_the_application(capture: Open, recursive: str) -> None:
    one = capture(
        """
        CREATE TABLE t(id INTEGER PRIMARY KEY, j, u UNIQUE, touched INTEGER DEFAULT 0);
        CREATE TABLE other(id INTEGER PRIMARY KEY);
        INSERT INTO t(id, j, u) VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3);
        CREATE TRIGGER touch AFTER UPDATE OF j ON t BEGIN UPDATE t SET touched = 1 WHERE id = NEW.id; END;
        CREATE TRIGGER push AFTER INSERT ON other BEGIN
          INSERT OR REPLACE INTO t(id, j, u) VALUES (NEW.id + 10, 'pushed', 1); END;
        CREATE TRIGGER drop_ AFTER DELETE ON other BEGIN DELETE FROM t WHERE id = OLD.id; END;
        CREATE TRIGGER wipe BEFORE INSERT ON t WHEN NEW.j = 'wipe' BEGIN DELETE FROM t; END;
        """,
        t(),
        pragmas=[f"recursive_triggers = {recursive}"],
    )
    assert one.keys("UPDATE t SET j = 'x' WHERE id = 2") == [(2,)]
    assert one.keys("INSERT INTO other VALUES (3)") == [(1,), (13,)]
    assert one.keys("DELETE FROM other") == [(3,)]
    assert one.keys("INSERT INTO t(id, j) VALUES (50, 'wipe')") == [(2,), (13,), (50,)]


def test_the_application_sees_nothing_of_capture(capture: Open) -> None:
    one = capture("CREATE TABLE t(id INTEGER PRIMARY KEY, j, u UNIQUE)", t())
    cursor = one.app.execute("INSERT INTO t(j, u) VALUES (1, 1)")
    assert (cursor.lastrowid, cursor.rowcount) == (1, 1)
    assert one.app.execute("SELECT last_insert_rowid(), changes()").fetchone() == (1, 1)
    assert one.app.execute("REPLACE INTO t(j, u) VALUES (1, 1) RETURNING id").fetchall() == [(2,)]
    assert one.app.execute("UPDATE t SET j = 3").rowcount == 1


def test_another_program_that_attaches_the_database(capture: Open, tmp_path: Path) -> None:
    one = capture("CREATE TABLE t(id INTEGER PRIMARY KEY, j)", t())
    other = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    other.execute("ATTACH ? AS app", (str(one.path),))
    other.execute("INSERT INTO app.t VALUES (1, 1)")
    other.close()
    assert [hint.key for hint in one.catch()] == [keys.encode((1,))]


SQL_OF_A_WALK = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "INSERT OR REPLACE INTO t(id, j, a, b, c) VALUES (:x, :y, :z, :x, :y)",
                "REPLACE INTO t(j, a, b, c) VALUES (:x, :z, :y, :x)",
                "INSERT INTO t(id, j, a) VALUES (:x, :y, :z) ON CONFLICT (a) DO UPDATE SET id = :x + 3",
                "INSERT INTO t(id, j, a) VALUES (:x, :y, :z) ON CONFLICT DO NOTHING",
                "INSERT INTO t(id, j, a) VALUES (:x, :y, :z)",
                "UPDATE OR REPLACE t SET id = id + :x, j = :z",
                "UPDATE OR REPLACE t SET a = :z WHERE id >= :x",
                "UPDATE OR REPLACE t SET b = :x, c = :y WHERE j = :y OR id < :z",
                "UPDATE OR IGNORE t SET id = :x WHERE id < :y",
                "UPDATE OR FAIL t SET id = :x WHERE id < :y",
                "UPDATE OR REPLACE t SET rowid = :x WHERE id = :y",
                "UPDATE t SET j = :z",
                "DELETE FROM t WHERE id = :x OR a = :z",
                "DELETE FROM t",
            ]
        ),
        st.fixed_dictionaries({name: st.integers(0, 6) for name in "xyz"}),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(SQL_OF_A_WALK, st.booleans())
def test_any_statements_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, walk: list[tuple[str, dict[str, int]]], together: bool
) -> None:
    one = Captured(
        tmp_path_factory.mktemp("walk") / "app.db",
        """
        CREATE TABLE t(id INTEGER PRIMARY KEY, j, a UNIQUE, b, c, UNIQUE (b, c));
        CREATE UNIQUE INDEX t_part ON t(j, b) WHERE c > 2;
        CREATE UNIQUE INDEX t_sum ON t(b + c) WHERE a < 3;
        INSERT INTO t VALUES (1, 1, 1, 1, 1), (2, 2, 2, 2, 2), (3, 3, 3, 3, 3);
        """,
        t(),
        pragmas=["journal_mode = wal"],
    )
    try:
        before = one.image()
        if together:
            one.app.execute("BEGIN")
        hints = []
        for sql, values in walk:
            with contextlib.suppress(sqlite3.IntegrityError):
                one.app.execute(sql, values)
            if not together:
                hints = one.catch()
                after = one.image()
                one.assert_told(before, after, hints, sql)
                before = after
        if together:
            one.app.execute("COMMIT")
            one.assert_told(before, one.image(), one.catch(), str(walk))
    finally:
        one.close()
