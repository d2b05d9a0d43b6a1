"""What capture finds and makes: since when changes are known, and when the log has a hole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.systems.postgres_db import Db, table, told

from lockstep.errors import Refused, Unreachable
from lockstep.systems.postgres import Postgres, lsn
from lockstep.systems.postgres.following import capture, publishing
from lockstep.testing.servers import PostgresServer
from lockstep.values import FeedMark

A, B = table("a", "id"), table("b", "id")
DDL = ("CREATE TABLE a(id int PRIMARY KEY)", "CREATE TABLE b(id int PRIMARY KEY)")


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(postgres_url, *DDL) as db:
        yield db


def drop_slot(db: Db) -> None:
    db.execute(f"SELECT pg_drop_replication_slot('{db.name}')")


def test_the_first_time_everything_is_made_and_started(db: Db) -> None:
    first = db.follow(A, B)
    assert first.capture.started == ("public.a", "public.b")
    assert first.capture.hole is None
    assert first.capture.token is not None
    assert first.capture.identity.endswith(
        f"/{db.ask('SELECT oid FROM pg_database WHERE datname = current_database()')}"
    )
    options = "SELECT ROW(pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot)::text FROM pg_publication"
    assert db.ask(options) == "(t,t,t,t,f)"
    assert db.ask("SELECT string_agg(tablename, ',' ORDER BY 1) FROM pg_publication_tables") == "a,b"


def test_without_a_mark_an_old_slot_counts_as_new(db: Db) -> None:
    first = db.follow(A)
    db.execute("INSERT INTO a VALUES (1)")
    second = db.follow(A)
    assert second.capture.started == ("public.a",)
    assert second.capture.hole is None
    assert told(second.catch()) == [("a", (1,), None, None)]
    assert first.capture.identity == second.capture.identity


# A table that joins


def test_a_transaction_that_was_open_holds_the_token_back(db: Db) -> None:
    first = db.follow(A)
    mark = first.keep()
    other = db.connect()
    other.execute("INSERT INTO b VALUES (1)")
    reader = db.reader()
    second = db.follow(A, B, mark=mark)
    assert second.capture.started == ("public.b",)
    token = second.capture.token or ""
    assert f"pid {other.info.backend_pid}" in (reader.visible([token]) or "")
    other.execute("INSERT INTO b VALUES (2)")
    other.commit()
    assert reader.visible([token]) is None
    seen = {key for (key,) in db.read("public.b", "id", "id", (1,), (2,))}
    hinted = {hint.key for hint in second.catch() if hint.table == "public.b"}
    assert seen == {1, 2}, "the full span, read now, has what the log did not deliver"
    assert len(hinted) < 2, "(the log alone does not)"


def test_a_table_stays_started_until_the_mark_is_past_it(db: Db) -> None:
    mark = db.follow(A).keep()
    for _ in range(2):
        again = db.follow(A, B, mark=mark)
        assert again.capture.started == ("public.b",), "the hint of it may not have become durable"
        assert again.capture.position == mark.position
    again.catch()
    assert db.follow(A, B, mark=again.mark).capture.started == ()


def test_tables_that_are_not_asked_for_stay_published_and_are_not_hinted(db: Db) -> None:
    mark = db.follow(A, B).keep()
    second = db.follow(A, mark=mark)
    db.execute("INSERT INTO b VALUES (1)", "INSERT INTO a VALUES (2)")
    assert told(second.catch()) == [("a", (2,), None, None)]
    third = db.follow(A, B, mark=second.mark)
    assert third.capture.started == ("public.b",), "what it missed meanwhile"


def test_what_people_wrote_about_the_publication_stays(db: Db) -> None:
    mark = db.follow(A).keep()
    db.execute("COMMENT ON PUBLICATION lockstep IS 'ours: do not touch'")
    db.follow(A, B, mark=mark)
    comment = db.ask("SELECT obj_description(oid, 'pg_publication') FROM pg_publication")
    assert comment.startswith("ours: do not touch\nlockstep: {")
    db.execute("CREATE TABLE c(id int PRIMARY KEY)")
    started = db.follow(A, B, table("c", "id"), mark=mark).capture.started
    assert started == ("public.a", "public.b", "public.c"), "our note was lost, so nothing is known of a"
    comment = db.ask("SELECT obj_description(oid, 'pg_publication') FROM pg_publication")
    assert comment.count("lockstep: ") == 1


def test_a_publication_of_all_tables_is_used_as_it_is(db: Db) -> None:
    db.execute("CREATE PUBLICATION lockstep FOR ALL TABLES")
    follower = db.follow(A, B)
    db.execute("INSERT INTO b VALUES (1)")
    assert told(follower.catch()) == [("b", (1,), None, None)]


def test_a_table_that_was_dropped_and_made_again_is_started(db: Db) -> None:
    mark = db.follow(A, B).keep()
    db.execute("DROP TABLE b", "CREATE TABLE b(id int PRIMARY KEY)")
    second = db.follow(A, B, mark=mark)
    assert second.capture.started == ("public.b",)
    db.execute("INSERT INTO b VALUES (1)")
    assert told(second.catch()) == [("b", (1,), None, None)]


# Holes


def test_a_slot_that_is_gone_is_a_hole(db: Db) -> None:
    mark = db.follow(A).keep()
    drop_slot(db)
    second = db.follow(A, mark=mark)
    assert second.capture.hole is not None
    assert "is gone" in second.capture.hole
    assert second.capture.started == ("public.a",)
    db.execute("INSERT INTO a VALUES (1)")
    assert told(second.catch()) == [("a", (1,), None, None)]
    assert db.follow(A, mark=second.mark).capture.hole is None


def test_a_publication_that_is_gone_is_a_hole_and_followed_again(db: Db) -> None:
    """Its slot could not be decoded any more: the log reaches back behind the publication."""
    mark = db.follow(A).keep()
    db.execute("DROP PUBLICATION lockstep", "INSERT INTO a VALUES (1)")
    second = db.follow(A, mark=mark)
    assert "publication was gone" in (second.capture.hole or "")
    db.execute("INSERT INTO a VALUES (2)")
    assert told(second.catch()) == [("a", (2,), None, None)]


def test_a_journal_that_was_restored_is_a_hole(db: Db) -> None:
    first = db.follow(A)
    old = first.mark
    db.execute("INSERT INTO a VALUES (1)")
    first.catch()
    first.keep()
    second = db.follow(A, mark=old)
    assert "or the journal was restored" in (second.capture.hole or "")
    assert lsn.number(second.capture.position) >= lsn.number(first.position)


def test_a_server_that_was_restored_is_a_hole(db: Db) -> None:
    first = db.follow(A)
    ahead = FeedMark(first.mark.source, "FFFF/0", first.mark.identity)
    second = db.follow(A, mark=ahead)
    assert "the server was restored" in (second.capture.hole or "")
    db.execute("INSERT INTO a VALUES (1)")
    assert told(second.catch()) == [("a", (1,), None, None)]


def test_a_slot_that_the_server_invalidated_is_a_hole(private_postgres: PostgresServer) -> None:
    with Db(private_postgres.database("app"), *DDL) as db:
        mark = db.follow(A).keep()
        db.execute("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
        for _ in range(4):
            db.execute(
                "INSERT INTO b SELECT generate_series(1, 10000)", "TRUNCATE b", "SELECT pg_switch_wal()"
            )
        db.execute("CHECKPOINT")
        assert db.ask("SELECT wal_status FROM pg_replication_slots") == "lost"
        (finding,) = [one for one in db.source.check([A]) if "slot" in one.subject]
        assert "lost" in finding.problem
        second = db.follow(A, mark=mark)
        assert "the server invalidated it" in (second.capture.hole or "")
        db.execute("INSERT INTO a VALUES (1)")
        assert told(second.catch()) == [("a", (1,), None, None)]


def test_another_server_with_the_same_data_is_another_identity(private_postgres: PostgresServer) -> None:
    """A promoted copy has another timeline."""
    with Db(private_postgres.database("app"), *DDL) as db:
        mark = db.follow(A).keep()
        database, timeline = mark.identity.rpartition("/")[2], mark.identity.split("/")[1]
        assert timeline == "1"
        private_postgres.stop()
        (private_postgres.data / "standby.signal").touch()
        private_postgres.start()
    with Db(private_postgres.url("app")) as db:
        db.execute("SELECT pg_promote()")
        second = db.follow(A, mark=mark)
        assert second.capture.identity.endswith(f"/2/{database}")
        assert "restored, promoted or exchanged" in (second.capture.hole or "")


# What stands in the way


def test_a_slot_of_somebody_else_is_refused(db: Db) -> None:
    db.execute(f"SELECT pg_create_physical_replication_slot('{db.name}')")
    with pytest.raises(Refused, match="belongs to somebody else: it is a physical slot") as refused:
        db.follow(A)
    assert "slot=" in refused.value.remedy
    drop_slot(db)


def test_a_table_that_is_not_there_is_held_and_the_others_are_followed(db: Db) -> None:
    follower = db.follow(A, table("aa", "id"))
    assert follower.capture.started == ("public.a", "public.aa")
    (held,) = follower.capture.held.items()
    assert held[0] == "public.aa"
    assert "no such table" in str(held[1])
    assert "public.a" in held[1].remedy
    db.execute("INSERT INTO a VALUES (1)")
    assert told(follower.catch()) == [("a", (1,), None, None)]
    mark = follower.keep()
    db.execute("CREATE TABLE aa(id int PRIMARY KEY)")
    again = db.follow(A, table("aa", "id"), mark=mark)
    assert (again.capture.started, again.capture.held) == (("public.aa",), {})


def test_making_a_slot_says_what_it_waits_for(db: Db, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lockstep.systems.postgres.following.capture.SLOT_SECONDS", 0.3)
    other = db.connect()
    other.execute("INSERT INTO a VALUES (1)")
    with pytest.raises(Unreachable, match="open transactions") as waiting:
        db.follow(A)
    assert f"pid {other.info.backend_pid}" in str(waiting.value)
    other.commit()
    assert db.follow(A).capture.started == ("public.a",)


def test_a_user_without_rights_is_told_so(db: Db) -> None:
    role = f"plain_{db.name}"
    db.execute(f"CREATE ROLE {role} LOGIN REPLICATION PASSWORD 'x'", f"GRANT SELECT ON a TO {role}")
    source = Postgres(f"postgresql://{role}:x@{db.url.split('@')[1]}", slot=db.name)
    feed = source.feed()
    with pytest.raises(Refused, match=r"permission denied|must be owner"):
        feed.prepare([A], None)
    feed.close()
    db.execute("CREATE PUBLICATION lockstep FOR TABLE a WITH (publish_via_partition_root)")
    feed = source.feed()
    assert feed.prepare([A], None).started == ("public.a",), "what the owner made is enough"
    with pytest.raises(Refused, match="must be owner"):
        feed.prepare([A, B], None)
    feed.close()
    db.execute(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_crash_while_a_publication_is_made_again_leaves_the_hole_to_be_seen(
    db: Db, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL 18 follows on without a publication: nothing but the slot says that changes were lost."""
    first = db.follow(A)
    first.catch()
    mark = first.keep()
    db.execute("DROP PUBLICATION lockstep", "INSERT INTO a VALUES (1)")
    publish = publishing.publish

    def crash(*given: Any, **more: Any) -> Any:
        publish(*given, **more)
        raise RuntimeError("crashed")

    with monkeypatch.context() as crashing:
        crashing.setattr(capture, "publish", crash)
        with pytest.raises(RuntimeError):
            db.follow(A, mark=mark)
    assert db.follow(A, mark=mark).capture.hole is not None


def test_a_slot_that_standbys_copy_is_made_again_as_such(db: Db) -> None:
    db.execute(f"SELECT pg_create_logical_replication_slot('{db.name}', 'pgoutput', false, false, true)")
    db.follow(A)
    assert db.ask(f"SELECT failover FROM pg_replication_slots WHERE slot_name = '{db.name}'") is True
