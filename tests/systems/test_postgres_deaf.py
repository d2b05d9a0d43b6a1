"""A peer that takes bytes and never answers, and whoever takes our place between two questions."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.systems.postgres_db import Db, patiently, table, told

from lockstep.errors import TimedOut, Unreachable
from lockstep.ports import Caught
from lockstep.systems.postgres import Postgres, client
from lockstep.systems.postgres.client import Address
from lockstep.systems.postgres.faults import mapped
from lockstep.testing.proxy import Proxy
from lockstep.values import EVERYTHING

B = table("b", "id")
SOON = 20.0


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(postgres_url, "CREATE TABLE b(id int PRIMARY KEY)") as db:
        yield db


@pytest.fixture
def proxy(db: Db, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr(client, "GRACE", 0.5)
    host, port = db.app.info.host, db.app.info.port
    with Proxy(host, port) as proxy:
        url = db.url.replace(f":{port}/", f":{proxy.port}/")
        db.source = Postgres(f"{url}?connect_timeout=2", slot=db.name, statement_timeout=1)
        yield proxy


def exhaust(stream: Iterator[Caught]) -> None:
    for _ in patiently(stream):
        pass


def test_a_log_that_falls_silent_is_noticed(db: Db, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockstep.systems.postgres.following.feed.SILENCE", 1.5)
    follower = db.follow(B)
    with follower.open() as stream:
        next(stream)
        proxy.deaf()
        db.execute("INSERT INTO b VALUES (1)")  # not before: what is heard of a table is asked about first
        began = time.monotonic()
        with pytest.raises(Unreachable, match="has not answered for"):
            exhaust(stream)
        assert time.monotonic() - began < SOON
    proxy.accept()
    assert follower.feed.prepare([B], follower.mark).hole is None
    assert told(follower.catch()) == [("b", (1,), None, None)]


def test_a_target_that_falls_silent_after_its_last_answer_is_unreachable(
    db: Db, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "WRITING_SECONDS", 1.0)
    with closing(db.source.table("b").open(1)) as writer:
        ending = writer._marked.moment()
        ending.__enter__().exec_driver_sql("SELECT 1")
        proxy.deaf()
        with pytest.raises(Unreachable):
            ending.__exit__(None, None, None)
        proxy.accept()


def test_a_log_that_is_only_quiet_is_not_taken_for_silent(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockstep.systems.postgres.following.feed.SILENCE", 1.5)
    follower = db.follow(B)
    began = time.monotonic()
    with follower.open() as stream:
        for _ in stream:
            if time.monotonic() - began > 3:
                break


def test_a_question_that_is_never_answered_is_given_up(
    db: Db, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockstep.systems.postgres.following.capture.SLOT_SECONDS", 1.0)
    reader, feed = db.reader(), db.source.feed()
    with reader.snapshot() as snapshot:
        assert snapshot.keys(B, EVERYTHING, 1).keys == []
    feed.prepare([B], None)
    proxy.deaf()
    began = time.monotonic()
    for question in (lambda: reader.snapshot().__enter__(), lambda: reader.estimate(B), feed.lag):
        with pytest.raises(Unreachable, match=r"no answer within|timeout"):
            question()
    assert time.monotonic() - began < 3 * SOON
    proxy.accept()
    with reader.snapshot() as snapshot:
        assert snapshot.keys(B, EVERYTHING, 1).keys == []
    assert feed.lag().retained is not None
    feed.close()


def test_a_statement_that_takes_too_long_is_ended_by_the_server(postgres_url: str) -> None:
    with Address(postgres_url, statement_timeout=0.2).connect() as connection:
        with pytest.raises(TimedOut, match="statement timeout"), mapped("reading"):
            connection.execute(b"SELECT pg_sleep(30)")
        assert connection.execute(b"SELECT 1").fetchone() == (1,)


def test_a_slot_that_is_moved_between_preparing_and_following_is_noticed(db: Db) -> None:
    """The server itself would skip what was moved past, without a word."""
    follower = db.follow(B)
    db.execute(
        "INSERT INTO b VALUES (1)", f"SELECT pg_replication_slot_advance('{db.name}', pg_current_wal_lsn())"
    )
    with pytest.raises(Unreachable, match="another client has moved the replication slot"):
        follower.catch()
    assert "another client moved" in (follower.feed.prepare([B], follower.mark).hole or "")


def test_publishing_a_table_does_not_make_others_wait_behind_it(
    db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adding it waits for whoever alters it; those who come next wait behind us, so not for long."""
    monkeypatch.setattr("lockstep.systems.postgres.following.publishing.LOCK_SECONDS", 1)
    db.follow(B)
    db.execute("CREATE TABLE c(id int PRIMARY KEY)")
    other = db.connect()
    other.execute("LOCK TABLE c IN SHARE UPDATE EXCLUSIVE MODE")
    began = time.monotonic()
    with pytest.raises(Unreachable, match="lock timeout"):
        db.follow(B, table("c", "id"))
    assert time.monotonic() - began < SOON
    other.rollback()
    assert "public.c" in db.follow(B, table("c", "id")).capture.started
