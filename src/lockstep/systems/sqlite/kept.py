"""What a column of SQLite would hold of cells: SQLite itself says it, of a table in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from lockstep.systems.sql.columns import Codec, bare


def kept(codec: Codec, cells: Sequence[Any]) -> list[Any]:
    """The cells as a column of the declared type would give them back. It refuses none."""
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.execute(f"CREATE TABLE kept (n INTEGER PRIMARY KEY, cell {bare(codec.declared)})")
        memory.executemany("INSERT INTO kept (cell) VALUES (?)", [(cell,) for cell in cells])
        return [cell for (cell,) in memory.execute("SELECT cell FROM kept ORDER BY n")]
