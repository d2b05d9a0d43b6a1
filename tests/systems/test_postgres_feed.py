"""The feed on a real server: what the laws do not ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from tests.systems.postgres_db import Db, Follower, patiently, table, told, wait_until

from lockstep.errors import Unreachable
from lockstep.forms import keys
from lockstep.ports import Caught, WakingFeed
from lockstep.systems.postgres import lsn
from lockstep.systems.postgres.following import feed as postgres_feed
from lockstep.testing.servers import PostgresServer
from lockstep.values import Table

A, B = table("a", "id v", joins="v"), table("b", "id")
DDL = (
    "CREATE TABLE a(id int PRIMARY KEY, v int, body text)",
    "ALTER TABLE a REPLICA IDENTITY FULL",
    "CREATE TABLE b(id int PRIMARY KEY)",
)


@pytest.fixture(params=["postgres_url", "postgres15_url"])
def db(request: pytest.FixtureRequest) -> Iterator[Db]:
    with Db(request.getfixturevalue(request.param), *DDL) as db:
        yield db


@pytest.fixture
def own(private_postgres: PostgresServer) -> Iterator[Db]:
    with Db(private_postgres.database("app"), *DDL) as db:
        yield db


def exhaust(stream: Iterator[Caught]) -> None:
    for _ in patiently(stream):
        pass


# Ways that only PostgreSQL has


def test_copy_names_with_capitals_and_partitions(db: Db) -> None:
    db.execute(
        'CREATE SCHEMA "Sales"',
        'CREATE TABLE "Sales"."Order Lines"("Id" int PRIMARY KEY, "Ord.er" int)',
        'CREATE TABLE "Sales"."a.b"(id int PRIMARY KEY)',
        "CREATE TABLE p(id int, v int, PRIMARY KEY (id)) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20)",
    )
    lines = Table("Sales.Order Lines", ("Id", "Ord.er"), ("Id",))
    dotted = Table('Sales."a.b"', ("id",), ("id",))
    follower = db.follow(A, lines, dotted, table("p", "id v"))
    with db.app.cursor().copy(b"COPY a(id, v) FROM STDIN") as copy:
        for n in range(3):
            copy.write_row((n, n * 10))
    assert told(follower.catch()) == [("a", (n,), None, {"v": n * 10}) for n in range(3)]
    db.execute('INSERT INTO "Sales"."Order Lines" VALUES (1, 2)', 'INSERT INTO "Sales"."a.b" VALUES (5)')
    assert [(hint.table, keys.decode(hint.key or keys.encode(()))) for hint in follower.catch()] == [
        ("Sales.Order Lines", (1,)),
        ('Sales."a.b"', (5,)),
    ]
    db.execute(
        "INSERT INTO p VALUES (1, 1)", "INSERT INTO p2 VALUES (11, 1)", "UPDATE p SET id = 12 WHERE id = 1"
    )
    assert {one[:2] for one in told(follower.catch())} == {("p", (1,)), ("p", (11,)), ("p", (12,))}


def test_large_values_in_key_and_join_columns(db: Db) -> None:
    long = "(SELECT string_agg(md5(n::text || seed), '') FROM generate_series(1, 70) n)"
    db.execute(
        "CREATE TABLE l(k text PRIMARY KEY, j text, n int)",
        "ALTER TABLE l REPLICA IDENTITY FULL, ALTER k SET STORAGE EXTERNAL, ALTER j SET STORAGE EXTERNAL",
        f"INSERT INTO l SELECT {long}, {long} || 'j', 1 FROM (VALUES ('a'), ('b')) s(seed)",
    )
    follower = db.follow(table("l", "k j n", "k", "j"))
    db.execute("UPDATE l SET n = 2")
    rows = {keys.encode((k,)): keys.encode_one(j) for k, j in db.app.execute("SELECT k, j FROM l").fetchall()}
    assert {hint.key: (hint.after or {})["j"] for hint in follower.catch()} == rows
    db.execute("ALTER TABLE l REPLICA IDENTITY DEFAULT")
    follower.catch()
    db.execute("UPDATE l SET n = 3", "DELETE FROM l")
    assert {hint.key for hint in follower.catch() if hint.key} == set(rows)


def test_a_table_that_is_altered_is_prepared_again_before_its_rows_are_passed_on(db: Db) -> None:
    follower = db.follow(A)
    with follower.open() as stream:
        db.execute("INSERT INTO a VALUES (1, 1)")
        while not next(stream).hints:
            pass
        db.execute("ALTER TABLE a ALTER v TYPE int8", "INSERT INTO a VALUES (2, 2)")
        passed: list[Caught] = []
        with pytest.raises(Unreachable, match="altered"):
            passed.extend(patiently(stream))
    assert [hint for caught in passed for hint in caught.hints] == []
    again = follower.feed.prepare([A], follower.mark)
    assert again.started == ("public.a",)


def test_a_table_that_is_dropped_ends_the_stream_to_be_prepared_again(
    db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockstep.systems.postgres.following.feed.WATCH", 0.0)
    follower = db.follow(A, B)
    with follower.open() as stream:
        next(stream)
        db.execute("DROP TABLE b", "CREATE TABLE b(id int PRIMARY KEY)")
        with pytest.raises(Unreachable, match="dropped"):
            exhaust(stream)
    again = follower.feed.prepare([A, B], follower.mark)
    assert again.started == ("public.b",)


# Transactions


def test_commit_order_is_the_order_of_the_log(db: Db) -> None:
    follower = db.follow(B)
    first, second = db.connect(), db.connect()
    first.execute("INSERT INTO b VALUES (1)")
    second.execute("INSERT INTO b VALUES (2)")
    second.execute("INSERT INTO b VALUES (3)")
    second.commit()
    assert [one[1] for one in told(follower.catch())] == [(2,), (3,)]
    first.commit()
    hints = follower.catch()
    assert [one[1] for one in told(hints)] == [(1,)], "an older transaction, after a younger one"
    assert db.read("public.b", "id", "id", (1,)) == [(1,)]


def test_a_large_transaction_comes_in_stretches(db: Db) -> None:
    follower = db.follow(A, B)
    other = db.connect()
    other.execute("INSERT INTO b VALUES (-1)")
    other.commit()
    other.execute("INSERT INTO a SELECT n, n FROM generate_series(1, 12000) n")
    other.execute("SAVEPOINT s")
    other.execute("INSERT INTO a SELECT n, n FROM generate_series(20001, 25000) n")
    other.execute("ROLLBACK TO s")
    other.execute("INSERT INTO b VALUES (-2)")
    other.commit()
    before = follower.position
    stretches = [caught for caught in follower.stretches() if caught.hints]
    assert max(len(caught.hints) for caught in stretches) <= 5_000
    assert sum(len(caught.hints) for caught in stretches) == 12_002
    inside = [caught for caught in stretches if caught.position is None]
    assert len(inside) == 2
    tokens = {hint.token for caught in stretches for hint in caught.hints if hint.table == "public.a"}
    assert len(tokens) == 1
    follower.position = before
    assert sum(len(caught.hints) for caught in follower.stretches()) == 12_002, "nothing was acknowledged"


def test_small_transactions_that_wait_come_together(db: Db) -> None:
    follower = db.follow(B)
    other = db.connect()
    with follower.open() as stream:
        next(stream)
        for n in range(300):
            other.execute("INSERT INTO b VALUES (%s)", [n])
            other.commit()
        goal = lsn.number(follower.feed.reached())
        sent = f"SELECT sent_lsn::text FROM pg_stat_get_wal_senders() WHERE pid = {sender(db)}"
        wait_until(lambda: lsn.number(db.ask(sent)) >= goal)
        hints = next(stream).hints
    assert [one[1] for one in told(hints)] == [(n,) for n in range(300)]


def sender(db: Db) -> int:
    return int(db.ask(f"SELECT active_pid FROM pg_replication_slots WHERE slot_name = '{db.name}'"))


def test_hints_say_when_it_was_committed(db: Db) -> None:
    follower = db.follow(B)
    db.execute("INSERT INTO b VALUES (1)")
    (hint,) = follower.catch()
    assert abs(hint.at - time.time()) < 60
    assert lsn.number(hint.position or "") < lsn.number(follower.position)


# Acknowledging


def test_what_was_acknowledged_is_forgotten_by_the_server_while_followed(db: Db) -> None:
    follower = db.follow(B)
    with follower.open() as stream:
        db.execute("INSERT INTO b VALUES (1)")
        for caught in patiently(stream):
            if caught.hints:
                break
        assert caught.position is not None
        thread = threading.Thread(target=follower.feed.acknowledge, args=[caught.position])
        thread.start()
        thread.join()
        wait_until(lambda: follower.feed.lag().position == caught.position, between=lambda: next(stream))
    lag = follower.feed.lag()
    assert lag.unit == "bytes"
    assert lag.retained is not None
    assert lag.retained > 0


def test_a_quiet_database_beside_a_busy_one_lets_the_log_go(
    own: Db, private_postgres: PostgresServer
) -> None:
    follower = own.follow(B)
    start = lsn.number(follower.position)
    with Db(private_postgres.database("busy"), "CREATE TABLE x(id int)") as busy, follower.open() as stream:
        for _ in range(5):
            busy.execute("INSERT INTO x SELECT generate_series(1, 20000)")
        busy.execute("SELECT pg_switch_wal()")
        for caught in patiently(stream):
            assert caught.hints == []
            if caught.position is not None:
                follower.feed.acknowledge(caught.position)
                if lsn.number(caught.position) > start + 5_000_000:
                    break
        own.execute("CHECKPOINT")
        wait_until(
            lambda: (follower.feed.lag().retained or 0) < 5_000_000,
            between=lambda: acknowledge_next(follower, stream),
        )


def acknowledge_next(follower: Follower, stream: Iterator[Caught]) -> None:
    caught = next(stream)
    assert caught.position is not None
    follower.feed.acknowledge(caught.position)


def test_something_is_yielded_at_least_each_second(db: Db) -> None:
    follower = db.follow(A, B)
    other = db.connect()
    other.execute("INSERT INTO b VALUES (1)")  # open, and of no concern
    with follower.open() as stream:
        for _ in range(4):
            start = time.monotonic()
            caught = next(stream)
            assert time.monotonic() - start < 3, "a second, on a machine that has time"
            assert caught.hints == []
            assert caught.position is not None


def test_woken_it_yields_without_waiting_for_its_tick(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = db.follow(A, B)
    assert isinstance(follower.feed, WakingFeed)
    follower.feed.wake()  # nobody follows: forgotten
    with follower.open() as stream:
        next(stream)  # it follows by now
        monkeypatch.setattr(postgres_feed, "TICK", 60.0)
        for _ in range(3):
            begun = time.monotonic()
            waker = threading.Timer(0.2, follower.feed.wake)
            waker.start()
            assert next(stream).hints == []
            waker.join()
            assert time.monotonic() - begun < 30
    follower.feed.wake()


def test_a_slow_consumer_loses_nothing(own: Db) -> None:
    own.execute("ALTER SYSTEM SET wal_sender_timeout = '1s'", "SELECT pg_reload_conf()")
    follower = own.follow(B)
    own.execute("INSERT INTO b SELECT generate_series(1, 20000)")
    goal = follower.feed.reached()
    count = 0
    with follower.open() as stream:
        for caught in patiently(stream):
            if not count:
                time.sleep(2.5)  # longer than the server would wait, did the session not say otherwise
            count += len(caught.hints)
            if caught.position is not None and follower.feed.passed(caught.position, goal):
                break
    assert count == 20_000
