"""SQLite to PostgreSQL: whatever changes, the rows follow."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import lockstep as ls
from lockstep.forms import keys
from tests.pairs.changes import CHANGES
from tests.pairs.world import body_of, target_of

SCHEMA = """
CREATE TABLE companies (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE users (id INTEGER PRIMARY KEY, company_id INTEGER REFERENCES companies (id),
  email TEXT NOT NULL);
CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE users_tags (user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
  tag_id INTEGER NOT NULL REFERENCES tags (id), PRIMARY KEY (user_id, tag_id));
CREATE TABLE conversations (id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE, title TEXT NOT NULL);
CREATE TABLE messages (id INTEGER PRIMARY KEY,
  conversation_id INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE, body TEXT NOT NULL);
"""


class Company(ls.Model, table="companies"):
    id: int = ls.key()
    name: str


class User(ls.Model, table="users"):
    id: int = ls.key()
    company_id: int | None = ls.ref("Company.id")
    email: str


class Tag(ls.Model, table="tags"):
    id: int = ls.key()
    name: str


class UserTag(ls.Model, table="users_tags"):
    user_id: int = ls.key(ref="User.id")
    tag_id: int = ls.key(ref="Tag.id")


class Conversation(ls.Model, table="conversations"):
    id: int = ls.key()
    user_id: int = ls.ref("User.id")
    title: str


class Message(ls.Model, table="messages"):
    id: int = ls.key()
    conversation_id: int = ls.ref("Conversation.id")
    body: str


class Thread(Conversation):
    messages: list[Message]


class Person(User):
    company: Company | None
    tags: list[Tag] = ls.many(through=UserTag)
    threads: list[Thread]


def document(user: Person) -> dict[str, object]:
    return body_of(user)


def _filled(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(SCHEMA)
        db.executemany("INSERT INTO companies VALUES (?, ?)", [(i, f"Company {i}") for i in range(1, 6)])
        db.executemany("INSERT INTO tags VALUES (?, ?)", [(i, f"tag {i}") for i in range(1, 5)])
        people = [(i, i % 5 + 1, f"U{i}@example.com") for i in range(1, 61)]
        db.executemany("INSERT INTO users VALUES (?, ?, ?)", people)
        db.executemany("INSERT INTO users_tags VALUES (?, ?)", [(i, i % 4 + 1) for i in range(1, 61)])
        talks = [(i, i % 60 + 1, f"talk {i}") for i in range(1, 91)]
        db.executemany("INSERT INTO conversations VALUES (?, ?, ?)", talks)
        db.executemany(
            "INSERT INTO messages VALUES (?, ?, ?)", [(i, i % 90 + 1, f"body {i}") for i in range(1, 121)]
        )


def _expected(path: Path) -> dict[str, Any]:
    """The truth by brute force."""
    with closing(sqlite3.connect(path)) as db:

        def rows(table: str, place: int, value: int | None) -> list[Any]:
            return [row for row in db.execute(f"SELECT * FROM {table} ORDER BY 1, 2") if row[place] == value]

        found = {}
        for number, company, email in db.execute("SELECT id, company_id, email FROM users").fetchall():
            tags = sorted(tag for _, tag in rows("users_tags", 0, number))
            found[str(number)] = {
                "email": email.lower(),
                "company": next((name for _, name in rows("companies", 0, company)), None),
                "tags": [name for tag in tags for _, name in rows("tags", 0, tag)],
                "threads": [
                    {"title": title, "messages": [body for _, _, body in rows("messages", 1, talk)]}
                    for talk, _, title in rows("conversations", 1, number)
                ],
            }
        return found


def test_every_level(tmp_path: Path, target_url: str) -> None:
    path = tmp_path / "app.db"
    _filled(path)
    target = target_of(f"postgres|{target_url}|people")

    def pipeline() -> ls.Pipeline:
        made = ls.Pipeline("pairs", state=tmp_path / "state")
        made.mapping(ls.SQLite(path), to=target, name="people", version="1")(document)
        return made

    def actual() -> dict[str, Any]:
        with closing(target.open(1)) as writer:
            return {
                keys.text(one.meta.key): {name: value for name, value in one.record.items() if name != "id"}
                for one in writer.scan(None, 1000)
                if one.meta is not None
            }

    assert ls.run(pipeline(), once=True).stopped == {}
    assert len(actual()) == 60
    for name, statements in CHANGES.items():
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("BEGIN")
            for statement in statements:
                db.execute(statement.replace("TRUNCATE", "DELETE FROM"))
            db.execute("COMMIT")
        assert actual() != _expected(path), name
        ls.run(pipeline(), once=True)
        assert actual() == _expected(path), name
    assert ls.verify(pipeline(), "people", method="deep").counts == {}
