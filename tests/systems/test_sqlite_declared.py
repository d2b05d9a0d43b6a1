"""What a SQLite file says of itself: check, catalog, keys as typed. And the formats of its hashes."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lockstep.catalog import CatalogColumn, CatalogReference
from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.ports import Feed, Reader
from lockstep.systems.sqlite import SQLite, index_sql, sums
from lockstep.values import EVERYTHING, Finding, Table

Make = Callable[..., SQLite]

GOLDEN = (-1970711489451281740, -3703926115035804277, -225116800397215738, -2201192414989715475)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    apps = []

    def make(ddl: str, journal: str = "wal") -> SQLite:
        app = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
        apps.append(app)
        app.execute(f"PRAGMA journal_mode = {journal}")
        app.executescript(ddl)
        return SQLite(tmp_path / "app.db")

    yield make
    for app in apps:
        app.close()


def problems(source: SQLite, *tables: Table) -> dict[str, Finding]:
    return {finding.subject: finding for finding in source.check(tables)}


def test_a_source_is_named_by_its_path_and_opens_nothing(tmp_path: Path) -> None:
    source = SQLite("some/app.db")
    assert source.name == "sqlite:some/app.db"
    assert repr(source) == "SQLite('some/app.db')"
    assert isinstance(source.reader(), Reader)
    assert isinstance(source.feed(), Feed)


class TestCheck:
    def test_nothing_to_say(self, make: Make) -> None:
        source = make(
            "CREATE TABLE t(id INTEGER PRIMARY KEY, j REFERENCES t, v TEXT); CREATE INDEX tj ON t(j)"
        )
        source = make("CREATE TABLE u(id INTEGER PRIMARY KEY, j INTEGER, v JSON); CREATE INDEX uj ON u(j)")
        assert source.check([Table("u", ("id", "j", "v"), ("id",), ("j",))]) == []

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        (finding,) = SQLite(tmp_path / "none.db").check([])
        assert finding.blocks
        assert "no such file" in finding.problem

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
    def test_a_file_that_cannot_be_written(self, make: Make, tmp_path: Path) -> None:
        source = make("CREATE TABLE t(id INTEGER PRIMARY KEY)")
        (tmp_path / "app.db").chmod(0o400)
        assert any("cannot be written" in finding.problem for finding in source.check([]))

    def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("something else, for a whole page" * 100)
        (finding,) = SQLite(tmp_path / "text").check([])
        assert finding.blocks
        assert "not a database" in finding.problem

    def test_names_that_were_perhaps_meant(self, make: Make) -> None:
        source = make("CREATE TABLE users(id INTEGER PRIMARY KEY, email TEXT)")
        found = problems(source, Table("user", ("id",), ("id",)), Table("users", ("id", "e_mail"), ("id",)))
        assert found["user"].mend == "Did you mean 'users'?"
        assert found["users.e_mail"].mend == "Did you mean 'email'?"
        assert all(finding.blocks for finding in found.values())

    def test_keys(self, make: Make) -> None:
        source = make(
            """
            CREATE TABLE none(id INTEGER, a TEXT);
            CREATE TABLE nulls(id TEXT PRIMARY KEY); INSERT INTO nulls VALUES (NULL), ('x');
            CREATE TABLE fine(id TEXT PRIMARY KEY); INSERT INTO fine VALUES ('x');
            CREATE TABLE folds(id TEXT PRIMARY KEY COLLATE NOCASE);
            CREATE TABLE part(a INTEGER, b INTEGER, PRIMARY KEY (a, b));
            """
        )
        tables = [
            Table("none", ("id",), ("id",)),
            Table("nulls", ("id",), ("id",)),
            Table("fine", ("id",), ("id",)),
            Table("folds", ("id",), ("id",)),
            Table("part", ("a",), ("a",)),
        ]
        found = problems(source, *tables)
        assert found.keys() == {"none(id)", "nulls(id)", "folds(id)", "part(a)"}
        assert found["none(id)"].mend == 'CREATE UNIQUE INDEX "none_key" ON "none"("id");'
        assert "null in 1 row" in found["nulls(id)"].problem
        assert not found["folds(id)"].blocks
        assert found["part(a)"].blocks

    def test_a_column_without_a_type_that_refers_to_numbers_by_texts(
        self, make: Make, tmp_path: Path
    ) -> None:
        """SQLite finds the child that says '5', as its foreign keys do; Lockstep would not, unnoticed."""
        source = make(
            """
            CREATE TABLE users(id INTEGER PRIMARY KEY);
            CREATE TABLE notes(id INTEGER PRIMARY KEY, user_id REFERENCES users(id));
            CREATE INDEX by_user ON notes(user_id);
            INSERT INTO users VALUES (5);
            INSERT INTO notes VALUES (1, 5), (2, NULL), (3, 'nobody'), (4, x'35');
            """
        )
        meets = (("user_id", "users", "id"),)
        notes = Table("notes", ("id", "user_id"), ("id",), ("user_id",), meets=meets)
        assert [finding for finding in source.check([notes]) if finding.blocks] == []
        with contextlib.closing(source.reader()) as reader, reader.snapshot() as snapshot:
            assert len(snapshot.keys(notes, EVERYTHING, 9).keys) == 4
        app = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
        app.execute("INSERT INTO notes VALUES (6, '5')")
        assert app.execute("SELECT n.id FROM notes n JOIN users u ON n.user_id = u.id").fetchall() == [
            (1,),
            (6,),
        ]
        app.close()
        (finding,) = (finding for finding in source.check([notes]) if finding.blocks)
        assert finding.subject == "notes.user_id"
        assert "the text '5'" in finding.problem

    def test_a_collation_that_only_the_application_has(self, make: Make, tmp_path: Path) -> None:
        app = sqlite3.connect(tmp_path / "app.db", isolation_level=None)
        app.create_collation("local", lambda a, b: (a > b) - (a < b))
        app.execute("CREATE TABLE t(id TEXT PRIMARY KEY COLLATE local)")
        app.close()
        found = problems(SQLite(tmp_path / "app.db"), Table("t", ("id",), ("id",)))
        assert "only the application has" in found["t(id)"].problem

    def test_columns(self, make: Make) -> None:
        source = make(
            """
            CREATE TABLE t(id INTEGER PRIMARY KEY, a, at DATETIME, doc JSON, ok TEXT, place POINT);
            INSERT INTO t(at) VALUES ('2024-01-01 00:00:00+02:00');
            """
        )
        table = Table("t", ("id", "a", "place", "ok"), ("id",), ("at", "doc"))
        found = [(finding.subject, finding.blocks) for finding in source.check([table])]
        assert sorted(found) == [
            ("t.at", False),  # no index
            ("t.at", True),  # times with an offset
            ("t.doc", False),
            ("t.doc", True),
        ]

    def test_times_in_a_key_are_spelled_in_one_way(self, make: Make) -> None:
        source = make(
            """
            CREATE TABLE t(at DATETIME PRIMARY KEY NOT NULL);
            INSERT INTO t VALUES ('2024-01-01 00:00:00'), ('2024-01-02 00:00:00');
            """
        )
        table = Table("t", ("at",), ("at",))
        assert source.check([table]) == []
        make("INSERT INTO t VALUES ('2024-01-01T00:00:00')")
        assert "spells its times" in problems(source, table)["t.at"].problem

    def test_a_join_column_without_an_index(self, make: Make) -> None:
        source = make("CREATE TABLE t(id INTEGER PRIMARY KEY, owner INTEGER)")
        (finding,) = source.check([Table("t", ("id",), ("id",), ("owner",))])
        assert not finding.blocks
        assert finding.mend == 'CREATE INDEX "t_owner" ON "t"("owner");'

    def test_a_rollback_journal_is_said(self, make: Make) -> None:
        source = make("CREATE TABLE t(id INTEGER PRIMARY KEY)", journal="delete")
        (finding,) = source.check([Table("t", ("id",), ("id",))])
        assert not finding.blocks
        assert "WAL" in finding.mend

    def test_two_declarations_of_one_table(self, make: Make) -> None:
        source = make("CREATE TABLE t(id INTEGER PRIMARY KEY)")
        findings = source.check([Table("t", ("id",), ("id",)), Table("T", ("id",), ("id",))])
        assert any("also declared" in finding.problem for finding in findings)


class TestCatalog:
    def test_tables_columns_keys_and_references(self, make: Make) -> None:
        source = make(
            """
            CREATE TABLE regions(country TEXT, number INTEGER, PRIMARY KEY (country, number)) WITHOUT ROWID;
            CREATE TABLE "Odd Table"(
              id INTEGER PRIMARY KEY, price DECIMAL(10, 2) NOT NULL, at DATETIME, what,
              c TEXT, n INTEGER, parent INTEGER REFERENCES "odd table", gone INTEGER REFERENCES nowhere(id),
              FOREIGN KEY (c, n) REFERENCES regions(COUNTRY, number));
            CREATE TABLE heap(a TEXT NOT NULL UNIQUE, b TEXT UNIQUE);
            CREATE TABLE _lockstep_anything(a);
            CREATE VIEW v AS SELECT 1;
            INSERT INTO regions VALUES ('de', 1), ('de', 2);
            """
        )
        catalog = source.catalog()
        assert catalog.system == source.name
        tables = {table.name: table for table in catalog.tables}
        assert tables.keys() == {"regions", "Odd Table", "heap"}
        assert (tables["regions"].key, tables["regions"].rows) == (("country", "number"), 2)
        odd = tables["Odd Table"]
        assert odd.key == ("id",)
        assert odd.columns[:4] == (
            CatalogColumn("id", "INTEGER", "int", False),
            CatalogColumn("price", "DECIMAL(10, 2)", "Decimal", False),
            CatalogColumn("at", "DATETIME", "dt.datetime", True),
            CatalogColumn("what", "", "Any", True),
        )
        assert set(odd.references) == {
            CatalogReference(("c", "n"), "regions", ("country", "number")),
            CatalogReference(("parent",), "Odd Table", ("id",)),
        }
        assert tables["heap"].key == ("a",)
        assert all(table.exact for table in catalog.tables)

    def test_capture_does_not_show(self, make: Make) -> None:
        source = make("CREATE TABLE t(id INTEGER PRIMARY KEY)")
        before = source.catalog()
        feed = source.feed()
        feed.prepare([Table("t", ("id",), ("id",))], None)
        feed.close()
        assert source.catalog() == before


class TestKeysAsTyped:
    def test_each_type(self, make: Make) -> None:
        source = make(
            "CREATE TABLE t(i INTEGER, s TEXT, d DECIMAL, b BOOLEAN, x BLOB, day DATE, at DATETIME, u UUID,"
            " f REAL, PRIMARY KEY (i, s, d, b, x, day, at, u, f))"
        )
        columns = ("i", "s", "d", "b", "x", "day", "at", "u", "f")
        typed = ["5", "a|b", "1.50", "true", "00ff", "2024-02-29", "2024-02-29T09:30:00"]
        typed += ["0b3f2a4e-0000-4000-8000-00000000000a", "0.5"]
        (key,) = source.parse_keys(Table("t", columns, columns), [typed])
        assert not isinstance(key, DataError)
        assert keys.split_text(keys.text(key)) == (*typed[:2], "1.5", *typed[3:])

    @pytest.mark.parametrize(
        ("declared", "text"),
        [("INTEGER", "x"), ("BOOLEAN", "maybe"), ("DECIMAL", "x"), ("BLOB", "xyz"), ("", "x")],
    )
    def test_what_is_no_key(self, make: Make, declared: str, text: str) -> None:
        source = make(f"CREATE TABLE t(id {declared} PRIMARY KEY)")
        error, other = source.parse_keys(Table("t", ("id",), ("id",)), [[text], ["1", "2"]])
        assert isinstance(error, DataError)
        assert "is no key of t" in str(error)
        assert error.remedy
        assert "has 1 parts, not 2" in str(other)


class TestSums:
    """Golden vectors: another value is another format."""

    def test_canonical_text(self) -> None:
        values = (None, "", "a;3:é\0", 42, -(2**63), 0.1, -0.0, math.inf, 1e300, b"", b"\0\xff")
        assert sums.canonical_text(values) == (
            "n;t0:t6:a;3:é\0i42;i-9223372036854775808;r0.1;r0.0;rinf;r1e+300;b0:b2:00ff"
        )

    def test_hashes(self) -> None:
        assert sums.FORMAT == 1
        assert sums.row_hash() == GOLDEN[0]
        assert sums.row_hash(None) == GOLDEN[1]
        assert sums.row_hash("") == GOLDEN[2]
        assert sums.row_hash(1, "Ann", None, 0.1, b"\0") == GOLDEN[3]

    def test_sql_says_the_same(self) -> None:
        connection = sqlite3.connect(":memory:")
        sums.register(connection)
        (found,) = connection.execute("SELECT lockstep_hash(1, 'Ann', NULL, 0.1, x'00')").fetchone()
        connection.close()
        assert found == GOLDEN[3]


@pytest.mark.parametrize(
    ("sql", "parts", "predicate"),
    [
        ("CREATE INDEX i ON t(a)", ["a"], None),
        ('CREATE UNIQUE INDEX "i(" ON "t)" ( "a,(" , b DESC )', ['"a,("', "b"], None),
        ("CREATE INDEX i ON t(lower(a), b COLLATE NOCASE ASC)", ["lower(a)", "b"], None),
        ("CREATE INDEX i ON t(a) WHERE b = 'WHERE )' -- end", ["a"], "b = 'WHERE )' -- end"),
        (
            "CREATE INDEX i ON t(a /* ) */, [b)]) where (c, d) > (1, 2)",
            ["a /* ) */", "[b)]"],
            "(c, d) > (1, 2)",
        ),
        ("CREATE INDEX i -- (x)\nON t(coalesce(a, ')') collate \"rtrim\")", ["coalesce(a, ')')"], None),
        ("CREATE INDEX wherever ON nowhere(where_ + 1)WHERE a", ["where_ + 1"], "a"),
    ],
)
def test_the_text_of_an_index(sql: str, parts: list[str], predicate: str | None) -> None:
    assert index_sql.split(sql) == (parts, predicate)
