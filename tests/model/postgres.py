"""The small world of `tests.support.world` with PostgreSQL as its source: same tables, mappings and truth."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psycopg

import lockstep as ls
from lockstep.declaration.mapping import Keyed
from tests.support import world as small
from tests.support.world import ADDRESSES, PEOPLE, World

SCHEMA = """
CREATE TABLE companies (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE users (id int PRIMARY KEY, company_id int, manager_id int, email text NOT NULL, last_seen int);
CREATE TABLE tags (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE users_tags (user_id int NOT NULL, tag_id int NOT NULL, PRIMARY KEY (user_id, tag_id));
CREATE TABLE conversations (id int PRIMARY KEY, user_id int NOT NULL, title text NOT NULL);
CREATE TABLE messages (id int PRIMARY KEY, conversation_id int NOT NULL, body text NOT NULL);
ALTER TABLE conversations REPLICA IDENTITY FULL;
ALTER TABLE messages REPLICA IDENTITY FULL;
"""


class Company(ls.Model, table="public.companies"):
    id: int = ls.key()
    name: str


class User(ls.Model, table="public.users"):
    id: int = ls.key()
    company_id: int | None = ls.ref("Company.id")
    manager_id: int | None = ls.ref("User.id")
    email: str


class Tag(ls.Model, table="public.tags"):
    id: int = ls.key()
    name: str


class UserTag(ls.Model, table="public.users_tags"):
    user_id: int = ls.key(ref="User.id")
    tag_id: int = ls.key(ref="Tag.id")


class Conversation(ls.Model, table="public.conversations"):
    id: int = ls.key()
    user_id: int = ls.ref("User.id")
    title: str


class Message(ls.Model, table="public.messages"):
    id: int = ls.key()
    conversation_id: int = ls.ref("Conversation.id")
    body: str


class Thread(Conversation):
    messages: list[Message]


class Person(User):
    company: Company | None
    manager: User | None
    tags: list[Tag] = ls.many(through=UserTag)
    threads: list[Thread]


def people(user: Person) -> dict[str, object] | None:
    return small.people(cast(Any, user))


def addresses(user: Person) -> list[Keyed]:
    return small.addresses(cast(Any, user))


class PostgresWorld(World):
    """The source is a PostgreSQL database; targets and state are files below the root."""

    def __init__(self, root: Path, url: str, *, claims: bool = True) -> None:
        self.url = url
        super().__init__(root, claims=claims)

    def make(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(SCHEMA.encode())

    def pipeline(self) -> ls.Pipeline:
        made = ls.Pipeline("world", state=self.root / "state")
        source = ls.Postgres(self.url, slot=self.url.rpartition("/")[2])
        target = ls.SQLite(self.out)
        made.mapping(source, to=target.table("people", columns=PEOPLE), version="1")(people)
        if self.claims:
            to = target.table("addresses", key=("address",), columns=ADDRESSES)
            made.mapping(source, to=to, version="1")(addresses)
        return made

    @contextlib.contextmanager
    def writing(self) -> Iterator[Any]:
        with psycopg.connect(self.url, autocommit=True, options="-c lock_timeout=50ms") as connection:
            yield Connection(connection)


class Connection:
    """A connection that takes statements as `sqlite3`'s does."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, sql: str, values: tuple[Any, ...] = ()) -> Any:
        sql = sql.replace("BEGIN IMMEDIATE", "BEGIN")
        return self._connection.execute(sql.replace("?", "%s").encode(), values or None)
