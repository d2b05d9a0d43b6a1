"""A small world on SQLite: an application's database, two targets in another file, and a pipeline.

Used by the crash tests and by the model-based test. `expected` derives by brute force, in plain Python,
without a line of the engine.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import lockstep.declaration.model as ls
from lockstep.database import Access
from lockstep.declaration.mapping import Keyed
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine import points, service
from lockstep.engine.consumers import patience
from lockstep.engine.service import Service
from lockstep.operations.backfill import backfill
from lockstep.operations.opened import existing
from lockstep.operations.run import RunResult, run
from lockstep.operations.verify import verify
from lockstep.state.store import Store
from lockstep.systems.postgres.following import feed as postgres_feed
from lockstep.systems.sqlite import SQLite, feed
from lockstep.values import EVERYTHING, Entry, Hint, Lane, source_stream

SCHEMA = """
CREATE TABLE companies (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE users (id INTEGER PRIMARY KEY, company_id INTEGER, manager_id INTEGER, email TEXT NOT NULL,
  last_seen INTEGER);
CREATE TABLE tags (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE users_tags (user_id INTEGER NOT NULL, tag_id INTEGER NOT NULL, PRIMARY KEY (user_id, tag_id))
  WITHOUT ROWID;
CREATE TABLE conversations (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL, title TEXT NOT NULL);
CREATE TABLE messages (id INTEGER PRIMARY KEY, conversation_id INTEGER NOT NULL, body TEXT NOT NULL);
"""


class Company(ls.Model, table="companies"):
    id: int = ls.key()
    name: str


class User(ls.Model, table="users"):
    id: int = ls.key()
    company_id: int | None = ls.ref("Company.id")
    manager_id: int | None = ls.ref("User.id")
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
    manager: User | None
    tags: list[Tag] = ls.many(through=UserTag)
    threads: list[Thread]


PEOPLE = {
    "id": "INTEGER",
    "email": "TEXT",
    "company": "TEXT",
    "manager": "TEXT",
    "tags": "JSON",
    "threads": "JSON",
}
ADDRESSES = {"address": "TEXT", "user": "INTEGER", "company": "TEXT"}


def people(user: Person) -> dict[str, object] | None:
    """One document a user; none for those called nobody, and an error for poison."""
    if user.email == "nobody":
        return None
    if user.email == "poison":
        raise ValueError("this address is poison")
    return {
        "id": user.id,
        "email": user.email,
        "company": user.company and user.company.name,
        "manager": user.manager and user.manager.email,
        "tags": [tag.name for tag in user.tags],
        "threads": [
            {"title": thread.title, "messages": [message.body for message in thread.messages]}
            for thread in user.threads
        ],
    }


def addresses(user: Person) -> list[Keyed]:
    """A record for every part of an address: a mapping whose keys must be claimed."""
    company = user.company and user.company.name
    return [
        Keyed(part, {"address": part, "user": user.id, "company": company})
        for part in dict.fromkeys(user.email.split(","))
        if part and part != "nobody"
    ]


class World:
    """One directory with everything in it. `url` parts are paths below it."""

    def __init__(self, root: Path, *, claims: bool = True) -> None:
        self.root = root
        self.app = root / "app.db"
        self.out = root / "out.db"
        self.claims = claims
        if not self.app.exists():
            self.make()

    def make(self) -> None:
        """Makes the source, empty."""
        with self.writing() as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)

    def pipeline(self) -> Pipeline:
        made = Pipeline("world", state=self.root / "state")
        source, target = SQLite(self.app), SQLite(self.out)
        made.mapping(source, to=target.table("people", columns=PEOPLE), version="1")(people)
        if self.claims:
            to = target.table("addresses", key=("address",), columns=ADDRESSES)
            made.mapping(source, to=to, version="1")(addresses)
        return made

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection in autocommit; say BEGIN and COMMIT yourself."""
        connection = sqlite3.connect(self.app, isolation_level=None, timeout=10)
        connection.execute("PRAGMA synchronous = OFF")
        try:
            yield connection
        finally:
            connection.close()

    def do(self, *statements: str) -> None:
        """Runs statements in one transaction of the source."""
        with self.writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            for statement in statements:
                connection.execute(statement)
            connection.execute("COMMIT")

    def spoil(self, *statements: str) -> None:
        """Edits the target behind Lockstep's back."""
        with contextlib.closing(sqlite3.connect(self.out)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def spoil_state(self, *statements: str) -> None:
        """Edits the ledger behind Lockstep's back."""
        with contextlib.closing(sqlite3.connect(self.root / "state" / "ledger.db")) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    def trim(self) -> None:
        """Forgets every hint that was settled."""
        with existing(self.pipeline(), Access.RUN) as store:
            store.trim(keep=-1.0)

    def position(self) -> str:
        """How far the source's log is in the journal."""
        with existing(self.pipeline(), Access.RUN) as store:
            mark = store.journal.mark(next(iter(self.pipeline().sources())))
        assert mark is not None
        return mark.position

    def journal_span(self) -> None:
        """A hint of all users, as a TRUNCATE makes one."""
        with existing(self.pipeline(), Access.RUN) as store:
            stream = source_stream(next(iter(self.pipeline().sources())))
            store.journal.append([Entry(stream, Lane.LIVE, 0, (Hint("users", span=EVERYTHING),))])

    def derived_addresses(self) -> list[dict[str, Any]]:
        """Every address that a user has, with the record it would have, whoever may own it."""
        with self.writing() as connection:
            found = connection.execute(
                "SELECT u.id, u.email, c.name FROM users u LEFT JOIN companies c ON c.id = u.company_id"
            ).fetchall()
        return [
            {"address": part, "user": user, "company": company}
            for user, email, company in found
            for part in dict.fromkeys(email.split(","))
            if part and part != "nobody"
        ]

    def run(self) -> RunResult:
        """Runs once, in this process."""
        return run_quickly(self.pipeline())

    def dies(self, spec: str, *, trimming: bool = False) -> bool:
        """As `died`."""
        return died(self, spec, trimming=trimming)

    def mappings(self) -> list[str]:
        return ["people", "addresses"] if self.claims else ["people"]

    def repair(self) -> None:
        for name in self.mappings():
            backfill(self.pipeline(), name, trust_target=True)

    def assert_agreement(self) -> None:
        """By `verify`, and by brute force."""
        actual, wanted = self.actual(), self.expected()
        assert actual["people"] == wanted["people"]
        assert not self.claims or actual["addresses"] == wanted["addresses"]
        for name in self.mappings():
            for method in ("fast", "deep"):
                report = verify(self.pipeline(), name, method=method)
                assert report.agreement, (name, method, report.counts, report.divergences[:3])

    def actual(self) -> dict[str, list[dict[str, Any]]]:
        """What the targets hold, by key."""
        found = {}
        for name in self.mappings():
            target = self.pipeline().named(name).target
            with contextlib.closing(target.open(1)) as writer:
                found[name] = [dict(held.record) for held in writer.scan(None, 100_000)]
        return found

    def expected(self) -> dict[str, list[dict[str, Any]]]:
        """What they should hold, read row by row from the source."""
        with self.writing() as connection:

            def ask(sql: str, *values: object) -> list[tuple[Any, ...]]:
                return connection.execute(sql, values).fetchall()

            def name_of(table: str, column: str, key: object) -> str | None:
                rows = ask(f"SELECT {column} FROM {table} WHERE id = ?", key)
                return str(rows[0][0]) if rows else None

            found: list[dict[str, Any]] = []
            addressed: dict[str, dict[str, Any]] = {}
            for key, company, manager, email in ask(
                "SELECT id, company_id, manager_id, email FROM users ORDER BY id"
            ):
                for part in email.split(","):
                    if part and part != "nobody":
                        at = name_of("companies", "name", company)
                        addressed[part] = {"address": part, "user": key, "company": at}
                if email == "nobody":
                    continue
                tags = ask("SELECT tag_id FROM users_tags WHERE user_id = ? ORDER BY tag_id", key)
                found.append(
                    {
                        "id": key,
                        "email": email,
                        "company": name_of("companies", "name", company),
                        "manager": name_of("users", "email", manager),
                        "tags": [n for (tag,) in tags if (n := name_of("tags", "name", tag)) is not None],
                        "threads": [
                            {
                                "title": title,
                                "messages": [
                                    body
                                    for (body,) in ask(
                                        "SELECT body FROM messages WHERE conversation_id = ? ORDER BY id",
                                        thread,
                                    )
                                ],
                            }
                            for thread, title in ask(
                                "SELECT id, title FROM conversations WHERE user_id = ? ORDER BY id", key
                            )
                        ],
                    }
                )
        return {"people": found, "addresses": sorted(addressed.values(), key=lambda one: one["address"])}


def run_quickly(pipeline: Pipeline) -> RunResult:
    """Runs a pipeline once, without waits that mean nothing to a test."""
    with (
        mock.patch.object(feed, "IDLE_SECONDS", 0.02),
        mock.patch.object(postgres_feed, "TICK", 0.05),
        mock.patch.object(patience, "_IDLE", 0.02),
    ):
        return run(pipeline, once=True)


class Runs(Protocol):
    """A world that runs in this process."""

    def run(self) -> RunResult: ...


def died(world: Runs, spec: str, *, trimming: bool = False) -> bool:
    """Runs once in a process that is killed at a point; whether it came that far.

    `trimming`: it forgets settled hints all the time, however young.
    """
    code = in_process(_run_and_die, world, spec, trimming)
    assert code in (0, -9), f"the run at {spec} ended with {code}"
    return code == -9


def _run_and_die(world: Runs, spec: str, trimming: bool) -> None:
    points.die_at(spec)
    with contextlib.ExitStack() as stack:
        if trimming:
            trim = Store.trim
            stack.enter_context(mock.patch.object(service, "_TRIM_EVERY", 0.0))
            stack.enter_context(mock.patch.object(Store, "trim", lambda store, keep: trim(store, keep=-1.0)))
            stack.enter_context(mock.patch.object(Service, "until_done", lambda own: own.wait(30)))
        world.run()


_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["tests.support.world"])


def started(function: Callable[..., None], *arguments: object) -> BaseProcess:
    """A function at work in a process of its own."""
    process = _context.Process(target=function, args=arguments)
    process.start()
    return process


def in_process(function: Callable[..., None], *arguments: object) -> int:
    """Runs a function in a process of its own; its exit code, -9 where it was killed."""
    process = started(function, *arguments)
    process.join(60)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"{function.__name__}{arguments} did not end within a minute")
    code = process.exitcode
    process.close()
    return code
