"""The reader against what happens to a database while it is read."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

import pytest
from tests.systems.postgres_db import Db, table, wait_until

from lockstep.errors import Refused, Unreachable
from lockstep.ports import Reader
from lockstep.systems.postgres import Postgres
from lockstep.testing.proxy import Proxy
from lockstep.testing.servers import PostgresServer
from lockstep.values import Fetch

T = table("t", "id v")
ONE = Fetch("public.t", ("id", "v"), ("id",))
DDL = ("CREATE TABLE t(id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 10), (2, 20)")


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(postgres_url, *DDL) as db:
        yield db


def read(reader: Reader, fetch: Fetch = ONE, *values: int) -> list[tuple[object, ...]]:
    with reader.snapshot() as snapshot:
        return sorted(snapshot.rows(fetch, [(value,) for value in values or (1, 2, 3)]))


# A table that is rewritten reads as empty in an older snapshot: PostgreSQL does not isolate it.


@pytest.mark.parametrize(
    "statement",
    [
        "TRUNCATE t",
        "ALTER TABLE t ALTER v TYPE int8",
        "ALTER TABLE t ADD w timestamptz DEFAULT clock_timestamp()",
    ],
)
@pytest.mark.parametrize("known", [False, True], ids=["first time", "known"])
def test_a_table_that_is_rewritten_never_reads_as_empty(db: Db, statement: str, known: bool) -> None:
    reader = db.reader()
    if known:
        assert len(read(reader)) == 2
    other = db.connect()
    other.execute("SET lock_timeout = '100ms'")
    with contextlib.suppress(Unreachable), reader.snapshot() as snapshot:
        with contextlib.suppress(Exception):  # a known table is locked: the statement has to wait
            other.execute(statement.encode())
            other.commit()
        assert len(snapshot.rows(ONE, [(1,), (2,)])) == 2
    other.rollback()
    expected = 0 if statement.startswith("TRUNCATE") and not known else 2
    assert len(read(reader)) == expected


def test_a_rewrite_that_came_first_is_waited_for(db: Db) -> None:
    reader = db.reader()
    read(reader)
    other = db.connect()
    other.execute("ALTER TABLE t ALTER v TYPE int8")
    found: list[object] = []

    def again_and_again() -> None:
        while not found:
            with contextlib.suppress(Unreachable):  # it was rewritten after the snapshot
                found.extend(read(reader))

    thread = threading.Thread(target=again_and_again)
    thread.start()
    wait_until(
        lambda: db.ask("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 't'::regclass") > 0
    )
    other.commit()
    thread.join()
    assert found == [(1, 10), (2, 20)]


def test_a_table_that_is_being_altered_does_not_hold_the_others_up(db: Db) -> None:
    db.execute("CREATE TABLE u(id int PRIMARY KEY)", "INSERT INTO u VALUES (1)")
    reader, other_table = db.reader(), Fetch("public.u", ("id",), ("id",))
    for _ in range(2):
        assert len(read(reader)) == 2
        assert read(reader, other_table) == [(1,)]
    other = db.connect()
    other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
    assert read(reader, other_table) == [(1,)]
    other.rollback()
    assert len(read(reader)) == 2


def test_partitions_that_are_rewritten_are_seen(db: Db) -> None:
    db.execute(
        "CREATE TABLE p(id int PRIMARY KEY) PARTITION BY RANGE (id)",
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
        "INSERT INTO p VALUES (1)",
    )
    reader = db.reader()
    with reader.snapshot() as snapshot:
        db.execute("TRUNCATE p1")
        with pytest.raises(Unreachable, match="rewritten"):
            snapshot.rows(Fetch("public.p", ("id",), ("id",)), [(1,)])
    with reader.snapshot() as snapshot:
        assert snapshot.rows(Fetch("public.p", ("id",), ("id",)), [(1,)]) == []


# DDL between snapshots


def test_a_table_that_changes_is_read_as_it_is_now(db: Db) -> None:
    reader = db.reader()
    assert read(reader) == [(1, 10), (2, 20)]
    db.execute("ALTER TABLE t ALTER id TYPE int8", f"INSERT INTO t VALUES ({1 << 40}, 5)")
    assert read(reader, ONE, 1 << 40) == [(1 << 40, 5)]
    db.execute("ALTER TABLE t ALTER id TYPE text")
    with reader.snapshot() as snapshot:
        assert snapshot.rows(ONE, [("1",), (2,)]) == [("1", 10)]
    db.execute(
        "ALTER TABLE t RENAME TO old",
        "CREATE TABLE t(id int PRIMARY KEY, v text)",
        "INSERT INTO t VALUES (1, 'x')",
    )
    assert read(reader) == [(1, "x")]
    db.execute("DROP TABLE t")
    with pytest.raises(Refused, match=r"no table public\.t"):
        read(reader)
    assert read(reader, Fetch("public.old", ("v",), ("id",))) == []
    db.execute(*DDL)
    assert read(reader) == [(1, 10), (2, 20)]


def test_a_value_out_of_the_columns_range_is_no_row(db: Db) -> None:
    assert db.read("public.t", "id", "id", (1 << 31,), (1 << 70,), (1,)) == [(1,)]


# what must be refused rather than misread


def test_rows_that_a_policy_hides_are_an_error_and_not_absent(db: Db) -> None:
    role = f"plain_{db.name}"
    db.execute(
        "ALTER TABLE t ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY hide ON t USING (id = 1)",
        f"CREATE ROLE {role} LOGIN PASSWORD 'x'",
        f"GRANT SELECT ON t TO {role}",
    )
    plain = Postgres(f"postgresql://{role}:x@{db.url.split('@')[1]}").reader()
    with contextlib.closing(plain), pytest.raises(Refused, match="row-level security"):
        read(plain)
    db.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_what_may_not_be_read_is_refused(db: Db) -> None:
    role = f"plain_{db.name}"
    db.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    plain = Postgres(f"postgresql://{role}:x@{db.url.split('@')[1]}").reader()
    with contextlib.closing(plain), pytest.raises(Refused, match="permission denied"):
        read(plain)
    db.execute(f"DROP ROLE {role}")


# broken connections


def test_a_kept_connection_that_broke_is_replaced(db: Db) -> None:
    reader = db.reader()
    assert len(read(reader)) == 2
    kill = (
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
        " WHERE application_name = 'lockstep' AND datname = current_database()"
    )
    for question in (lambda: read(reader), lambda: reader.visible(["x:3"]), lambda: reader.estimate(T)):
        assert db.ask(kill) >= 1
        question()
        question()


def test_a_stream_that_is_left_when_its_connection_is_gone_leaves_nothing_open(db: Db) -> None:
    db.execute("INSERT INTO t SELECT n, n FROM generate_series(10, 20000) n")
    with contextlib.closing(db.source.reader()) as reader, reader.snapshot() as snapshot:
        stream = snapshot.stream(ONE, [(n,) for n in range(10, 20000)])
        next(stream)
        db.ask(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with pytest.raises(Unreachable):
            stream.close()  # type: ignore[attr-defined]
        del stream
        gc.collect()  # a cursor that is still open says so here


def test_a_cut_connection_is_unreachable_and_then_all_is_well(db: Db) -> None:
    host, port = db.app.info.host, db.app.info.port
    proxy = Proxy(host, port)
    try:
        reader = Postgres(db.url.replace(f":{port}/", f":{proxy.port}/")).reader()
        with contextlib.closing(reader):
            with reader.snapshot() as snapshot:
                proxy.cut()
                with pytest.raises(Unreachable):
                    snapshot.rows(ONE, [(1,)])
            assert len(read(reader)) == 2
            proxy.refuse()
            proxy.cut()
            with pytest.raises(Unreachable):
                read(reader)
            proxy.accept()
            assert len(read(reader)) == 2
    finally:
        proxy.close()


def test_a_killed_server_is_unreachable_until_it_is_back(private_postgres: PostgresServer) -> None:
    with Db(private_postgres.database("app"), *DDL) as db:
        reader = db.reader()
        assert len(read(reader)) == 2
        private_postgres.kill()
        for _ in range(2):
            with pytest.raises(Unreachable):
                read(reader)
        private_postgres.start()
        assert len(read(reader)) == 2


def test_an_error_of_the_consumer_leaves_the_reader_whole(db: Db) -> None:
    reader = db.reader()
    with pytest.raises(ZeroDivisionError), reader.snapshot():
        raise ZeroDivisionError
    assert len(read(reader)) == 2
    open_ = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lockstep' AND xact_start IS NOT NULL"
    )
    assert db.ask(open_ + " AND datname = current_database()") == 0
