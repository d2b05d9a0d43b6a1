"""Rows read on a hot standby, the log followed on its primary: two real servers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.schemas.running import running
from tests.schemas.shop import Shop, until
from tests.systems.postgres_db import Db, table, wait_until

import lockstep as ls
from lockstep.errors import Refused, Unreachable
from lockstep.place import StateUrl
from lockstep.state.store import Store
from lockstep.systems.postgres import Postgres, lsn
from lockstep.systems.postgres.reading.replica import _written
from lockstep.testing.servers import PostgresServer, PostgresStandby
from lockstep.values import Change, Fetch, Fingerprint, Meta, version

A = table("a", "id")
EVERY = Fetch("public.a", ("id",), ("id",))


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[PostgresServer, PostgresStandby]]:
    settings = {"hot_standby_feedback": "off", "max_standby_streaming_delay": "0"}
    with PostgresServer() as primary:
        primary.database("app")
        with PostgresStandby(primary, settings=settings) as standby:
            yield primary, standby


@pytest.fixture
def db(pair: tuple[PostgresServer, PostgresStandby]) -> Iterator[Db]:
    primary, standby = pair
    with primary.temporary_database() as url, Db(url, "CREATE TABLE a(id int PRIMARY KEY)") as db:
        wait_until(standby.caught_up)
        db.source = Postgres(url, slot=db.name, replica=standby.url(db.name))
        yield db
        with standby._connect() as connection:
            connection.execute("SELECT pg_wal_replay_resume()")


def on_standby(pair: tuple[PostgresServer, PostgresStandby], statement: str) -> None:
    with pair[1]._connect() as connection:
        connection.execute(statement.encode())


def test_what_is_hinted_is_read_once_it_is_replayed(
    pair: tuple[PostgresServer, PostgresStandby], db: Db
) -> None:
    follower, reader = db.follow(A), db.reader()
    on_standby(pair, "SELECT pg_wal_replay_pause()")
    db.execute("INSERT INTO a VALUES (1)")
    (hint,) = follower.catch()
    waits = reader.visible([hint.token or ""]) or ""
    assert re.search(
        r"the standby postgres:.* replayed the log up to .*, .* is waited for, .*paused.*_resume", waits
    )
    with reader.snapshot() as snapshot:
        assert snapshot.rows(EVERY, [(1,)]) == [], "this is what the wait is for"
    on_standby(pair, "SELECT pg_wal_replay_resume()")
    wait_until(lambda: reader.visible([hint.token or ""]) is None)
    with reader.snapshot() as snapshot:
        assert snapshot.rows(EVERY, [(1,)]) == [(1,)]


def test_a_transaction_that_is_open_on_the_primary_is_waited_for(db: Db) -> None:
    reader, other = db.reader(), db.connect()
    other.execute("INSERT INTO a VALUES (1)")
    (xid,) = other.execute("SELECT pg_current_xact_id()::text").fetchone() or ("",)
    assert f"pid {other.info.backend_pid}" in (reader.visible([f"x:{xid}"]) or "")
    other.commit()
    wait_until(lambda: reader.visible([f"x:{xid}"]) is None)
    with reader.snapshot() as snapshot:
        assert snapshot.rows(EVERY, [(1,)]) == [(1,)]


def test_a_read_that_is_in_the_way_of_replay_is_tried_again(db: Db) -> None:
    db.execute("INSERT INTO a SELECT generate_series(1, 1000)")
    reader = db.reader()
    token = f"all:{db.ask('SELECT pg_current_xact_id()::text')}"
    wait_until(lambda: reader.visible([token]) is None)

    def read_for_long() -> None:
        with reader.snapshot() as snapshot:
            assert len(snapshot.rows(EVERY, [(n,) for n in range(1001)])) == 1000
            db.execute("DELETE FROM a", "VACUUM (FREEZE) a", "INSERT INTO a VALUES (5)")
            while True:
                snapshot.rows(EVERY, [(1,)])

    with pytest.raises(Unreachable, match="conflict with recovery") as conflict:
        read_for_long()
    assert conflict.value.retriable
    token = f"all:{db.ask('SELECT pg_current_xact_id()::text')}"
    wait_until(lambda: reader.visible([token]) is None)
    with reader.snapshot() as snapshot:
        assert snapshot.rows(EVERY, [(1,), (5,)]) == [(5,)]


def test_an_idle_primary_is_caught_up_with(db: Db) -> None:
    """The end of the log may be told as behind a page's header: no record ends there to be replayed."""
    reader = db.reader()
    for size in range(0, 9000, 1500):
        db.execute(f"SELECT pg_logical_emit_message(false, 'x', repeat('x', {size}))")
        token = f"all:{db.ask('SELECT pg_current_xact_id()::text')}"
        wait_until(lambda token=token: reader.visible([token]) is None)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("position", "end"),
    [
        (0x3001238, 0x3001238),
        (0x3002018, 0x3002000),
        (0x3000028, 0x3000000),
        (0x3002028, 0x3002028),
        (0x3000018, 0x3000000),
    ],
)
def test_where_the_last_record_ends(position: int, end: int) -> None:
    class Told:
        def execute(self, _: bytes) -> Told:
            return self

        def fetchone(self) -> tuple[object, ...]:
            return lsn.text(position), 8192, 16 * 1024 * 1024

    assert _written(Told()) == end  # type: ignore[arg-type]


def test_another_server_is_refused(db: Db, postgres_url: str) -> None:
    for url, found in ((postgres_url, "no standby of"), (db.url, "no standby of")):
        source = Postgres(db.url, slot=db.name, replica=url)
        (finding,) = [one for one in source.check([A]) if one.blocks]
        assert found in finding.problem
        with contextlib.closing(source.reader()) as reader, pytest.raises(Refused, match=found):
            reader.visible(["x:5"])
    down = Postgres(db.url, slot=db.name, replica="postgresql://postgres@127.0.0.1:9/x")
    (finding,) = [one for one in down.check([A]) if one.blocks]
    assert "127.0.0.1:9" in finding.problem


def test_a_standby_that_is_behind_what_was_read_is_waited_for(db: Db) -> None:
    reader = db.reader()
    reader._floor = 1 << 60  # type: ignore[attr-defined]
    with pytest.raises(Unreachable, match="another standby answers"), reader.snapshot():
        pass


def test_end_to_end(
    pair: tuple[PostgresServer, PostgresStandby], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockstep.systems.postgres.following.feed.WATCH", 0.2)
    primary, standby = pair
    with primary.temporary_database() as url:
        wait_until(standby.caught_up)

        class Replicated(Shop):
            def source(self) -> ls.Postgres:
                name = url.rpartition("/")[2]
                return ls.Postgres(url, slot=name, replica=standby.url(name))

        shop = Replicated(tmp_path, url)
        with running(shop.pipeline()) as run:
            shop.settle("the backfill")
            on_standby(pair, "SELECT pg_wal_replay_pause()")
            shop.do("UPDATE items SET name = 'later' WHERE id < 4", "DELETE FROM items WHERE id = 9")
            until(lambda: "replay is paused" in run.reason("items"), "the wait")
            on_standby(pair, "SELECT pg_wal_replay_resume()")
            shop.settle("the replay")
            shop.do("ALTER TABLE items ALTER name TYPE text USING upper(name)")
            shop.settle("an altered table")
        shop.assert_agreement()


def test_a_standby_is_no_target_and_keeps_no_state(
    pair: tuple[PostgresServer, PostgresStandby], db: Db
) -> None:
    """Both say so with the mend, before and when something is written."""
    standby = pair[1]
    with contextlib.closing(Postgres(db.url).table("a").open(1)) as writer:
        writer.create("m")
    wait_until(standby.caught_up)
    target = Postgres(standby.url(db.name)).table("a")
    (finding,) = target.check()
    assert "read-only" in finding.problem
    assert "primary" in finding.mend
    key = target.key((1,))
    with contextlib.closing(target.open(1)) as writer:
        assert writer.read([key]) == {}
        with pytest.raises(Refused, match="read-only") as refused:
            writer.write([Change(key, {}, Meta("m", key, Fingerprint(1), 1, version(1, 1)))])
        assert "primary" in refused.value.remedy
    with pytest.raises(ls.StateError) as error:
        Store(StateUrl(standby.url(db.name)))
    assert "primary" in error.value.remedy
