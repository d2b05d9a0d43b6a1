"""A small product in PostgreSQL, mapped to any target: models, the mapping, and its truth by brute force."""

from __future__ import annotations

import faulthandler
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg

import lockstep as ls
from lockstep.operations.run import RunResult
from lockstep.ports import Target

SCHEMA = """
CREATE TABLE companies (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE users (
  id int PRIMARY KEY, company_id int REFERENCES companies (id), email text NOT NULL, last_seen timestamptz);
CREATE TABLE tags (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE users_tags (
  user_id int NOT NULL REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
  tag_id int NOT NULL REFERENCES tags (id), PRIMARY KEY (user_id, tag_id));
CREATE TABLE conversations (
  id int PRIMARY KEY, user_id int NOT NULL REFERENCES users (id) ON DELETE CASCADE ON UPDATE CASCADE,
  title text NOT NULL);
CREATE TABLE messages (
  id int PRIMARY KEY, conversation_id int NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  body text NOT NULL);
CREATE INDEX ON users (company_id);
CREATE INDEX ON users_tags (tag_id);
CREATE INDEX ON conversations (user_id);
CREATE INDEX ON messages (conversation_id);
ALTER TABLE conversations REPLICA IDENTITY FULL;
ALTER TABLE messages REPLICA IDENTITY FULL;
INSERT INTO companies SELECT i, 'Company ' || i FROM generate_series(1, 5) i;
INSERT INTO tags SELECT i, 'tag ' || i FROM generate_series(1, 4) i;
INSERT INTO users SELECT i, i % 5 + 1, 'U' || i || '@example.com' FROM generate_series(1, 60) i;
INSERT INTO users_tags SELECT i, i % 4 + 1 FROM generate_series(1, 60) i;
INSERT INTO conversations SELECT i, i % 60 + 1, 'talk ' || i FROM generate_series(1, 90) i;
INSERT INTO messages SELECT i, i % 90 + 1, 'body ' || i FROM generate_series(1, 120) i;
"""

TRUTH = """
SELECT u.id, json_build_object(
  'email', lower(u.email), 'company', c.name,
  'tags', coalesce((SELECT json_agg(t.name ORDER BY t.id) FROM users_tags ut JOIN tags t ON t.id = ut.tag_id
                    WHERE ut.user_id = u.id), '[]'),
  'threads', coalesce((SELECT json_agg(json_build_object('title', v.title, 'messages',
       coalesce((SELECT json_agg(m.body ORDER BY m.id) FROM messages m WHERE m.conversation_id = v.id), '[]'))
     ORDER BY v.id) FROM conversations v WHERE v.user_id = u.id), '[]'))::text
FROM users u LEFT JOIN companies c ON c.id = u.company_id WHERE u.email <> 'poison' ORDER BY u.id
"""


class Company(ls.Model, table="public.companies"):
    id: int = ls.key()
    name: str


class User(ls.Model, table="public.users"):
    id: int = ls.key()
    company_id: int | None = ls.ref("Company.id")
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
    tags: list[Tag] = ls.many(through=UserTag)
    threads: list[Thread]


def document(user: Person) -> dict[str, object]:
    """What a user means. One whose address is "poison" cannot be derived."""
    return body_of(user)


def body_of(user: Any) -> dict[str, object]:
    """What a user of any source means."""
    if user.email == "poison":
        raise ValueError("this address is poison")
    return {
        "email": user.email.lower(),
        "company": user.company and user.company.name,
        "tags": [tag.name for tag in user.tags],
        "threads": [
            {"title": one.title, "messages": [message.body for message in one.messages]}
            for one in user.threads
        ],
    }


COLUMNS = {"id": "INTEGER", "email": "TEXT", "company": "TEXT", "tags": "JSON", "threads": "JSON"}


def target_of(url: str) -> Target:
    """A target as a text, so that a subprocess can be told of it: `KIND|WHERE|NAME`, and where its saved
    states lie, if it has some."""
    kind, where, name, *saved = url.split("|")
    snapshots = saved[0] if saved else None
    if kind in ("opensearch", "elasticsearch"):
        system = ls.OpenSearch if kind == "opensearch" else ls.Elasticsearch
        place = {"name": name, "type": "fs", "settings": {"location": snapshots}} if snapshots else None
        return system(where, snapshots=place).index(name, settings={"number_of_replicas": 0})
    if kind == "tantivy":
        return ls.Tantivy(where, snapshots=snapshots).index(name)
    if kind == "postgres":
        columns = COLUMNS | {"tags": "jsonb", "threads": "json"}
        return ls.Postgres(where, snapshots=snapshots).table(f"out.{name}", columns=columns)
    return ls.SQLite(where, snapshots=snapshots).table(name, columns=COLUMNS, key=("id",))


class World:
    """One database, one target, one state store: a directory, or the URL of a database."""

    def __init__(self, root: Path, url: str, target: str, state: str | None = None) -> None:
        self.state = state or str(root / "state")
        self.generation = 1
        self.root = root
        self.url = url
        self.target = target
        self.guard: ls.Guard | None = None

    def pipeline(self) -> ls.Pipeline:
        made = ls.Pipeline("pairs", state=self.state)
        source = ls.Postgres(self.url, slot=self.url.rpartition("/")[2])
        made.mapping(source, to=target_of(self.target), name="people", version="1", guard=self.guard)(
            document
        )
        return made

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)

    def do(self, *statements: str) -> None:
        """Runs statements in one transaction."""
        with self.connect() as connection, connection.transaction():
            for statement in statements:
                connection.execute(statement.encode())

    def run(self) -> RunResult:
        return ls.run(self.pipeline(), once=True)

    def spawn(self, *, once: bool = True, crash: str | None = None) -> subprocess.Popen[bytes]:
        """A run in a process of its own, that a test may kill."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        if crash:
            environment["LOCKSTEP_CRASH"] = crash
        given = json.dumps([str(self.root), self.url, self.target, once, self.state])
        return subprocess.Popen([sys.executable, "-m", "tests.pairs.world", given], env=environment)

    def peak(self) -> int:
        """The greatest resident size of a run in a process of its own, in kilobytes."""
        given = json.dumps([str(self.root), self.url, self.target, True, self.state])
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "tests.pairs.world", given]
        return int(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)

    def expected(self) -> dict[str, Any]:
        with self.connect() as connection:
            return {str(key): json.loads(body) for key, body in connection.execute(TRUTH.encode())}

    def actual(self) -> dict[str, Any]:
        writer = target_of(self.target).open(self.generation)
        try:
            held = writer.scan(None, 10_000)
        finally:
            writer.close()
        return {
            str(one.meta.key and _number(one.meta.key)): {k: v for k, v in one.record.items() if k != "id"}
            for one in held
            if one.meta is not None
        }

    def actual_or_none(self) -> dict[str, Any]:
        """What the target holds, nothing where it was not made yet, or not all of it: an index is known some
        time before its shard answers, which is long where the machine is busy."""
        try:
            return self.actual()
        except (ls.TargetReplaced, ls.Unreachable):
            return {}

    def assert_agreement(self) -> None:
        """By brute force, and by `verify`."""
        assert self.actual() == self.expected()
        for method in ("fast", "deep"):
            report = ls.verify(self.pipeline(), "people", method=method)
            kinds = {kind: count for kind, count in report.counts.items() if kind != "failed"}
            assert kinds == {}, (method, report.divergences[:5])


def _number(key: bytes) -> str:
    from lockstep.forms import keys
    from lockstep.values import Key

    return keys.text(Key(key))


class Following:
    """A run that follows, in a thread, for a `with` block."""

    def __init__(self, world: World, pipeline: ls.Pipeline | None = None) -> None:
        self._stop = threading.Event()
        self._world = world
        self._pipeline = pipeline
        self.result: RunResult | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.result = ls.run(self._pipeline or self._world.pipeline(), stop=self._stop)

    def __enter__(self) -> Following:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self._thread.is_alive()


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits for a condition; fails when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            faulthandler.dump_traceback(all_threads=True)  # for whoever has to find out
            raise AssertionError("it did not come true in time")
        time.sleep(0.05)


def main(arguments: Sequence[str]) -> None:
    root, url, target, once, state = json.loads(arguments[0])
    ended = ls.run(World(Path(root), url, target, state).pipeline(), once=once)
    print(ended.outcome, ended.stopped, file=sys.stderr)  # noqa: T201 - what is shown of a test that fails
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # noqa: T201 - `peak` reads it


if __name__ == "__main__":
    main(sys.argv[1:])
