"""A small world for the laws of sources: one schema in SQL that every dialect understands, and its rows.

A connector's author builds a `World` in a fixture, for each test a fresh one:

    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[World]:
        app = sqlite3.connect(tmp_path / "app.db")
        with World(SQLite(tmp_path / "app.db"), app) as world:
            yield world

`app` is a DB-API connection of the application that owns the data; the source never uses it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from lockstep.forms import keys
from lockstep.ports import Snapshot, Source
from lockstep.values import EVERYTHING, Fetch, JoinValues, Key, Span, Table

SCHEMA = """
CREATE TABLE companies(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE users(
  id INTEGER PRIMARY KEY,
  company_id INTEGER REFERENCES companies(id) ON DELETE SET NULL ON UPDATE CASCADE,
  email VARCHAR(200), name TEXT, active BOOLEAN, balance NUMERIC(20, 4), score DOUBLE PRECISION,
  visits BIGINT, born DATE, seen TIMESTAMP, photo {blob});
CREATE INDEX users_company ON users(company_id);
CREATE TABLE tags(id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE users_tags(
  user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE ON UPDATE CASCADE,
  tag_id INTEGER NOT NULL REFERENCES tags(id) ON DELETE CASCADE ON UPDATE CASCADE,
  PRIMARY KEY (user_id, tag_id));
CREATE INDEX users_tags_tag ON users_tags(tag_id);
CREATE TABLE conversations(
  id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users(id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE messages(
  id INTEGER PRIMARY KEY,
  conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE ON UPDATE CASCADE,
  body TEXT);
CREATE TABLE regions(
  country VARCHAR(10) NOT NULL, number INTEGER NOT NULL, name TEXT, PRIMARY KEY (country, number));
CREATE TABLE accounts(id INTEGER PRIMARY KEY, login TEXT NOT NULL UNIQUE, owner INTEGER);
CREATE TABLE "Odd Table"("Id" INTEGER PRIMARY KEY, "Select" TEXT, "Owner's Id" INTEGER)
"""

ROWS = """
INSERT INTO companies(id, name) VALUES (1, 'Acme'), (2, 'Birch'), (3, 'Cedar');
INSERT INTO users(id, company_id, email, name, active, balance, score, visits, born, seen) VALUES
  (1, 1, 'ann@x', 'Ann', TRUE, 12.34, 0.1, 9007199254740993, '1990-02-03', '2026-03-08 09:30:00'),
  (2, 1, 'ben@x', '', FALSE, -5, -2.5, -1, '2000-12-31', '2026-03-08 09:30:00.250000'),
  (3, 2, 'cat@x', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, NULL, NULL, 'Däne 雪 🎿', TRUE, 0, 1e300, 0, '0001-01-01', '9999-12-31 23:59:59.999999');
INSERT INTO tags(id, name) VALUES (1, 'red'), (2, 'blue'), (3, 'green');
INSERT INTO users_tags(user_id, tag_id) VALUES (1, 1), (1, 2), (2, 1), (3, 3);
INSERT INTO conversations(id, user_id) VALUES (10, 1), (11, 1), (12, 2), (13, 3);
INSERT INTO messages(id, conversation_id, body) VALUES (100, 10, 'hi'), (101, 10, 'ho'), (102, 12, 'hey');
INSERT INTO regions(country, number, name) VALUES
  ('de', 1, 'North'), ('de', 2, 'South'), ('DE', 1, 'Upper'), ('fr', 1, 'Est'), ('é', 1, 'accent'),
  ('', 0, NULL);
INSERT INTO accounts(id, login, owner) VALUES (1, 'ann', 1), (2, 'ben', 2), (3, 'cat', NULL);
INSERT INTO "Odd Table"("Id", "Select", "Owner's Id") VALUES (1, 'one', 1), (2, 'two', NULL)
"""

_TABLES = (
    Table("companies", ("id", "name"), ("id",)),
    Table(
        "users",
        (
            "id",
            "company_id",
            "email",
            "name",
            "active",
            "balance",
            "score",
            "visits",
            "born",
            "seen",
            "photo",
        ),
        ("id",),
        ("company_id",),
    ),
    Table("tags", ("id", "name"), ("id",)),
    Table("users_tags", ("user_id", "tag_id"), ("user_id", "tag_id")),
    Table("conversations", ("id", "user_id"), ("id",), ("user_id",)),
    Table("messages", ("id", "conversation_id", "body"), ("id",), ("conversation_id",)),
    Table("regions", ("country", "number", "name"), ("country", "number")),
    Table("accounts", ("id", "login", "owner"), ("id",), ("owner",)),
    Table("Odd Table", ("Id", "Select", "Owner's Id"), ("Id",), ("Owner's Id",)),
)

Row = tuple[Any, ...]
State = dict[str, dict[Key, Row]]
"""The rows of every table by name and key, in the order of the table's columns."""


class World:
    """`mark`: how a parameter is written in the dialect. `prefix`: what the source puts before names.

    `blob`: the type of bytes. `before_images`: hints carry join columns as they were before a change.
    """

    def __init__(
        self,
        source: Source,
        app: Any,
        *,
        mark: str = "?",
        prefix: str = "",
        blob: str = "BLOB",
        before_images: bool = True,
    ) -> None:
        self.source = source
        self.app = app
        self.mark = mark
        self.prefix = prefix
        self.before_images = before_images
        self.script(SCHEMA.format(blob=blob))
        self.script(ROWS)

    def __enter__(self) -> World:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.app.close()

    def script(self, sql: str) -> None:
        """Several statements, parted by ";" at the end of a line, in one transaction."""
        self.execute(*(part for part in sql.split(";\n")))

    def execute(self, *statements: str) -> None:
        """Statements in one transaction, committed."""
        with self.transaction() as run:
            for statement in statements:
                run(statement)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Callable[..., None]]:
        """Gives what runs a statement, with a "?" for each parameter. Rolled back on an error."""
        cursor = self.app.cursor()

        def run(sql: str, *values: Any) -> None:
            if values:
                cursor.execute(sql.replace("?", self.mark), values)
            else:
                cursor.execute(sql)

        try:
            yield run
        except BaseException:
            cursor.close()
            self.app.rollback()
            raise
        cursor.close()  # first: SQLite does not commit under a statement that still has rows to give
        self.app.commit()

    def table(self, name: str) -> Table:
        """A table as the source calls it."""
        (found,) = (table for table in _TABLES if table.name == name)
        return Table(self.prefix + found.name, found.columns, found.key, found.joins)

    @property
    def tables(self) -> list[Table]:
        return [self.table(table.name) for table in _TABLES]

    def state(self) -> State:
        """Every row of every table, as the source's own reader sees them now."""
        reader = self.source.reader()
        try:
            with reader.snapshot() as snapshot:
                return {table.name: rows_of(snapshot, table) for table in self.tables}
        finally:
            reader.close()


def walk(snapshot: Snapshot, table: Table, span: Span = EVERYTHING, limit: int = 1000) -> list[Key]:
    """All keys of a span, page by page."""
    found: list[Key] = []
    rest: Span | None = span
    while rest is not None:
        page = snapshot.keys(table, rest, limit)
        assert len(page.keys) <= limit
        found += page.keys
        rest = page.rest
    return found


def rows_of(snapshot: Snapshot, table: Table) -> dict[Key, Row]:
    """Every row of a table by its key."""
    every = walk(snapshot, table)
    fetch = Fetch(table.name, table.columns, table.key)
    places = [table.columns.index(name) for name in table.key]
    rows = snapshot.rows(fetch, [keys.decode(key) for key in every])
    found = {keys.encode([row[place] for place in places]): row for row in rows}
    assert sorted(found) == sorted(every), "the keys of a walk are those of the rows"
    return found


def joins_of(table: Table, row: Row) -> JoinValues:
    """What a hint must say of a row's join columns."""
    return {name: keys.encode_one(row[table.columns.index(name)]) for name in table.joins}
