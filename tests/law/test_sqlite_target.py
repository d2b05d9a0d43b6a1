"""SQLite as a target keeps the laws of `Writer` and `Restorable`."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockstep.forms.keys import decode
from lockstep.ports import Target
from lockstep.systems.sqlite import SQLite
from lockstep.testing.grouping_law import GroupingLaw
from lockstep.testing.killed_law import KilledLaw
from lockstep.testing.restorable_law import RestorableLaw
from lockstep.testing.summing_law import SummingLaw
from lockstep.testing.writer_law import WriterLaw
from lockstep.values import Key, Record

COLUMNS = {
    "id": "TEXT",
    "text": "TEXT",
    "text_nul": "VARCHAR(10)",
    "integer": 'INTEGER CHECK ("integer" <> -666)',
    "big_integer": "TEXT",
    "decimal": "DECIMAL(30, 20)",
    "float": "REAL",
    "not_finite": "DOUBLE PRECISION",
    "boolean": "BOOLEAN",
    "null": "ANY",
    "numbers": "JSON",
    "texts": "JSON",
    "object": "JSON",
    "objects": "JSON",
    "mixed": "JSON",
    "odd_names": "JSON",
    "date": "DATE",
    "time": "TIME",
    "local": "DATETIME",
    "instant": "TIMESTAMP WITH TIME ZONE",
    "uuid": "UUID",
    "bytes": "BLOB",
    "duration": "INTERVAL",
}


class TestSQLiteTarget(WriterLaw, SummingLaw, GroupingLaw, RestorableLaw, KilledLaw):
    cannot_hold = frozenset({"not_finite"})
    generational = False
    path: Path

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        self.path = tmp_path / "app.db"
        lines = ", ".join(f'"{name}" {declared}' for name, declared in COLUMNS.items())
        with contextlib.closing(sqlite3.connect(self.path)) as connection:
            connection.execute(f"CREATE TABLE law ({lines}, PRIMARY KEY (id))")
        return self.system.table("law")

    @property
    def system(self) -> SQLite:
        return SQLite(self.path, snapshots=self.path.parent / "saved")

    def bad_record(self) -> Record | None:
        return {"integer": -666}

    def edit_unwritten(self, target: Target, key: Key) -> None:
        self.edit(target, key, {"integer": 7})

    def plant(self, target: Target, key: Key, record: Record) -> bool:
        names = ", ".join(f'"{name}"' for name in record)
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(
                f"INSERT INTO law (id, {names}) VALUES (?{', ?' * len(record)})",
                (*decode(key), *record.values()),
            )
        return True

    def remove(self, target: Target, key: Key) -> bool:
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("DELETE FROM law WHERE id = ?", decode(key))
        return True

    def edit(self, target: Target, key: Key, record: Record) -> bool:
        (name, value) = next(iter(record.items()))
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(f'UPDATE law SET "{name}" = ? WHERE id = ?', (value, *decode(key)))
        return True

    def drop(self, target: Target) -> bool:
        with contextlib.closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("DROP TABLE law")
        return True

    def wreck(self, target: Target, name: str) -> bool:
        os.truncate(self.path.parent / "saved" / "law" / name / "saved.db", 5000)
        return True

    def another(self, target: Target) -> Target | None:
        return self.system.table("other", columns={"id": "TEXT"})

    def elsewhere(self, target: Target) -> str | None:
        declared = f"SQLite({str(self.path)!r}, snapshots={str(self.path.parent / 'saved')!r})"
        return f"from lockstep.systems.sqlite import SQLite; {declared}.table('law')"

    def cut(self, target: Target) -> contextlib.AbstractContextManager[None]:
        return _locked(self.path)


class TestSQLiteTextTarget(TestSQLiteTarget):
    """A table whose columns are all text holds the canonical form of everything."""

    cannot_hold = frozenset()
    cannot_total = "column integer is TEXT, which is not added up here"

    @pytest.fixture
    def target(self, tmp_path: Path) -> Target:
        self.path = tmp_path / "new.db"
        columns = dict.fromkeys(COLUMNS, "TEXT")
        return self.system.table("law", columns=columns)

    def record(self, number: int) -> Record:
        return {"text": f"record {number}", "integer": str(number)}

    def bad_record(self) -> Record | None:
        return {"no such column": 1}


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
