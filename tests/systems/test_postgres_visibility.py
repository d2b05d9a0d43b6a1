"""A change is taken only when it can be read, and what is waited for is said."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import pytest
from tests.systems.postgres_db import Db, table, told, wait_until

from lockstep.systems.postgres import Postgres
from lockstep.systems.postgres.reading import visibility
from lockstep.testing.servers import PostgresServer

T = table("t", "id v")
DDL = ("CREATE TABLE t(id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 1)")


@pytest.fixture
def own(private_postgres: PostgresServer) -> Iterator[Db]:
    """A database on a server of the test's own."""
    with Db(private_postgres.database("app"), *DDL) as db:
        yield db


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(postgres_url, *DDL) as db:
        yield db


def test_a_commit_that_waits_for_a_standby_is_in_the_log_and_not_visible(own: Db) -> None:
    follower, reader = own.follow(T), own.reader()
    own.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
    wait_until(lambda: own.ask("SHOW synchronous_standby_names") == "nobody")
    other = own.connect()
    other.execute("SET application_name = 'the app'")
    other.execute("UPDATE t SET v = 2")
    waiting = threading.Thread(target=other.commit)
    waiting.start()
    try:
        wait_until(lambda: own.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'") == 1)
        (hint,) = follower.catch()
        assert hint.token is not None
        assert own.read("public.t", "v", "id", (1,)) == [(1,)], "decoded, and yet not readable"
        words = reader.visible([hint.token])
        assert words is not None
        assert "synchronous standby" in words
        assert "the app" in words
        capture = follower.feed.prepare([T], follower.mark)
        assert "synchronous standby" in (reader.visible([capture.token or ""]) or "")
    finally:
        own.execute("SET synchronous_commit = local", "ALTER SYSTEM RESET synchronous_standby_names")
        own.execute("SELECT pg_reload_conf()")
        waiting.join()
    wait_until(lambda: reader.visible([hint.token or ""]) is None)
    assert own.read("public.t", "v", "id", (1,)) == [(2,)]


def test_what_is_waited_for_is_named(db: Db) -> None:
    reader = db.reader()
    other = db.connect()
    other.execute("SET application_name = 'long job'")
    xid = other.execute("SELECT pg_current_xact_id()::text::int8").fetchone()[0]  # type: ignore[index]
    token, later = visibility.change(xid), visibility.all_before(xid + 1)
    for tokens in ([token], [later], [token, later], ["x:3", token]):
        words = reader.visible(tokens)
        assert words is not None
        assert f"transaction {xid}" in words
        assert f"pid {other.info.backend_pid}" in words
        assert "long job" in words
        assert "user postgres" in words
        assert "since 20" in words
        assert "idle in transaction" in words
    assert reader.visible([visibility.all_before(xid), "x:3"]) is None, "what is older has ended"
    other.commit()
    assert reader.visible([token]) is None
    end = db.ask("SELECT pg_current_xact_id()::text::int8")
    assert reader.visible([token, later, visibility.all_before(end)]) is None


def test_a_transaction_of_the_future_is_not_visible(db: Db) -> None:
    reader = db.reader()
    assert reader.visible([f"x:{1 << 40}"]) is not None
    assert reader.visible([f"all:{1 << 40}"]) is not None


def test_transactions_of_other_databases_are_not_waited_for(
    own: Db, private_postgres: PostgresServer
) -> None:
    reader = own.reader()
    with Db(private_postgres.database("elsewhere"), "CREATE TABLE x(id int)") as elsewhere:
        elsewhere.connect().execute("INSERT INTO x VALUES (1)")
        xid = own.ask("SELECT pg_current_xact_id()::text::int8")
        assert reader.visible([visibility.all_before(xid)]) is None
        here = own.connect()
        here.execute("INSERT INTO t VALUES (2, 2)")
        xid = own.ask("SELECT pg_current_xact_id()::text::int8")
        assert f"pid {here.info.backend_pid}" in (reader.visible([visibility.all_before(xid)]) or "")


def test_a_prepared_transaction_is_waited_for_and_then_hinted(own: Db) -> None:
    follower, reader, other = own.follow(T), own.reader(), own.connect()
    other.execute("INSERT INTO t VALUES (2, 2)")
    other.execute("PREPARE TRANSACTION 'half done'")
    capture = follower.feed.prepare([T], follower.mark)
    assert follower.catch() == []
    assert "prepared as 'half done'" in (reader.visible([capture.token or ""]) or "")
    own.execute("COMMIT PREPARED 'half done'")
    assert reader.visible([capture.token or ""]) is None
    hints = follower.catch()
    assert told(hints) == [("t", (2,), None, None)]
    assert reader.visible([hint.token or "" for hint in hints]) is None


def test_readers_without_the_right_to_see_others_still_wait(db: Db) -> None:
    role = f"plain_{db.name}"
    db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'", f"GRANT SELECT ON t TO {role}")
    where = db.url.split("@")[1]
    with contextlib.closing(Postgres(f"postgresql://{role}:x@{where}").reader()) as plain:
        other = db.connect()
        xid = other.execute("SELECT pg_current_xact_id()::text::int8").fetchone()[0]  # type: ignore[index]
        assert f"pid {other.info.backend_pid}" in (plain.visible([visibility.change(xid)]) or "")
        assert plain.visible([visibility.all_before(xid + 1)]) is not None
        other.commit()
        assert plain.visible([visibility.change(xid)]) is None
    db.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")
