"""Between a commit and what can be read of it: PostgreSQL, from the log to the target."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg
import pytest

import lockstep as ls
from lockstep.engine.hints import unfold
from lockstep.testing.servers import PostgresServer
from tests.pairs.world import Following, until


class Note(ls.Model, table="public.notes"):
    id: int = ls.key()
    body: str


class Extra(ls.Model, table="public.extras"):
    id: int = ls.key()
    note_id: int = ls.ref("Note.id")
    body: str


class Noted(Note):
    extras: list[Extra]


class Named(ls.Model, table="public.named"):
    name: str = ls.key()
    body: str


class World:
    """Notes, later with extras, in one table of SQLite. What `tests.pairs.world.Following` follows."""

    def __init__(self, root: Path, url: str) -> None:
        self.root, self.url = root, url
        self.extras = False
        self.do(
            "CREATE TABLE notes (id int PRIMARY KEY, body text)",
            "CREATE TABLE extras (id int PRIMARY KEY, note_id int, body text)",
            "ALTER TABLE extras REPLICA IDENTITY FULL",
            "INSERT INTO notes SELECT i, 'n' || i FROM generate_series(1, 5) i",
        )

    def do(self, *statements: str) -> None:
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    @contextlib.contextmanager
    def open(self, *statements: str) -> Iterator[psycopg.Connection[Any]]:
        """A transaction that stays open until it is told."""
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement.encode())
            yield connection

    def pipeline(self) -> ls.Pipeline:
        made = ls.Pipeline("capture", state=self.root / "state")
        columns = {"id": "INTEGER", "body": "TEXT", "extras": "JSON"}
        to = ls.SQLite(self.root / "out.db").table("notes", columns=columns)
        source = ls.Postgres(self.url, slot="capture")

        def plain(note: Note) -> dict[str, object]:
            return {"id": note.id, "body": note.body, "extras": []}

        def whole(note: Noted) -> dict[str, object]:
            return {"id": note.id, "body": note.body, "extras": [extra.body for extra in note.extras]}

        if self.extras:
            made.mapping(source, to=to, name="notes", version="2")(whole)
        else:
            made.mapping(source, to=to, name="notes", version="1")(plain)
        return made

    def held(self) -> dict[int, tuple[str, list[str]]]:
        with contextlib.closing(self.pipeline().named("notes").target.open(1)) as writer:
            if writer.identity() is None:
                return {}
            records = [one.record for one in writer.scan(None, 1000)]
        return {one["id"]: (one["body"], one["extras"]) for one in records}

    def reasons(self) -> str:
        gauges = [one.gauges for one in ls.status(self.root / "state").mappings]
        return " ".join(str(one.get("reason")) for one in gauges if one)


def stays(condition: Callable[[], bool], seconds: float = 1.5) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition()
        time.sleep(0.1)


def test_a_commit_that_waits_for_a_standby(tmp_path: Path, private_postgres: PostgresServer) -> None:
    """Decoded, and not to be read: who works the hint now finds the old row equal, and forgets the change."""
    world = World(tmp_path, private_postgres.database("app"))
    with Following(world):  # type: ignore[arg-type]
        until(lambda: len(world.held()) == 5)
        with psycopg.connect(world.url, autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            admin.execute("SELECT pg_reload_conf()")
            until(lambda: admin.execute("SHOW synchronous_standby_names").fetchone() == ("nobody",))
            with world.open("UPDATE notes SET body = 'new' WHERE id = 1") as waiting:
                commit = threading.Thread(target=waiting.commit)
                commit.start()
                try:
                    asked = b"SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                    until(lambda: admin.execute(asked).fetchone() == (1,))
                    until(lambda: "synchronous standby" in world.reasons())
                    stays(lambda: world.held()[1] == ("n1", []))
                finally:
                    admin.execute("SET synchronous_commit = local")
                    admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
                    admin.execute("SELECT pg_reload_conf()")
                    commit.join()
        until(lambda: world.held()[1] == ("new", []))
    assert ls.verify(world.pipeline(), "notes", method="deep").agreement


def test_a_table_that_joins_while_a_transaction_is_open(
    tmp_path: Path, private_postgres: PostgresServer
) -> None:
    """No read sees what it wrote before it ends, and servers without the newest fixes never log it."""
    world = World(tmp_path, private_postgres.database("app"))
    ls.run(world.pipeline(), once=True)
    world.extras = True
    opened = world.open("INSERT INTO extras VALUES (1, 1, 'early')")
    with opened as early, Following(world):  # type: ignore[arg-type]
        until(lambda: "extras" in _published(world))
        world.do("INSERT INTO extras VALUES (2, 2, 'late')")
        until(lambda: world.held()[2] == ("n2", ["late"]))
        until(lambda: f"pid {early.info.backend_pid}" in world.reasons())
        early.commit()
        until(lambda: world.held()[1] == ("n1", ["early"]))
    assert ls.verify(world.pipeline(), "notes", method="deep").agreement


def _published(world: World) -> set[str]:
    with psycopg.connect(world.url) as connection:
        found = connection.execute("SELECT tablename FROM pg_publication_tables").fetchall()
    return {name for (name,) in found}


@pytest.mark.parametrize("index", ["name", "name text_pattern_ops", 'name COLLATE "C" DESC'])
def test_orphans_among_keys_that_the_source_orders_otherwise(
    tmp_path: Path, postgres_url: str, index: str
) -> None:
    """Text is in order by its bytes everywhere. Where the source's index is not, a span is two walks."""
    names = ["a", "A", "b", "B", "ä", "Z", "z", "é", "e", "_", "10", "9", "-1", "ß", "😀"]

    def do(*statements: str) -> None:
        with psycopg.connect(postgres_url) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def pipeline() -> ls.Pipeline:
        made = ls.Pipeline("ordered", state=tmp_path / "state")
        to = ls.SQLite(tmp_path / "out.db").table(
            "named", key=("name",), columns={"name": "TEXT", "body": "TEXT"}
        )

        @made.mapping(ls.Postgres(postgres_url, slot=postgres_url.rpartition("/")[2]), to=to, version="1")
        def named(one: Named) -> dict[str, object]:
            return {"name": one.name, "body": one.body}

        return made

    def held() -> set[str]:
        with contextlib.closing(pipeline().named("named").target.open(1)) as writer:
            return {str(one.record["name"]) for one in writer.scan(None, 1000)}

    values = ", ".join(f"('{name}', 'x')" for name in names)
    do("CREATE TABLE named (name text NOT NULL, body text)", "ALTER TABLE named REPLICA IDENTITY FULL")
    do(f"CREATE UNIQUE INDEX ON named ({index})", f"INSERT INTO named VALUES {values}")
    with mock.patch.object(unfold, "SPAN", 4):
        ls.run(pipeline(), once=True)
        assert held() == set(names)
        gone = {"A", "ä", "z", "10", "😀"}
        slot = postgres_url.rpartition("/")[2]
        do(f"SELECT pg_drop_replication_slot('{slot}')")
        do(f"DELETE FROM named WHERE name IN ({', '.join(repr(name) for name in sorted(gone))})")
        do("INSERT INTO named VALUES ('Ä', 'new')")
        ls.run(pipeline(), once=True)
    assert held() == set(names) - gone | {"Ä"}
    report = ls.verify(pipeline(), "named", method="deep")
    assert report.agreement, report.divergences


def test_a_held_mapping_blocks_no_other_and_loses_nothing(tmp_path: Path, postgres_url: str) -> None:
    """Each has positions of its own in the one journal of their source."""
    url = postgres_url
    world = World(tmp_path, url)
    broken = True

    def both() -> ls.Pipeline:
        made = ls.Pipeline("both", state=tmp_path / "both")
        source = ls.Postgres(url, slot=url.rpartition("/")[2])
        for name in ("good", "bad"):
            to = ls.SQLite(tmp_path / "both.db").table(name, columns={"id": "INTEGER", "body": "TEXT"})
            made.mapping(source, to=to, name=name, version="1")(_document)
        if broken:
            made.named("bad").function = _raise
        return made

    def held(name: str) -> dict[int, str]:
        with contextlib.closing(both().named(name).target.open(1)) as writer:
            return {one.record["id"]: one.record["body"] for one in writer.scan(None, 1000)}

    world.do("INSERT INTO notes SELECT i, 'n' || i FROM generate_series(6, 300) i")
    with pytest.raises(ls.MappingStopped):
        ls.run(both(), once=True)
    assert len(held("good")) == 300
    world.do("UPDATE notes SET body = 'new' WHERE id = 7", "DELETE FROM notes WHERE id = 8")
    ls.run(both(), once=True)
    assert held("good")[7] == "new"
    assert held("bad") == {}
    broken = False
    ls.retry(both(), "bad")
    ls.run(both(), once=True)
    assert held("bad") == held("good")
    for name in ("good", "bad"):
        assert ls.verify(both(), name, method="deep").agreement


def _document(note: Note) -> dict[str, object]:
    return {"id": note.id, "body": note.body}


def _raise(note: Note) -> dict[str, object]:
    raise ValueError("a bad deploy")
