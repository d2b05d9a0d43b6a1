"""Streams of rows, walks through keys, and estimates."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.systems.postgres_db import Db, table, wait_until

from lockstep.errors import Refused
from lockstep.forms import keys
from lockstep.values import EVERYTHING, Fetch

T = table("t", "id v")
ONE = Fetch("public.t", ("id", "v"), ("id",))
DDL = ("CREATE TABLE t(id int PRIMARY KEY, v int)", "INSERT INTO t VALUES (1, 10), (2, 20)")


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(postgres_url, *DDL) as db:
        yield db


# streams


def test_a_stream_gives_the_rows_in_pages_beside_other_reads(db: Db) -> None:
    db.execute("INSERT INTO t SELECT n, 7 FROM generate_series(10, 12009) n", "CREATE INDEX ON t(v)")
    reader = db.reader()
    with reader.snapshot() as snapshot:
        by_v = Fetch("public.t", ("id",), ("v",))
        sizes = []
        seen: set[int] = set()
        for page in snapshot.stream(by_v, [(7,), (10,), (99,)]):
            sizes.append(len(page))
            seen |= {number for (number,) in page}
            assert snapshot.rows(ONE, [(1,)]) == [(1, 10)]
        assert max(sizes) <= 5_000
        assert len(sizes) == 3
        assert seen == {1, *range(10, 12_010)}
        first, second = snapshot.stream(by_v, [(7,)]), snapshot.stream(by_v, [(10,)])
        next(first)
        assert list(second) == [[(1,)]]
        assert list(snapshot.stream(by_v, [])) == []
    with reader.snapshot() as snapshot:
        assert snapshot.rows(ONE, [(2,)]) == [(2, 20)], "a stream that was left half-way harms nothing"


# walks that no index serves in key order


def test_a_walk_along_an_index_in_another_order(db: Db) -> None:
    db.execute(
        "CREATE TABLE w(k text NOT NULL)",
        "CREATE UNIQUE INDEX ON w(k text_pattern_ops)",
        "INSERT INTO w SELECT chr(65 + n % 50) || n FROM generate_series(0, 999) n",
        "CREATE TYPE size AS ENUM ('small', 'large', 'huge')",
        "CREATE TABLE e(s size, n int, PRIMARY KEY (s, n))",
        "INSERT INTO e SELECT s, n FROM unnest(enum_range(null::size)) s, generate_series(1, 50) n",
        "CREATE TABLE r(a int, b int, PRIMARY KEY (b, a))",
        "INSERT INTO r SELECT n % 7, n FROM generate_series(1, 100) n",
        "CREATE TABLE d(a int NOT NULL, b int NOT NULL)",
        "CREATE UNIQUE INDEX ON d(a, b DESC)",
        "INSERT INTO d SELECT n % 7, n FROM generate_series(1, 100) n",
    )
    reader = db.reader()
    for name, key in (("w", "k"), ("e", "s n"), ("r", "a b"), ("d", "a b")):
        walked = table(name, key, key)
        count = db.ask(f"SELECT count(*) FROM {name}")
        with reader.snapshot() as snapshot:
            for limit in (7, 100, 5000):
                found, rest = [], EVERYTHING
                while rest is not None:
                    page = snapshot.keys(walked, rest, limit)
                    assert not page.ordered
                    assert len(page.keys) <= limit
                    found += page.keys
                    rest = page.rest  # type: ignore[assignment]
                assert len(found) == len(set(found)) == count


def test_a_walk_meets_rows_that_were_not_there_and_survives_another_index(db: Db) -> None:
    db.execute(
        "CREATE TABLE w(k text NOT NULL, n int)",
        "CREATE UNIQUE INDEX ON w(k text_pattern_ops)",
        "INSERT INTO w SELECT 'k' || n, n FROM generate_series(100, 199) n",
    )
    reader, walked = db.reader(), table("w", "k n", "k")
    with reader.snapshot() as snapshot:
        page = snapshot.keys(walked, EVERYTHING, 50)
    assert page.rest is not None
    db.execute("INSERT INTO w VALUES ('kz', 1), ('a', 2)")
    with reader.snapshot() as snapshot:
        rest = snapshot.keys(walked, page.rest, 500).keys
    assert keys.encode(("kz",)) in rest
    assert keys.encode(("a",)) not in rest, "it is behind: its own hint says that it is there"
    assert len(page.keys) + len(rest) == 101


def test_the_part_of_a_walk_that_is_of_the_ledger_has_no_keys_here(db: Db) -> None:
    with db.reader().snapshot() as snapshot:
        assert snapshot.keys(T, EVERYTHING, 5).keys == [keys.encode((1,)), keys.encode((2,))]
        assert snapshot.keys(T, type(EVERYTHING)(walk="ledger"), 5).keys == []


def test_what_is_no_key_is_not_walked(db: Db) -> None:
    with (
        pytest.raises(Refused, match="no primary key or unique index") as refused,
        db.reader().snapshot() as s,
    ):
        s.keys(table("t", "id v", "v"), EVERYTHING, 5)
    assert "CREATE UNIQUE INDEX" in refused.value.remedy


def test_a_walk_uses_the_index(db: Db) -> None:
    db.execute("INSERT INTO t SELECT n, n FROM generate_series(3, 60000) n", "ANALYZE t")
    reader = db.reader()
    with reader.snapshot() as snapshot:
        page = snapshot.keys(T, EVERYTHING, 1000)
        assert page.rest is not None
        for _ in range(10):
            assert page.rest is not None
            page = snapshot.keys(T, page.rest, 1000)
    db.execute("SELECT pg_stat_force_next_flush()")
    reader.close()
    wait_until(lambda: db.ask("SELECT idx_scan FROM pg_stat_user_tables WHERE relname = 't'") >= 10)
    assert db.ask("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 't'") <= 2


# estimates


def test_estimates_are_exact_for_small_tables_and_near_for_large_ones(db: Db) -> None:
    reader = db.reader()
    assert reader.estimate(T) == 2
    db.execute("INSERT INTO t SELECT n, n FROM generate_series(3, 100000) n", "ANALYZE t")
    assert 90_000 < reader.estimate(T) < 110_000
