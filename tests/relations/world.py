"""The world with every kind of relation, on either source, with any target."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

import lockstep as ls
from lockstep.ports import Source, Target
from tests.relations.models import COLUMNS, declare
from tests.relations.tables import CELL, WHOLE, Row, Truth, filled, inserts, statements
from tests.support.world import run_quickly

Documents = dict[int, dict[str, Any]]


class World:
    """One source, and any number of builds of the target, each with a state of its own."""

    schema = ""

    def __init__(self, root: Path, target: str) -> None:
        self.root = root
        self._target = target
        self.do(*statements(self.schema))

    def fill(self, cells: int) -> None:
        self.do(*inserts(range(1, cells + 1), self.schema))

    def do(self, *given: str) -> None:
        """Runs statements in one transaction."""
        raise NotImplementedError

    def on_cell(self, cell: int, given: Sequence[str]) -> None:
        self.do(*(filled(one, cell * CELL) for one in given))

    def source(self, build: str) -> Source:
        raise NotImplementedError

    def table(self, name: str) -> str:
        return name

    def read(self) -> dict[str, list[Row]]:
        """Every row of every table."""
        raise NotImplementedError

    def target(self, build: str) -> Target:
        kind, _, where = self._target.partition("|")
        name = f"{where.rpartition('/')[2] or 'hubs'}_{build}"
        if kind == "opensearch":
            return ls.OpenSearch(where.rpartition("/")[0]).index(name, settings={"number_of_replicas": 0})
        if kind == "postgres":
            columns = {"id": "integer", "body": "jsonb"}
            return ls.Postgres(where).table(f"public.{build}", columns=columns, key=("id",))
        if kind == "tantivy":
            return ls.Tantivy(str(self.root / "tantivy")).index(name)
        return ls.SQLite(self.root / f"{name}.db").table("hubs", columns=COLUMNS, key=("id",))

    def pipeline(self, build: str) -> ls.Pipeline:
        made = ls.Pipeline("relations", state=self.root / f"state-{build}")
        declare(made, self.source(build), self.target(build), self.table)
        return made

    def run(self, build: str = "a") -> None:
        result = run_quickly(self.pipeline(build))
        assert result.stopped == {}

    def held(self, build: str = "a") -> Documents:
        """The documents that a build of the target holds."""
        with contextlib.closing(self.target(build).open(1)) as writer:
            return {held.record["id"]: held.record["body"] for held in writer.scan(None, 100_000)}

    def expected(self) -> Documents:
        """What they should be, by looking at every row."""
        return Truth(self.read()).documents()

    def assert_agreement(self, build: str = "a") -> None:
        for method in ("fast", "deep"):
            report = ls.verify(self.pipeline(build), "hubs", method=method)
            assert report.agreement, (method, report.counts, report.divergences[:3])
            assert not report.differing, f"{report.differing} spans differ, and nobody changed anything"


class InSQLite(World):
    def do(self, *given: str) -> None:
        connection = sqlite3.connect(self.root / "app.db", isolation_level=None, timeout=10)
        with contextlib.closing(connection):
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("BEGIN IMMEDIATE")
            for one in given:
                connection.execute(one)
            connection.execute("COMMIT")

    def source(self, build: str) -> Source:
        return ls.SQLite(self.root / "app.db")

    def read(self) -> dict[str, list[Row]]:
        with contextlib.closing(sqlite3.connect(self.root / "app.db")) as connection:
            connection.row_factory = sqlite3.Row
            names = [
                name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            return {
                name: [dict(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in names
            }


class InPostgres(World):
    schema = "other."

    def __init__(self, root: Path, target: str, url: str) -> None:
        self.url = url
        self._do("CREATE SCHEMA other")
        super().__init__(root, target)
        for name in WHOLE:
            self.do(f"ALTER TABLE {name} REPLICA IDENTITY FULL")
        self.do("CREATE UNIQUE INDEX passports_both ON passports (hub_id, id)")
        self.do("ALTER TABLE passports REPLICA IDENTITY USING INDEX passports_both")

    def do(self, *given: str) -> None:
        self._do(*given)

    def _do(self, *given: str) -> None:
        with psycopg.connect(self.url) as connection:
            for one in given:
                connection.execute(one.encode())

    def source(self, build: str) -> Source:
        return ls.Postgres(self.url, slot=f"{self.url.rpartition('/')[2]}_{build}")

    def table(self, name: str) -> str:
        return f"{'other' if name == 'partners' else 'public'}.{name}"

    def read(self) -> dict[str, list[Row]]:
        found = {}
        with psycopg.connect(self.url, row_factory=psycopg.rows.dict_row) as connection:
            names = connection.execute(
                "SELECT schemaname || '.' || tablename AS full, tablename AS name FROM pg_tables "
                "WHERE schemaname IN ('public', 'other')"
            ).fetchall()
            for row in names:
                found[row["name"]] = connection.execute(f"SELECT * FROM {row['full']}".encode()).fetchall()
        return found
