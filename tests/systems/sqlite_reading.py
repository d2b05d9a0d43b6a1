"""A SQLite database with an application and a reader, for tests."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from lockstep.forms import keys
from lockstep.systems.sqlite.reader import SQLiteReader
from lockstep.testing.source_world import walk as every_key
from lockstep.values import EVERYTHING, Fetch, Span, Table


class Database:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.app = sqlite3.connect(path, isolation_level=None)
        self.reader = SQLiteReader(path)

    def rows(
        self, table: str, columns: str, by: str, *values: Any, hashes: tuple[str, ...] = ()
    ) -> list[Any]:
        fetch = Fetch(table, tuple(columns.split()), tuple(by.split()), (hashes,) if hashes else ())
        with self.reader.snapshot() as snapshot:
            return snapshot.rows(fetch, [v if isinstance(v, tuple) else (v,) for v in values])

    def one(self, table: str, column: str, key: Any = 1) -> Any:
        ((value,),) = self.rows(table, column, "id", key)
        return value

    def keys(self, table: Table, span: Span = EVERYTHING, limit: int = 1000) -> list[tuple[Any, ...]]:
        with self.reader.snapshot() as snapshot:
            return [keys.decode(key) for key in every_key(snapshot, table, span, limit)]

    def ordered(self, table: Table) -> bool:
        with self.reader.snapshot() as snapshot:
            return snapshot.keys(table, EVERYTHING, 10).ordered

    def close(self) -> None:
        self.reader.close()
        self.app.close()


def t(*key: str) -> Table:
    return Table("t", key, key)
