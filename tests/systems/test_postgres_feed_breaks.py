"""The feed when something breaks: connections, servers, slots, publications."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest
from tests.systems.postgres_db import PATIENCE, Db, patiently, table, told, wait_until

from lockstep.errors import Refused, Unreachable
from lockstep.forms import keys
from lockstep.ports import Caught
from lockstep.systems.postgres import Postgres
from lockstep.testing.proxy import Proxy
from lockstep.testing.servers import PostgresServer
from lockstep.values import EVERYTHING, FeedMark

A, B = table("a", "id v", joins="v"), table("b", "id")
DDL = (
    "CREATE TABLE a(id int PRIMARY KEY, v int, body text)",
    "ALTER TABLE a REPLICA IDENTITY FULL",
    "CREATE TABLE b(id int PRIMARY KEY)",
)


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(postgres_url, *DDL) as db:
        yield db


@pytest.fixture
def own(private_postgres: PostgresServer) -> Iterator[Db]:
    with Db(private_postgres.database("app"), *DDL) as db:
        yield db


def exhaust(stream: Iterator[Caught]) -> None:
    for _ in patiently(stream):
        pass


# What breaks


def test_a_cut_connection_is_unreachable_and_following_goes_on(db: Db) -> None:
    host, port = db.app.info.host, db.app.info.port
    proxy = Proxy(host, port)
    db.source = Postgres(db.url.replace(f":{port}/", f":{proxy.port}/"), slot=db.name)
    try:
        follower = db.follow(B)
        with follower.open() as stream:
            next(stream)
            db.execute("INSERT INTO b VALUES (1)")
            proxy.cut()
            with pytest.raises(Unreachable) as cut:
                exhaust(stream)
            assert cut.value.retriable
        proxy.refuse()
        for question in (follower.feed.reached, follower.feed.lag, lambda: next(follower.feed.follow("0/0"))):
            proxy.cut()
            with pytest.raises(Unreachable):
                question()
        proxy.accept()
        follower.feed.prepare([B], follower.mark)
        db.execute("INSERT INTO b VALUES (2)")
        wait_until(
            lambda: (
                db.ask("SELECT active FROM pg_replication_slots WHERE slot_name = current_database()")
                is False
            )
        )
        assert [one[1] for one in told(follower.catch())] == [(1,), (2,)]
    finally:
        proxy.close()


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_server_that_goes_away_loses_nothing(own: Db, private_postgres: PostgresServer, how: str) -> None:
    follower = own.follow(B)
    own.execute("INSERT INTO b VALUES (1)")
    follower.catch()
    mark = follower.keep()
    own.execute("INSERT INTO b VALUES (2)")
    with follower.open() as stream:
        while not next(stream).hints:
            pass
        own.execute("INSERT INTO b VALUES (3)")
        stopping = threading.Thread(target=private_postgres.kill if how == "kill" else private_postgres.stop)
        stopping.start()
        with pytest.raises(Unreachable):
            exhaust(stream)
        stopping.join()
    with pytest.raises(Unreachable):
        follower.feed.prepare([B], mark)
    private_postgres.start()
    with Db(private_postgres.url("app")) as db:
        db.execute("INSERT INTO b VALUES (4)")
        again = db.follow(B, mark=mark)
        assert (again.capture.hole, again.capture.started) == (None, ())
        assert [one[1] for one in told(again.catch())] == [(2,), (3,), (4,)]


def test_a_slot_that_somebody_follows_is_named(db: Db) -> None:
    follower, second = db.follow(B), db.follow(B)
    with follower.open() as stream:
        next(stream)
        with pytest.raises(Unreachable, match=r"active for PID \d+") as taken:
            next(second.feed.follow(second.position))
        assert "stop the other" in taken.value.remedy
        assert next(stream).hints == []
    assert next(second.feed.follow(second.position)).hints == []


def test_following_without_preparing_is_refused(db: Db) -> None:
    with contextlib.closing(db.source.feed()) as feed, pytest.raises(Refused):
        next(feed.follow("0/0"))


def test_the_end_of_the_log_is_behind_commits_that_did_not_wait_for_the_disk(db: Db) -> None:
    follower = db.follow(B)
    for n in range(20):
        db.execute("SET synchronous_commit = off", f"INSERT INTO b VALUES ({n})")
        assert [one[1] for one in told(follower.catch())] == [(n,)]


def test_truncate_is_a_full_span(db: Db) -> None:
    follower = db.follow(A, B)
    db.execute("TRUNCATE a, b")
    assert {(hint.table, hint.span) for hint in follower.catch()} == {
        ("public.a", EVERYTHING),
        ("public.b", EVERYTHING),
    }


@pytest.mark.parametrize("statement", ["DROP PUBLICATION lockstep", "SELECT pg_drop_replication_slot('{}')"])
def test_what_is_taken_away_is_made_again(db: Db, statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "lockstep.systems.postgres.following.feed.WATCH", 0.5
    )  # 18 goes on without its publication
    follower = db.follow(B)
    mark = follower.keep()
    db.execute(statement.format(db.name), "INSERT INTO b VALUES (1)")
    with (
        follower.open() as stream,
        pytest.raises(Unreachable, match=r"cannot be followed any more|taken out"),
    ):
        exhaust(stream)
    again = db.follow(B, mark=mark)
    assert again.capture.hole
    db.execute("INSERT INTO b VALUES (2)")
    assert told(again.catch()) == [("b", (2,), None, None)]


def test_a_plain_user_with_the_right_to_replicate_is_enough(db: Db) -> None:
    role = f"plain_{db.name}"
    db.execute(
        f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD 'x'",
        f"ALTER ROLE {role} SET default_transaction_read_only = on",
        f"ALTER ROLE {role} SET statement_timeout = '2s'",
        f"GRANT SELECT ON b TO {role}",
        "CREATE PUBLICATION lockstep FOR TABLE b WITH (publish_via_partition_root = true)",
    )
    superuser = db.source
    db.source = Postgres(f"postgresql://{role}:x@{db.url.split('@')[1]}", slot=db.name)
    assert db.source.check([B]) == []
    follower = db.follow(B)
    db.execute("INSERT INTO b VALUES (1)")
    (hint,) = follower.catch()
    assert db.reader().visible([hint.token or ""]) is None
    follower.keep()
    assert db.read("public.b", "id", "id", (1,)) == [(1,)]
    follower.close()
    db.source = superuser
    db.execute(f"DROP OWNED BY {role}")
    wait_until(lambda: db.ask(f"SELECT count(*) FROM pg_stat_activity WHERE usename = '{role}'") == 1)


def test_pulling_the_cable_again_and_again_loses_nothing(db: Db) -> None:
    """As the engine does: journal, then acknowledge; after each break prepare and follow from the mark."""
    host, port = db.app.info.host, db.app.info.port
    proxy = Proxy(host, port)
    db.source = Postgres(db.url.replace(f":{port}/", f":{proxy.port}/"), slot=db.name)
    done, stop = threading.Event(), threading.Event()
    cuts: list[int] = []

    def write() -> None:
        number = 0
        with db.connect() as app:
            while (number < 100 or len(cuts) < 4) and not stop.is_set():
                number += 1
                app.execute("INSERT INTO b SELECT %s::int * 100 + n FROM generate_series(0, 90) n", [number])
                app.commit()
        done.set()

    journal: list[Caught] = []
    writer = threading.Thread(target=write)
    try:
        follower = db.follow(B)
        mark, goal = follower.mark, None
        writer.start()
        until = time.monotonic() + PATIENCE
        while goal is None or not follower.feed.passed(mark.position, goal):
            assert time.monotonic() < until
            with contextlib.suppress(Unreachable):
                capture = follower.feed.prepare([B], mark)
                assert (capture.hole, capture.started) == (None, ())
                for taken, caught in enumerate(patiently(follower.feed.follow(capture.position))):
                    journal.append(caught)
                    if caught.position is not None:
                        mark = FeedMark(mark.source, caught.position, mark.identity)
                        if taken % 3:  # it crashes before it acknowledges, at times
                            follower.feed.acknowledge(caught.position)
                    if goal is not None and follower.feed.passed(mark.position, goal):
                        break
                    if done.is_set() and goal is None:
                        goal = follower.feed.reached()
                    if taken == 2 and not done.is_set():
                        proxy.cut()
                        cuts.append(taken)
    finally:
        stop.set()
        writer.join()
        proxy.close()
    hinted = {hint.key for caught in journal for hint in caught.hints}
    assert hinted == {keys.encode((n,)) for (n,) in db.app.execute("SELECT id FROM b").fetchall()}
