"""Loads Chinook, a small shop for music, into the database of CHINOOK_DATABASE_URL.

    python load.py [Chinook_PostgreSql.sql]

Without a file it takes chinook.sql.gz beside it: the same script, compressed.
"""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

import psycopg

HERE = Path(__file__).parent


def script(path: Path) -> str:
    """The script without the lines that are for psql: it makes a database of its own and goes there."""
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    lines = text.decode("utf-8-sig").splitlines(keepends=True)
    return "".join(
        line for line in lines if not line.startswith(("DROP DATABASE", "CREATE DATABASE", "\\c "))
    )


def load(url: str, path: Path = HERE / "chinook.sql.gz") -> dict[str, int]:
    """Runs it in one transaction; how many rows each table has then."""
    with psycopg.connect(url) as connection:
        connection.execute(script(path).encode())
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        ).fetchall()
        counts = {}
        for (table,) in tables:
            row = connection.execute(
                psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(table))
            )
            counts[table] = row.fetchall()[0][0]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    return counts


if __name__ == "__main__":
    loaded = load(os.environ["CHINOOK_DATABASE_URL"], *map(Path, sys.argv[1:]))
    print(", ".join(f"{rows:,} {table}" for table, rows in loaded.items()))
