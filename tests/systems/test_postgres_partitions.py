"""Partitioned tables under the feed: what is in the log, and what only a look at the table shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.systems.postgres_db import Db, table, told

P = table("p", "id region note", "id region", "note")
DDL = (
    "CREATE TABLE p(id int, region int, note text, PRIMARY KEY (id, region)) PARTITION BY RANGE (id)",
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)",
    "CREATE TABLE p2(note text, region int NOT NULL, gone int, id int NOT NULL)",
    "ALTER TABLE p2 DROP gone",
    "ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20)",
    "CREATE TABLE p3 PARTITION OF p FOR VALUES FROM (20) TO (30) PARTITION BY LIST (region)",
    "CREATE TABLE p3a PARTITION OF p3 FOR VALUES IN (1, 2)",
    "CREATE TABLE p3b PARTITION OF p3 DEFAULT",
    "ALTER TABLE p REPLICA IDENTITY FULL",
    "ALTER TABLE p1 REPLICA IDENTITY FULL",
    "ALTER TABLE p2 REPLICA IDENTITY FULL",
    "ALTER TABLE p3a REPLICA IDENTITY FULL",
    "ALTER TABLE p3b REPLICA IDENTITY FULL",
)


@pytest.fixture(params=["postgres_url", "postgres15_url"])
def db(request: pytest.FixtureRequest) -> Iterator[Db]:
    with Db(request.getfixturevalue(request.param), *DDL) as db:
        yield db


@pytest.mark.parametrize("via_root", [False, True])
def test_rows_of_partitions_are_rows_of_their_table(
    db: Db, via_root: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if via_root:
        db.execute("CREATE PUBLICATION lockstep FOR TABLE p WITH (publish_via_partition_root = true)")
        monkeypatch.setattr("lockstep.systems.postgres.following.publishing._options", lambda *_: None)
    follower = db.follow(P)
    assert db.ask("SELECT pubviaroot FROM pg_publication") is via_root
    db.execute(
        "INSERT INTO p VALUES (1, 1, 'a'), (11, 1, 'b'), (21, 1, 'c'), (22, 9, 'd')",
        "UPDATE p SET note = 'e' WHERE id = 11",
        "UPDATE p SET id = 12 WHERE id = 1",
        "UPDATE p SET region = 3 WHERE id = 21",
        "DELETE FROM p WHERE id = 22",
    )
    assert told(follower.catch()) == [
        ("p", (1, 1), None, {"note": "a"}),
        ("p", (11, 1), None, {"note": "b"}),
        ("p", (21, 1), None, {"note": "c"}),
        ("p", (22, 9), None, {"note": "d"}),
        ("p", (11, 1), {"note": "b"}, {"note": "e"}),
        ("p", (1, 1), {"note": "a"}, None),
        ("p", (12, 1), None, {"note": "a"}),
        ("p", (21, 1), {"note": "c"}, None),
        ("p", (21, 3), None, {"note": "c"}),
        ("p", (22, 9), {"note": "d"}, None),
    ]
    db.execute("TRUNCATE p")
    assert told(follower.catch()) == [("p", "truncate")]
    db.execute("TRUNCATE p3b")
    assert told(follower.catch()) == ([] if via_root else [("p", "truncate")]), "the reason for the default"


def test_a_publication_that_is_ours_does_not_go_via_the_root(db: Db) -> None:
    db.execute("CREATE PUBLICATION lockstep FOR TABLE p WITH (publish_via_partition_root = true)")
    follower = db.follow(P)
    db.execute("TRUNCATE p3a")
    assert told(follower.catch()) == [("p", "truncate")]


def test_a_partition_and_its_table_may_both_be_followed(db: Db) -> None:
    follower = db.follow(P, table("p1", "id region note", "id region"))
    db.execute("INSERT INTO p VALUES (1, 1, 'a'), (11, 1, 'b')")
    assert {one[:2] for one in told(follower.catch())} == {("p", (1, 1)), ("p1", (1, 1)), ("p", (11, 1))}


NEW = "CREATE TABLE {0} PARTITION OF p FOR VALUES FROM ({1}) TO ({2})"
LOADED = (
    "CREATE TABLE {0} (LIKE p INCLUDING ALL)",
    "ALTER TABLE {0} REPLICA IDENTITY FULL",
    "INSERT INTO {0} VALUES ({1}, 1, 'loaded')",
    "ALTER TABLE p ATTACH PARTITION {0} FOR VALUES FROM ({1}) TO ({2})",
)
FULL = "ALTER TABLE {0} REPLICA IDENTITY FULL"
CHANGES = {
    "a new one begins empty": (NEW, FULL),
    "attached with rows": LOADED,
    "made, loaded and attached in one": ("BEGIN; " + "; ".join(LOADED) + "; COMMIT",),
    "taken out": ("ALTER TABLE p DETACH PARTITION p1",),
    "taken out concurrently": ("ALTER TABLE p DETACH PARTITION p2 CONCURRENTLY",),
    "dropped": ("DROP TABLE p2",),
    "a part of a part taken out": ("ALTER TABLE p3 DETACH PARTITION p3b",),
    "a whole tree attached": (
        "CREATE TABLE {0} (LIKE p INCLUDING ALL) PARTITION BY LIST (region)",
        "CREATE TABLE {0}_a PARTITION OF {0} DEFAULT",
        "ALTER TABLE {0}_a REPLICA IDENTITY FULL",
        "INSERT INTO {0} VALUES ({1}, 5, 'tree')",
        "ALTER TABLE p ATTACH PARTITION {0} FOR VALUES FROM ({1}) TO ({2})",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_partitions_that_come_and_go_are_the_whole_table(db: Db, change: str) -> None:
    """Neither is in the log. One that was made as a partition needs nothing: all its rows are."""
    follower = db.follow(P)
    follower.catch()
    mark = follower.keep()
    db.execute(*(one.format("p9", 90, 99) for one in CHANGES[change]))
    again = db.follow(P, mark=mark)
    begins_empty = change == "a new one begins empty"
    assert again.capture.started == (() if begins_empty else ("public.p",))
    assert again.capture.held == {}
    again.catch()
    assert db.follow(P, mark=again.mark).capture.started == ()
    if begins_empty:
        db.execute("INSERT INTO p VALUES (95, 1, 'x')")
        assert told(again.catch()) == [("p", (95, 1), None, {"note": "x"})]


def test_a_new_partition_with_less_in_its_log_is_held(db: Db) -> None:
    mark = db.follow(P).keep()
    db.execute(NEW.format("p9", 90, 99))
    again = db.follow(P, mark=mark)
    (why,) = again.capture.held.values()
    assert "does not inherit it" in str(why)
    assert why.remedy == 'ALTER TABLE "public"."p9" REPLICA IDENTITY FULL;'
    again.catch()
    db.execute("INSERT INTO p VALUES (91, 1, 'a')", "UPDATE p SET note = 'b'", why.remedy)
    assert ("p", "the log does not hold the old values of note") in told(again.catch()), "until it is mended"
    assert db.follow(P, mark=again.mark).capture.started == ("public.p",)
