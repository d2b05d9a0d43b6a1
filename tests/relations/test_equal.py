"""A child finds its parent wherever the database says that it has one, or nothing begins and it says why."""

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

import lockstep as ls
from lockstep.ports import Source
from tests.support.world import run_quickly

Execute = Callable[..., list[tuple[Any, ...]]]

TRUTH = """SELECT c.id, p.name, (SELECT count(*) FROM {0}.children d WHERE d.parent_id = p.id)
FROM {0}.children c LEFT JOIN {0}.parents p ON p.id = c.parent_id ORDER BY c.id"""


def pipeline(root: Path, source: Source, schema: str, parent: type, child: type) -> ls.Pipeline:
    """Children with their parent and how many children that has: both ways of one relation."""
    prefix = "" if schema == "main" else f"{schema}."

    class Parent(ls.Model, table=f"{prefix}parents"):
        id: parent = ls.key()  # type: ignore[valid-type]
        name: str

    class Child(ls.Model, table=f"{prefix}children"):
        id: int = ls.key()
        parent_id: child | None = ls.ref("Parent.id")  # type: ignore[valid-type]

    class Family(Parent):
        children: list[Child]

    class Whole(Child):
        parent: Family | None

    made = ls.Pipeline("equal", state=root / "state")
    columns = {"id": "INTEGER", "parent": "TEXT", "siblings": "INTEGER"}

    @made.mapping(source, to=ls.SQLite(root / "out.db").table("children", columns=columns), version="1")
    def children(one: Whole) -> dict[str, object]:
        siblings = len(one.parent.children) if one.parent else 0
        return {"id": one.id, "parent": one.parent and one.parent.name, "siblings": siblings}

    return made


def held(root: Path) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(root / "out.db")) as out:
        return out.execute("SELECT id, parent, siblings FROM children ORDER BY id").fetchall()


def every_change_arrives(
    made: ls.Pipeline, execute: Execute, root: Path, schema: str, forms: Sequence[str]
) -> None:
    """`forms`: of one key, as the parent has it and as two children spell it."""
    parent, first, second = forms
    steps = [
        (
            f"INSERT INTO {schema}.parents VALUES ({parent}, 'one')",
            f"INSERT INTO {schema}.children VALUES (1, {first})",
        ),
        (f"UPDATE {schema}.parents SET name = 'renamed'",),
        (f"INSERT INTO {schema}.children VALUES (2, {second})",),
        (f"UPDATE {schema}.children SET parent_id = NULL WHERE id = 2",),
        (f"UPDATE {schema}.children SET parent_id = {second} WHERE id = 2",),
        (f"DELETE FROM {schema}.children WHERE id = 2",),
    ]
    for statements in steps:
        for statement in statements:
            execute(statement)
        assert run_quickly(made).stopped == {}
        truth = execute(TRUTH.format(schema))
        assert truth[0][2] in (1, 2), "the database does not see the relation that is tested"
        assert held(root) == truth, statements
    report = ls.verify(made, "children", method="deep")
    assert report.agreement, report.divergences


def nothing_begins(made: ls.Pipeline, root: Path, said: str) -> None:
    findings = [one for one in ls.check(made) if one.blocks]
    assert findings
    assert any(said in f"{one.subject}: {one.problem}" for one in findings), findings
    assert all(one.mend for one in findings)
    with pytest.raises(ls.Refused, match="equal"):
        run_quickly(made)
    assert not (root / "out.db").exists() or held(root) == []


class Postgres:
    """A schema with a parent and a child table in a database, in each case with types of its own."""

    @pytest.fixture
    def execute(self, postgres_url: str) -> Execute:
        return self.executing(postgres_url)

    @staticmethod
    def executing(url: str) -> Execute:
        def execute(statement: str) -> list[tuple[Any, ...]]:
            with psycopg.connect(url, autocommit=True) as connection:
                cursor = connection.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []

        return execute

    @staticmethod
    def make(execute: Execute, parent: str, child: str) -> None:
        execute(f"CREATE TABLE parents (id {parent} PRIMARY KEY, name text)")
        execute(f"CREATE TABLE children (id int PRIMARY KEY, parent_id {child} REFERENCES parents)")
        execute("ALTER TABLE children REPLICA IDENTITY FULL")


class TestPostgres(Postgres):
    @pytest.mark.parametrize(
        ("parent", "child", "python", "forms"),
        [
            ("bigint", "smallint", (int, int), ("1", "1", "1")),
            ("numeric", "int", (Decimal, int), ("1.00", "1", "1")),
            ("numeric", "numeric", (Decimal, Decimal), ("1.0", "1.00", "1.000")),
            ("numeric(9,4)", "numeric", (Decimal, Decimal), ("0.1", "0.1", "0.10")),
            ("numeric", "numeric", (Decimal, Decimal), ("'NaN'", "'NaN'", "'NaN'")),
            ("float8", "float8", (float, float), ("'-0'", "0", "'-0'")),
            ("float8", "float8", (float, float), ("0.1", "0.1", "1e-1")),
            ("char(6)", "char(4)", (str, str), ("'ab'", "'ab  '", "'ab'")),
            ("varchar(9)", "text", (str, str), ("'Ab '", "'Ab '", "'Ab '")),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_is_equal_is_found(
        self,
        execute: Execute,
        tmp_path: Path,
        postgres_url: str,
        parent: str,
        child: str,
        python: tuple[type, type],
        forms: tuple[str, ...],
    ) -> None:
        self.make(execute, parent, child)
        source = ls.Postgres(postgres_url, slot=postgres_url.rpartition("/")[2])
        made = pipeline(tmp_path, source, "public", *python)
        every_change_arrives(made, execute, tmp_path, "public", forms)

    @pytest.mark.parametrize(
        ("parent", "child", "python", "forms"),
        [
            ("float8", "float4", (float, float), ("0.1::float4", "0.1")),
            ("float8", "numeric", (float, Decimal), ("0.1", "0.10000000000000000001")),
            ("float8", "bigint", (float, int), ("9007199254740992", "9007199254740993")),
            ("char(4)", "text", (str, str), ("'ab'", "'ab  '")),
            ("timestamptz", "timestamp", (dt.datetime, dt.datetime), ("'2026-01-01'", "'2026-01-01'")),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_only_the_database_takes_for_equal_is_refused(
        self,
        execute: Execute,
        tmp_path: Path,
        postgres_url: str,
        parent: str,
        child: str,
        python: tuple[type, type],
        forms: tuple[str, ...],
    ) -> None:
        self.make(execute, parent, child)
        execute(f"INSERT INTO parents VALUES ({forms[0]}, 'one')")
        execute(f"INSERT INTO children VALUES (1, {forms[1]})")
        source = ls.Postgres(postgres_url, slot=postgres_url.rpartition("/")[2])
        nothing_begins(
            pipeline(tmp_path, source, "public", *python), tmp_path, "public.children.parent_id: it is"
        )

    @pytest.mark.parametrize("kind", ["citext", "text COLLATE ci"])
    def test_texts_that_do_not_compare_by_bytes_are_refused(
        self, tmp_path: Path, postgres15_url: str, kind: str
    ) -> None:
        execute = self.executing(postgres15_url)
        if kind == "citext":
            execute("CREATE EXTENSION citext")
        else:
            execute("CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        self.make(execute, kind, kind)
        execute("INSERT INTO parents VALUES ('ab', 'one')")
        execute("INSERT INTO children VALUES (1, 'AB')")
        source = ls.Postgres(postgres15_url, slot=postgres15_url.rpartition("/")[2])
        nothing_begins(pipeline(tmp_path, source, "public", str, str), tmp_path, "for equal")


class TestSQLite:
    @pytest.fixture
    def execute(self, tmp_path: Path) -> Execute:
        def execute(statement: str) -> list[tuple[Any, ...]]:
            with contextlib.closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as connection:
                connection.execute("PRAGMA foreign_keys = ON")
                return connection.execute(statement).fetchall()

        execute("PRAGMA journal_mode = WAL")
        return execute

    @staticmethod
    def make(execute: Execute, parent: str, child: str) -> None:
        execute(f"CREATE TABLE parents (id {parent} PRIMARY KEY NOT NULL, name TEXT)")
        execute(f"CREATE TABLE children (id INTEGER PRIMARY KEY, parent_id {child} REFERENCES parents)")

    @pytest.mark.parametrize(
        ("parent", "child", "python", "forms"),
        [
            ("INTEGER", "BIGINT", (int, int), ("1", "1", "'1'")),
            ("REAL", "REAL", (float, float), ("-0.0", "0.0", "0")),
            ("REAL", "DECIMAL", (float, Decimal), ("0.1", "0.1", "'0.1'")),
            ("DECIMAL", "REAL", (Decimal, float), ("0.1", "0.1", "1e-1")),
            ("DECIMAL(9,2)", "INTEGER", (Decimal, int), ("1.00", "1", "1.0")),
            ("TEXT", "TEXT COLLATE BINARY", (str, str), ("'Ab '", "'Ab '", "'Ab '")),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_is_equal_is_found(
        self,
        execute: Execute,
        tmp_path: Path,
        parent: str,
        child: str,
        python: tuple[type, type],
        forms: tuple[str, ...],
    ) -> None:
        self.make(execute, parent, child)
        made = pipeline(tmp_path, ls.SQLite(tmp_path / "app.db"), "main", *python)
        every_change_arrives(made, execute, tmp_path, "main", forms)

    @pytest.mark.parametrize(
        ("parent", "child", "form"),
        [
            ("TEXT COLLATE NOCASE", "TEXT", "'AB'"),
            ("TEXT COLLATE RTRIM", "TEXT", "'ab  '"),
            ('TEXT collate "nocase"', "TEXT COLLATE NOCASE", "'Ab'"),
        ],
    )
    def test_texts_that_do_not_compare_by_bytes_are_refused(
        self, execute: Execute, tmp_path: Path, parent: str, child: str, form: str
    ) -> None:
        self.make(execute, parent, child)
        execute("INSERT INTO parents VALUES ('ab', 'one')")
        execute(f"INSERT INTO children VALUES (1, {form})")
        made = pipeline(tmp_path, ls.SQLite(tmp_path / "app.db"), "main", str, str)
        nothing_begins(made, tmp_path, "parents.id: children.parent_id is joined with parents.id")

    def test_made_to_compare_by_bytes_it_goes_on(self, execute: Execute, tmp_path: Path) -> None:
        self.make(execute, "TEXT COLLATE NOCASE", "TEXT")
        execute("INSERT INTO parents VALUES ('ab', 'one')")
        execute("INSERT INTO children VALUES (1, 'ab')")
        made = pipeline(tmp_path, ls.SQLite(tmp_path / "app.db"), "main", str, str)
        nothing_begins(made, tmp_path, "NOCASE")
        execute("ALTER TABLE parents RENAME TO old")
        execute("CREATE TABLE parents (id TEXT PRIMARY KEY NOT NULL, name TEXT)")
        execute("INSERT INTO parents SELECT * FROM old")
        execute("ALTER TABLE children RENAME TO older")
        execute("CREATE TABLE children (id INTEGER PRIMARY KEY, parent_id TEXT REFERENCES parents)")
        execute("INSERT INTO children SELECT * FROM older")
        assert run_quickly(made).stopped == {}
        assert held(tmp_path) == [(1, "one", 1)]
