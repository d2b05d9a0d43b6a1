"""A target whose saved states have no declared place: it is said, and nothing is begun for it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import lockstep as ls


class User(ls.Model, table="users"):
    id: int = ls.key()
    name: str


def test_nothing_is_noted_of_a_snapshot_that_cannot_begin(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as app:
        app.executescript(
            "PRAGMA journal_mode = WAL; CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);"
            "INSERT INTO users VALUES (1, 'Ada')"
        )
    pipeline = ls.Pipeline("acme", state=tmp_path / "state")
    target = ls.SQLite(tmp_path / "copy.db").table("users", columns={"id": "INTEGER", "name": "TEXT"})

    @pipeline.mapping(ls.SQLite(tmp_path / "app.db"), to=target)
    def users(user: User) -> dict[str, object]:
        return {"name": user.name}

    ls.run(pipeline, once=True)
    with pytest.raises(ls.DeclarationError, match="no place for saved states"):
        ls.snapshot(pipeline)
    assert ls.snapshots(pipeline, everything=True) == []
    assert not [one for one in ls.history(pipeline).happenings if "snapshot" in one.kind]
