"""The soak's product: the schema of `tests.pairs`, larger, with two mappings to one search cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import psycopg

import lockstep as ls
from lockstep.forms import keys
from tests.pairs.world import SCHEMA, Company, Message, Person, Thread, User

USERS, COMPANIES, TAGS, CONVERSATIONS, MESSAGES = 2_000, 60, 50, 4_000, 10_000

TABLES = SCHEMA.partition("INSERT INTO")[0]
ROWS = f"""
INSERT INTO companies SELECT i, 'Company ' || i FROM generate_series(1, {COMPANIES}) i;
INSERT INTO tags SELECT i, 'tag ' || i FROM generate_series(1, {TAGS}) i;
INSERT INTO users SELECT i, i % {COMPANIES} + 1, 'U' || i || '@Example.com'
  FROM generate_series(1, {USERS}) i;
INSERT INTO users_tags SELECT i, (i * 7 + j) % {TAGS} + 1
  FROM generate_series(1, {USERS}) i, generate_series(0, 2) j;
INSERT INTO conversations SELECT i, i % {USERS} + 1, 'talk ' || i FROM generate_series(1, {CONVERSATIONS}) i;
INSERT INTO messages SELECT i, i % {CONVERSATIONS} + 1, 'body ' || i FROM generate_series(1, {MESSAGES}) i;
"""

PEOPLE = """
SELECT u.id, json_build_object(
  'email', lower(u.email), 'company', c.name,
  'tags', coalesce((SELECT json_agg(t.name ORDER BY t.id) FROM users_tags ut JOIN tags t ON t.id = ut.tag_id
                    WHERE ut.user_id = u.id), '[]'),
  'threads', coalesce((SELECT json_agg(json_build_object('title', v.title, 'messages',
       coalesce((SELECT json_agg(m.body ORDER BY m.id) FROM messages m WHERE m.conversation_id = v.id), '[]'))
     ORDER BY v.id) FROM conversations v WHERE v.user_id = u.id), '[]'))::text
FROM users u LEFT JOIN companies c ON c.id = u.company_id
"""
TALKS = """
SELECT v.id, json_build_object(
  'title', v.title, 'by', lower(u.email), 'company', c.name,
  'words', (SELECT coalesce(sum(length(m.body)), 0) FROM messages m WHERE m.conversation_id = v.id))::text
FROM conversations v JOIN users u ON u.id = v.user_id LEFT JOIN companies c ON c.id = u.company_id
"""


class Speaker(User):
    company: Company | None


class Talk(Thread):
    user: Speaker
    messages: list[Message]


def people(user: Person) -> dict[str, object]:
    return {
        "email": user.email.lower(),
        "company": user.company and user.company.name,
        "tags": [tag.name for tag in user.tags],
        "threads": [
            {"title": one.title, "messages": [message.body for message in one.messages]}
            for one in user.threads
        ],
    }


def talks(talk: Talk) -> dict[str, object]:
    return {
        "title": talk.title,
        "by": talk.user.email.lower(),
        "company": talk.user.company and talk.user.company.name,
        "words": sum(len(message.body) for message in talk.messages),
    }


class SoakWorld:
    """One database and one cluster as a run sees them: through addresses that may be a bad network."""

    def __init__(self, root: Path, database: str, cluster: str, name: str) -> None:
        self.root = root
        self.database = database
        self.cluster = cluster
        self.name = name

    @property
    def state(self) -> Path:
        return self.root / "state"

    def pipeline(self) -> ls.Pipeline:
        made = ls.Pipeline("soak", state=self.state)
        source = ls.Postgres(self.database, slot=self.name)
        search = ls.OpenSearch(self.cluster)
        few = {"number_of_replicas": 0, "refresh_interval": "5s"}
        turnover = ls.Guard(free=1_000_000, most=1_000_000)  # a tenth of it is removed each minute
        for name, function in (("people", people), ("talks", talks)):
            to = search.index(f"{self.name}_{name}", settings=few)
            made.mapping(source, to=to, version="1", guard=turnover)(function)
        return made

    def spawn(self, log: IO[bytes], crash: str | None = None) -> subprocess.Popen[bytes]:
        """A run that follows, in a process of its own."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        environment.pop("LOCKSTEP_CRASH", None)
        if crash:
            environment["LOCKSTEP_CRASH"] = crash
        given = json.dumps([str(self.root), self.database, self.cluster, self.name])
        command = [sys.executable, "-m", "tests.soak.world", given]
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def truth(connection: psycopg.Connection[Any], question: str) -> dict[str, Any]:
    """What a target should hold, by key: one statement of SQL, without a line of Lockstep."""
    return {str(key): json.loads(body) for key, body in connection.execute(question.encode())}


def held(pipeline: ls.Pipeline, mapping: str) -> dict[str, Any]:
    """What a target holds, by source key."""
    writer = pipeline.named(mapping).target.open(1)
    found: dict[str, Any] = {}
    try:
        page = writer.scan(None, 5_000)
        while page:
            found |= {keys.text(one.meta.key): dict(one.record) for one in page if one.meta is not None}
            page = writer.scan(page[-1].key, 5_000)
    finally:
        writer.close()
    return found


def main(arguments: Sequence[str]) -> int:
    root, database, cluster, name = json.loads(arguments[0])
    result = ls.run(SoakWorld(Path(root), database, cluster, name).pipeline())
    print(result.outcome, result.stopped)  # noqa: T201 - for who reads the run's log
    return 0


if __name__ == "__main__":
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sys.exit(main(sys.argv[1:]))
