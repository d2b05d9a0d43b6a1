"""The tenant's state in one SQLite file: records as JSON, subscriptions as trees, answers for repetitions.

One connection, one writer at a time. What a request does, and the answer that is kept for its repetition, are
one transaction: a process that is killed has done all of it or nothing.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from .engine.history import History
from .engine.tree import Version
from .forms import decode, encode

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, id TEXT NOT NULL, number TEXT, parent TEXT, updated TEXT NOT NULL, doc TEXT NOT NULL,
    UNIQUE (kind, id)
);
CREATE INDEX IF NOT EXISTS records_number ON records (number, kind, id);
CREATE INDEX IF NOT EXISTS records_parent ON records (parent, kind, id);
CREATE INDEX IF NOT EXISTS records_updated ON records (kind, updated, id);
CREATE TABLE IF NOT EXISTS versions (
    number TEXT NOT NULL, version INTEGER NOT NULL, id TEXT NOT NULL UNIQUE, tree BLOB NOT NULL,
    PRIMARY KEY (number, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL, at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queue (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, due REAL NOT NULL, doc TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""

_VERSIONS = msgspec.json.Decoder(Version, float_hook=Decimal)


class Store:
    """`path` None keeps it in memory."""

    def __init__(self, path: Path | None) -> None:
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self._lock = threading.RLock()

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing. Within another one, a part that may fail alone."""
        with self._lock:
            inner = self._db.in_transaction
            self._db.execute("SAVEPOINT part" if inner else "BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK TO part" if inner else "ROLLBACK")
                if inner:
                    self._db.execute("RELEASE part")
                raise
            self._db.execute("RELEASE part" if inner else "COMMIT")

    # ids and numbers: the engine's Minter

    def id(self) -> str:
        return "8a" + secrets.token_hex(15)

    def number(self, prefix: str) -> str:
        row = self._one(
            "INSERT INTO counters VALUES (?, 2) ON CONFLICT DO UPDATE SET next = next + 1 RETURNING next",
            prefix,
        )
        assert row is not None
        return f"{prefix}{row[0] - 1:08d}"

    # records

    def put(
        self,
        kind: str,
        doc: Mapping[str, Any],
        *,
        updated: str,
        number: str | None = None,
        parent: str | None = None,
    ) -> None:
        """Put a record in, or in the place of the one with its `id`."""
        self._run(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?)",
            kind,
            doc["id"],
            number,
            parent,
            updated,
            encode(doc).decode(),
        )

    def change(self, kind: str, id: str, updated: str, fields: Mapping[str, Any]) -> None:
        """Change some fields of a record; its number and parent stay."""
        doc = self.get(kind, id)
        assert doc is not None
        text = encode({**doc, **fields}).decode()
        self._run(
            "UPDATE records SET doc = ?, updated = ? WHERE kind = ? AND id = ?", text, updated, kind, id
        )

    def get(self, kind: str, id: str) -> dict[str, Any] | None:
        return self._doc("SELECT doc FROM records WHERE kind = ? AND id = ?", kind, id)

    def numbered(self, kind: str, number: str) -> dict[str, Any] | None:
        return self._doc("SELECT doc FROM records WHERE kind = ? AND number = ?", kind, number)

    def keyed(self, kind: str, key: str) -> dict[str, Any] | None:
        """By id or by number, as most paths of the API take it."""
        return self.get(kind, key) or self.numbered(kind, key)

    def children(self, kind: str, parent: str) -> list[dict[str, Any]]:
        return self.where(kind, "parent = ?", [parent])

    def where(
        self, kind: str, condition: str, values: list[Any], tail: str = "ORDER BY id"
    ) -> list[dict[str, Any]]:
        """Records by a condition of this project's own making; values are always bound."""
        rows = self._all(f"SELECT doc FROM records WHERE kind = ? AND {condition} {tail}", kind, *values)
        return [decode(row[0]) for row in rows]

    def drop(self, kind: str, id: str) -> None:
        self._run("DELETE FROM records WHERE kind = ? AND id = ?", kind, id)

    # subscriptions

    def history(self, number: str) -> History:
        """All versions of a subscription, or none."""
        rows = self._all("SELECT tree FROM versions WHERE number = ? ORDER BY version", number)
        return tuple(_VERSIONS.decode(row[0]) for row in rows)

    def number_of(self, key: str) -> str | None:
        """The number of a subscription, by that number or by the id of any of its versions."""
        row = self._one("SELECT number FROM versions WHERE id = ? OR number = ? LIMIT 1", key, key)
        return None if row is None else str(row[0])

    def keep_version(self, version: Version) -> None:
        self._run(
            "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?)",
            version.number,
            version.version,
            version.id,
            encode(version),
        )

    def drop_version(self, id: str) -> None:
        self._run("DELETE FROM versions WHERE id = ?", id)

    # answers that are kept, work that waits, and words to remember

    def kept(self, key: str, since: float) -> tuple[str, int, bytes] | None:
        """(digest of the request, status, body) of the answer to a key that is not older than `since`."""
        self._run("DELETE FROM kept WHERE at < ?", since)
        row = self._one("SELECT digest, status, body FROM kept WHERE key = ?", key)
        return None if row is None else (row[0], row[1], row[2])

    def keep(self, key: str, digest: str, status: int, body: bytes, at: float) -> None:
        self._run("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)", key, digest, status, body, at)

    def enqueue(self, kind: str, due: float, doc: Mapping[str, Any]) -> None:
        self._run("INSERT INTO queue (kind, due, doc) VALUES (?, ?, ?)", kind, due, encode(doc).decode())

    def waiting(self, now: float) -> list[tuple[int, str, dict[str, Any]]]:
        """What is due: (id, kind, doc)."""
        rows = self._all("SELECT id, kind, doc FROM queue WHERE due <= ? ORDER BY due, id LIMIT 100", now)
        return [(row[0], row[1], decode(row[2])) for row in rows]

    def done(self, id: int) -> None:
        self._run("DELETE FROM queue WHERE id = ?", id)

    def postpone(self, id: int, due: float, doc: Mapping[str, Any]) -> None:
        self._run("UPDATE queue SET due = ?, doc = ? WHERE id = ?", due, encode(doc).decode(), id)

    def remembered(self, name: str) -> str | None:
        row = self._one("SELECT value FROM meta WHERE name = ?", name)
        return None if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        self._run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    def _run(self, sql: str, *values: Any) -> None:
        with self._lock:
            self._db.execute(sql, values)

    def _one(self, sql: str, *values: Any) -> Any:
        with self._lock:
            return self._db.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

    def _doc(self, sql: str, *values: Any) -> dict[str, Any] | None:
        row = self._one(sql, *values)
        return None if row is None else decode(row[0])
