"""A partitioned table, end to end: rows that move, partitions that come and go, either publication."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psycopg
import pytest

import lockstep as ls
from lockstep.forms import keys
from tests.schemas.running import running
from tests.schemas.shop import until
from tests.support.world import run_quickly

SCHEMA = """
CREATE TABLE events (id int, region int, note text NOT NULL, PRIMARY KEY (id, region))
  PARTITION BY RANGE (id);
CREATE TABLE e1 PARTITION OF events FOR VALUES FROM (0) TO (10);
CREATE TABLE e2 (note text NOT NULL, region int NOT NULL, id int NOT NULL);
ALTER TABLE events ATTACH PARTITION e2 FOR VALUES FROM (10) TO (20);
CREATE TABLE e3 PARTITION OF events FOR VALUES FROM (20) TO (30) PARTITION BY LIST (region);
CREATE TABLE e3a PARTITION OF e3 FOR VALUES IN (1);
CREATE TABLE e3b PARTITION OF e3 DEFAULT;
INSERT INTO events SELECT i, i % 3, 'note ' || i FROM generate_series(1, 29) i
"""
STEPS = {
    "rows": [
        "UPDATE events SET note = 'changed' WHERE id % 5 = 0",
        "UPDATE events SET id = id + 10 WHERE id IN (3, 13) AND region = 0",
        "UPDATE events SET region = 7 WHERE id = 22",
        "DELETE FROM events WHERE id = 25",
        "TRUNCATE events",
        "INSERT INTO events SELECT i, i % 3, 'again ' || i FROM generate_series(1, 29) i",
    ],
    "a new one": [
        "CREATE TABLE e4 PARTITION OF events FOR VALUES FROM (30) TO (40)",
        "INSERT INTO events VALUES (31, 1, 'new')",
    ],
    "loaded and attached": [
        "BEGIN; CREATE TABLE e5 (LIKE events INCLUDING ALL); INSERT INTO e5 VALUES (41, 1, 'loaded');"
        " ALTER TABLE events ATTACH PARTITION e5 FOR VALUES FROM (40) TO (50); COMMIT",
        "UPDATE events SET region = 2 WHERE id = 41",
    ],
    "taken out": ["ALTER TABLE events DETACH PARTITION e1", "UPDATE e1 SET note = 'no part of it'"],
    "put back": ["ALTER TABLE events ATTACH PARTITION e1 FOR VALUES FROM (0) TO (10)"],
    "a part of a part": ["DROP TABLE e3b"],
    "dropped": ["DROP TABLE e2"],
}


class Event(ls.Model, table="public.events"):
    id: int = ls.key()
    region: int = ls.key()
    note: str


def event(one: Event) -> dict[str, object]:
    return {"note": one.note}


class Events:
    def __init__(self, root: Path, url: str, user: str = "") -> None:
        self.root, self.url, self.user = root, url, user
        self.do(*SCHEMA.split(";\n"))

    def do(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def pipeline(self) -> ls.Pipeline:
        made = ls.Pipeline("events", state=self.root / "state")
        url = self.url.replace("postgres:", f"{self.user}:", 1) if self.user else self.url
        target = ls.SQLite(self.root / "out.db").table(
            "events", columns={"id": "INTEGER", "region": "INTEGER", "note": "TEXT"}, key=("id", "region")
        )
        source = ls.Postgres(url, slot=self.url.rpartition("/")[2])
        made.mapping(source, to=target, name="events", version="1")(event)
        return made

    def run(self) -> None:
        assert run_quickly(self.pipeline()).stopped == {}

    def actual(self) -> dict[Any, str]:
        target = self.pipeline().targets().popitem()[1]
        with contextlib.closing(target.open(1)) as writer:
            return {keys.decode(one.key): one.record["note"] for one in writer.scan(None, 10_000)}

    def expected(self) -> dict[Any, str]:
        with psycopg.connect(self.url) as connection:
            rows = connection.execute("SELECT id, region, note FROM events").fetchall()
        return {(id_, region): note for id_, region, note in rows}

    def assert_agreement(self, step: str) -> None:
        assert self.actual() == self.expected(), step


def test_partitions_come_and_go_while_nobody_runs(tmp_path: Path, postgres_url: str) -> None:
    events = Events(tmp_path, postgres_url)
    events.run()
    events.assert_agreement("backfill")
    for name, statements in STEPS.items():
        events.do(*statements)
        assert events.actual() != events.expected(), name
        events.run()
        events.assert_agreement(name)
    events.do("TRUNCATE e3a")
    events.run()
    events.assert_agreement("one is truncated")
    assert ls.verify(events.pipeline(), "events", method="deep").counts == {}


def test_a_publication_of_somebody_else_that_goes_via_the_root(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be noted in it, so only who follows all the while sees what comes and goes."""
    monkeypatch.setattr("lockstep.systems.postgres.following.feed.WATCH", 0.2)
    user = "plain_" + postgres_url.rpartition("_")[2]
    events = Events(tmp_path, postgres_url, user)
    password = psycopg.conninfo.conninfo_to_dict(postgres_url)["password"]
    events.do(
        f"CREATE ROLE {user} LOGIN REPLICATION PASSWORD '{password}'",
        f"GRANT SELECT ON events TO {user}",
        "CREATE PUBLICATION lockstep FOR TABLE events WITH (publish_via_partition_root = true)",
    )
    try:
        finding, *rest = ls.check(events.pipeline())
        assert not any(one.blocks for one in rest), rest
        assert "TRUNCATE of a single partition" in finding.problem
        assert not finding.blocks
        with running(events.pipeline()):
            until(lambda: events.actual() == events.expected(), "the backfill")
            for name, statements in STEPS.items():
                events.do(*statements)
                until(lambda: events.actual() == events.expected(), name)
        assert ls.verify(events.pipeline(), "events", method="deep").counts == {}
    finally:
        events.do(f"DROP OWNED BY {user}", f"DROP ROLE {user}")
