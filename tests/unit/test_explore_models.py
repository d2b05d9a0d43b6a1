"""models.py as explore writes it: it imports, type-checks, is formatted, and says what the catalog says."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import get_type_hints, is_typeddict

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lockstep.catalog import Catalog, CatalogColumn, CatalogReference, CatalogTable
from lockstep.declaration.described import describe
from lockstep.declaration.model import Model
from lockstep.declaration.shape import resolve
from lockstep.exploration.models import write_models
from lockstep.exploration.system import explore, redacted

PYTHON = ("int", "str", "bool", "float", "bytes", "Decimal", "UUID", "Any", "dt.date", "dt.datetime")
NASTY = (
    "id", "class", "None", "int", "str", "list", "dt", "ls", "Any", "Decimal", "type", "def", "self", "cls",
    "__dict__", "__init__", "__v", "_id", "_", "Real Name", "real_name", "Real_Name", "1st", "²",
    "größe", "ﬁle", "ключ", "名前", "a\nb", 'a"b', "a'b", "a\\b", "a\tb", "tab\0le", "🙂", "é", "mro",
    "name", "users", "User",
)  # fmt: skip
TABLES = (
    "users", "User", "USERS", "user_tags", "public.users", "billing.users", "Album", "people", "none", "True",
    "Exception", "decimal", "any", "class", "2024 sales", "größen", "таблица", "名", 'public."a.b"', "a.b.c",
    "order details", "statuses", "addresses", "🙂", "_", "x" * 60,
)  # fmt: skip

_text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_column_names = (
    st.sampled_from(NASTY) | st.from_regex(r"[a-z]{1,9}(_[a-z]{1,9}){0,2}", fullmatch=True) | _text
)
_table_names = (
    st.sampled_from(TABLES) | st.from_regex(r"[a-z]{1,9}(_[a-z]{1,9}){0,2}", fullmatch=True) | _text
)


@st.composite
def catalogs(draw: st.DrawFn) -> Catalog:
    """Tables that refer to each other, and to themselves, in every way a database allows."""
    tables: dict[str, CatalogTable] = {}
    for name in draw(st.lists(_table_names, max_size=6, unique=True)):
        columns = tuple(
            CatalogColumn(
                column,
                "some type",
                draw(st.sampled_from(PYTHON) | st.none()),
                draw(st.booleans()),
                custom=draw(st.booleans()),
                label=draw(st.none() | _text),
                options=tuple(draw(st.lists(_text, max_size=3))),
                updateable=draw(st.none() | st.booleans()),
            )
            for column in draw(st.lists(_column_names, min_size=1, max_size=6, unique=True))
        )
        key = tuple(column.name for column in columns[: draw(st.integers(0, 2))])
        comment = draw(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=120))
        tables[name] = CatalogTable(
            name, columns, key, (), draw(st.integers(0, 10**9)), draw(st.booleans()), comment
        )
    for name, table in tables.items():
        references = []
        for _ in range(draw(st.integers(0, 3))):
            to = tables[draw(st.sampled_from(sorted(tables)))]
            size = draw(st.integers(1, min(2, len(table.columns), len(to.columns))))
            here = draw(st.permutations([column.name for column in table.columns]))[:size]
            there = draw(st.permutations([column.name for column in to.columns]))[:size]
            references.append(CatalogReference(tuple(here), to.name, tuple(there)))
        tables[name] = CatalogTable(
            name,
            table.columns,
            table.key,
            tuple(references),
            table.rows,
            table.exact,
            table.comment,
            setting=draw(st.none() | st.just("app.Row(custom=…)")),
        )
    custom_for = draw(st.none() | st.just("app.tables(custom=CUSTOM)"))
    return Catalog("sqlite:app.db", tuple(tables.values()), custom_for)


def imported(source: str) -> tuple[ModuleType, list[type[Model]]]:
    """The module that a source is, and its models."""
    module = ModuleType("explored_models")
    sys.modules[module.__name__] = module
    exec(compile(source, "models.py", "exec"), vars(module))
    return module, [cls for cls in vars(module).values() if isinstance(cls, type) and issubclass(cls, Model)]


def uncommented_shapes(source: str) -> str:
    """The shapes at the bottom, without their signs of comment."""
    _, _, bottom = source.partition("\n# A shape is a model")
    return "\n".join(line[2:] for line in bottom.splitlines() if re.match(r"# (class |    \w+: )", line))


def is_formatted(source: str) -> None:
    for verb in (["format", "--diff"], ["check"]):
        ran = subprocess.run(
            [sys.executable, "-m", "ruff", *verb, "--isolated", "--quiet", "-"],
            input=source,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


def type_checks(directory: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir", "/dev/null", "."],
        cwd=directory,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def says_what(catalog: Catalog, models: list[type[Model]]) -> None:
    """Every table with a usable key is one model, with its columns, keys, nulls and foreign keys."""
    by_table = {describe(model).table: describe(model) for model in models}
    usable = {
        table.name: table
        for table in catalog.tables
        if table.key and all(c.python is not None for c in table.columns if c.name in table.key)
    }
    assert by_table.keys() == usable.keys()
    for name, table in usable.items():
        described = by_table[name]
        readable = [column for column in table.columns if column.python is not None]
        assert [column.name for column in described.columns] == [column.name for column in readable]
        assert {column.name for column in described.key} == set(table.key)
        for column, known in zip(described.columns, readable, strict=True):
            assert column.nullable == (known.nullable and not column.key and known.python != "Any")
        expected = set()
        for reference in table.references:
            to = usable.get(reference.to)
            if to is None:
                continue
            pairs = [(table, reference.columns), (to, reference.of)]
            if all(c.python is not None for t, named in pairs for c in t.columns if c.name in named):
                expected.add((reference.columns, reference.to, reference.of))
        classes = {model.__name__: describe(model) for model in models}
        found = {
            (
                tuple(described.column(field).name for field in reference.columns),
                classes[reference.to].table,
                tuple(classes[reference.to].column(field).name for field in reference.of),
            )
            for reference in described.references()
        }
        assert found == expected


SHOP = """
CREATE TABLE companies (id INTEGER PRIMARY KEY, name TEXT NOT NULL, plan TEXT, founded DATE);
CREATE TABLE users (id INTEGER PRIMARY KEY, company_id INTEGER REFERENCES companies, class TEXT,
    "Real Name" TEXT, balance NUMERIC, place POINT, manager_id INTEGER REFERENCES users (id));
CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE user_tags (user_id INTEGER NOT NULL REFERENCES users, tag_id INTEGER NOT NULL REFERENCES tags,
    PRIMARY KEY (user_id, tag_id));
CREATE TABLE messages (id INTEGER PRIMARY KEY, author_id INTEGER REFERENCES users,
    editor_id INTEGER REFERENCES users, body TEXT);
CREATE TABLE log_lines (at TIMESTAMP, line TEXT);
CREATE TABLE parts (a TEXT NOT NULL, b TEXT NOT NULL, PRIMARY KEY (a, b));
CREATE TABLE part_notes (id INTEGER PRIMARY KEY, a TEXT, b TEXT, FOREIGN KEY (a, b) REFERENCES parts (a, b));
INSERT INTO companies VALUES (1, 'Acme', 'pro', '2020-01-01');
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.executescript(SHOP)
    connection.close()
    return path


def test_a_real_sqlite_database(shop: Path) -> None:
    catalog = explore(f"sqlite:///{shop}")
    source = write_models(catalog, url_hint="sqlite:///shop.db")
    _, models = imported(source)
    says_what(catalog, models)
    is_formatted(source)
    assert "class UserTag(ls.Model" in source
    assert '    user_id: int = ls.key(ref="User.id")\n' in source
    assert '    class_: str | None = ls.column("class")\n' in source
    assert '    real_name: str | None = ls.column("Real Name")\n' in source
    assert '    company_id: int | None = ls.ref("Company.id")\n' in source
    assert '    references=[ls.Reference(("a", "b"), "Part", ("a", "b"))],\n' in source
    assert "    place: Any" in source  # a type SQLite does not know: whatever a row stores
    assert '"""1 row."""' in source
    assert "# log_lines (0 rows) is left out: it has no key" in source
    assert "#     tags: list[Tag] = ls.many(through=UserTag)\n" in source
    assert "#     messages_by_author: list[Message] = ls.many(on=Message.author_id)\n" in source
    assert source.index("class Company(") < source.index("class User(") < source.index("class UserTag(")


def test_the_shapes_that_it_suggests_resolve(shop: Path) -> None:
    source = write_models(explore(str(shop)), url_hint=None)
    _, models = imported(source + "\n" + uncommented_shapes(source))
    shapes = [model for model in models if model.__name__.startswith("Full")]
    assert {shape.__name__ for shape in shapes} >= {"FullUser", "FullMessage"}
    for shape in shapes:
        resolve(shape)


def test_a_real_postgresql_database(postgres_url: str) -> None:
    psycopg = pytest.importorskip("psycopg")
    pytest.importorskip("lockstep.systems.postgres")
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(
            """
            CREATE SCHEMA billing;
            CREATE TABLE companies (id int PRIMARY KEY, name text NOT NULL, since timestamptz);
            COMMENT ON TABLE companies IS 'Whoever pays us';
            CREATE TABLE users (id uuid PRIMARY KEY, company_id int REFERENCES companies, tags text[],
                spot point, settings jsonb);
            CREATE TABLE billing.users (id int PRIMARY KEY, balance numeric NOT NULL);
            CREATE TABLE "Odd Name" ("The Key" int PRIMARY KEY);
            CREATE TABLE audit (line text);
            """
        )
    catalog = explore(postgres_url)
    source = write_models(catalog, url_hint=redacted(postgres_url))
    _, models = imported(source)
    says_what(catalog, models)
    is_formatted(source)
    assert "postgres:" not in source.replace("postgresql:", "")  # the user's password followed a colon
    assert "Whoever pays us." in source
    assert {"Company", "User", "OddName"} <= {model.__name__ for model in models}
    assert {describe(model).table for model in models} >= {"public.users", "billing.users"}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(catalogs())
@example(Catalog("sqlite:app.db", ()))
def test_any_catalog_imports_and_says_what_the_catalog_says(catalog: Catalog) -> None:
    source = write_models(catalog, url_hint="sqlite:///app.db")
    module, models = imported(source)
    says_what(catalog, models)
    known = {describe(model).table for model in models}
    own = {
        table.name: {one.name: one.python for one in table.columns if one.custom and one.python}
        for table in catalog.tables
        if catalog.custom_for is not None and table.name in known
    }
    settable = [one for one in vars(module).values() if is_typeddict(one)]
    assert len(settable) <= sum(table.setting is not None for table in catalog.tables)
    for one in settable:
        assert get_type_hints(one).keys() <= {
            column.name for table in catalog.tables for column in table.columns if column.custom
        }
    assert getattr(module, "CUSTOM", {}) == {name: some for name, some in own.items() if some}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(catalogs())
@example(
    Catalog(
        "sqlite:app.db",
        (
            CatalogTable(
                "users",
                (CatalogColumn("id", "t", "int", False), CatalogColumn("name", "t", "str", False)),
                ("id",),
                (
                    CatalogReference(("id", "name"), "users", ("name", "id")),
                    CatalogReference(("name", "id"), "users", ("name", "id")),
                ),
                0,
                True,
            ),
        ),
    )
)
@example(
    Catalog(
        "sqlite:app.db",
        (
            CatalogTable(
                "名",
                (CatalogColumn("id", "t", "int", False), CatalogColumn("class", "t", "int", False)),
                ("id",),
                (CatalogReference(("id",), "名", ("id",)), CatalogReference(("class",), "名", ("id",))),
                0,
                True,
            ),
        ),
    )
)
def test_any_suggested_shape_resolves(catalog: Catalog) -> None:
    source = write_models(catalog, url_hint=None)
    models = imported(source)[1]
    _, with_shapes = imported(source + "\n" + uncommented_shapes(source))
    for shape in with_shapes[len(models) :]:
        resolve(shape)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(catalogs())
@example(
    Catalog(
        "app",
        (
            CatalogTable(
                "User",
                (CatalogColumn("id", "t", "int", False, custom=True),),
                (),
                (),
                0,
                False,
                setting="app.Row(custom=…)",
            ),
        ),
    )
)
def test_any_catalog_is_written_as_a_formatter_would(catalog: Catalog) -> None:
    is_formatted(write_models(catalog, url_hint="sqlite:///app.db"))


@settings(max_examples=1, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(st.lists(catalogs(), min_size=20, max_size=20))
def test_any_catalog_type_checks(tmp_path_factory: pytest.TempPathFactory, many: list[Catalog]) -> None:
    directory = tmp_path_factory.mktemp("explored")
    columns = tuple(CatalogColumn(name, "t", PYTHON[at % 9], at % 2 == 0) for at, name in enumerate(NASTY))
    nasty = tuple(CatalogTable(name, columns, ("id",), (), 1, True) for name in TABLES)
    for number, catalog in enumerate([*many, Catalog("nasty", nasty)]):
        (directory / f"models_{number}.py").write_text(write_models(catalog, url_hint=None), "utf-8")
    type_checks(directory)
