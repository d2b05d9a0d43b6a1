"""Every declared type of SQLite × every class of storage: read exactly, and carried to every target."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.forms import keys
from lockstep.forms.canonical import canonical
from lockstep.values import EVERYTHING, Fetch, Table
from tests.types import rows
from tests.types.carried import carried, insert
from tests.types.sqlite_kinds import COLUMNS
from tests.types.world import World, cleared

NAMES = rows.column_names(COLUMNS)
CREATE = ", ".join(f"{name} {kind.declared}" for name, kind in zip(NAMES, COLUMNS, strict=True))


class App:
    """The application's database."""

    def __init__(self, path: Path, *ddl: str) -> None:
        self.path = path
        self.do("PRAGMA journal_mode = WAL", *ddl)

    def do(self, *statements: str) -> None:
        with contextlib.closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            for statement in statements:
                connection.execute(statement)


@pytest.fixture
def app(tmp_path: Path) -> App:
    return App(tmp_path / "app.db", f"CREATE TABLE everything (id INTEGER PRIMARY KEY, {CREATE})")


def test_values_are_read_as_the_list_says(app: App) -> None:
    found = rows.rows(COLUMNS)
    app.do(*(insert(number, cells) for number, cells in found.items()))
    source = ls.SQLite(app.path)
    columns = {one.name: one for one in source.catalog().tables[0].columns}
    assert [columns[name].python for name in NAMES] == [kind.python for kind in COLUMNS]
    reader = source.reader()
    with reader.snapshot() as snapshot:
        for number, cells in found.items():
            for cell in cells:
                fetch = Fetch("everything", (cell.column,), ("id",))
                if "source" in cell.case.stuck:
                    with pytest.raises(ls.DataError):  # noqa: PT012 - either may
                        ((value,),) = snapshot.rows(fetch, [(number,)])
                        canonical({"": value})
                    continue
                ((value,),) = snapshot.rows(fetch, [(number,)])
                assert type(value) is type(cell.case.value), (cell.kind.declared, cell.case.literal)
                assert canonical({"": value}) == canonical({"": cell.case.value})
    reader.close()


@pytest.fixture(params=["opensearch", "tantivy", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path, app: App) -> Iterator[World]:
    search = request.getfixturevalue("opensearch_server").url if request.param == "opensearch" else None
    with cleared(World(tmp_path, ls.SQLite(app.path), COLUMNS, request.param, search), search) as one:
        yield one


def test_every_type_to_every_target(world: World, app: App) -> None:
    carried(world, app.do)


TABLES = (
    "CREATE TABLE strict (i INT PRIMARY KEY, r REAL, t TEXT, b BLOB, a ANY) STRICT, WITHOUT ROWID",
    "CREATE TABLE alias (id INTEGER PRIMARY KEY, v TEXT)",
    "CREATE TABLE no_alias (id INT PRIMARY KEY NOT NULL, v TEXT)",
    "CREATE TABLE made (id INTEGER PRIMARY KEY, v INTEGER, twice INTEGER AS (v * 2),"
    " text TEXT AS (v || 'x') STORED)",
    'CREATE TABLE "Order ""x"" ü" ("Select" INTEGER PRIMARY KEY, "a b" TEXT, "É" INT)',
)


def test_strict_tables_row_ids_generated_columns_and_names(tmp_path: Path) -> None:
    app = App(
        tmp_path / "app.db",
        *TABLES,
        "INSERT INTO strict VALUES (1, 1, '7', x'00', '007'), (2, 0.5, 'x', NULL, 5)",
        "INSERT INTO strict VALUES (3, NULL, '', x'', 5.5)",
        "INSERT INTO alias (v) VALUES ('a'), ('b')",
        "DELETE FROM alias WHERE id = 2",
        "INSERT INTO alias (v) VALUES ('c')",
        "INSERT INTO no_alias VALUES (9223372036854775807, 'x')",
        "INSERT INTO made (id, v) VALUES (1, 21)",
        'INSERT INTO "Order ""x"" ü" VALUES (1, \'y\', 2)',
        "VACUUM",
    )
    source = ls.SQLite(app.path)
    tables = {one.name: one for one in source.catalog().tables}
    read = {}
    reader = source.reader()
    for name, one in tables.items():
        columns = tuple(column.name for column in one.columns)
        with reader.snapshot() as snapshot:
            page = snapshot.keys(Table(name, columns, one.key), EVERYTHING, 10).keys
            assert page == sorted(page)
            read[name] = sorted(snapshot.rows(Fetch(name, columns, one.key), [keys.decode(k) for k in page]))
    reader.close()
    assert read == {
        "strict": [(1, 1.0, "7", b"\0", "007"), (2, 0.5, "x", None, 5), (3, None, "", b"", 5.5)],
        "alias": [(1, "a"), (2, "c")],
        "no_alias": [(9223372036854775807, "x")],
        "made": [(1, 21, 42, "21x")],
        'Order "x" ü': [(1, "y", 2)],
    }
    text, _ = rows.models(source.catalog())
    assert "left out" not in text
