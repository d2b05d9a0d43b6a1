"""Every type that a key can have: the reader, the log and the key bytes agree."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.systems.postgres_db import Db, table

from lockstep.forms import keys
from lockstep.values import EVERYTHING, Fetch, Span

KEYS = "b o i2 i4 i8 n r d f4 f8 t v c nm u da ti ts tz by e dom".split()  # noqa: SIM905 - easier to read
DDL = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'ÄH', 'a,b')",
    "CREATE DOMAIN plus AS int CHECK (value >= 0)",
    "CREATE TABLE k(id int PRIMARY KEY, b bool, o bool, i2 int2, i4 int4, i8 int8, n numeric,"
    " r numeric(12, 4), d numeric(10), f4 float4, f8 float8, t text, v varchar(20), c char(5), nm name,"
    " u uuid, da date, ti time, ts timestamp, tz timestamptz, by bytea, e mood, dom plus)",
    "ALTER TABLE k REPLICA IDENTITY FULL",
    "INSERT INTO k VALUES (1, true, false, 7, -7, 9223372036854775807, 1.50, 1.5, 12, 0.1, 0.1,"
    " 'a''\"\\ü雪', 'x', 'ab', 'n', '2b2d2f40-7a3c-4f9e-8d21-3f6f2a1b0c9d', '2026-03-08', '09:30:00.25',"
    " '2026-03-08 09:30', '2026-03-08 09:30:00.000001+02', '\\x00ff27', 'ÄH', 5)",
    "INSERT INTO k VALUES (2, false, null, -32768, 2147483647, -1, 'NaN', 0, 0, '-0', '1e300', '', ' ', '',"
    " '', '00000000-0000-0000-0000-000000000000', '0001-01-01', '23:59:59.999999',"
    " '9999-12-31 23:59:59.999999', '0001-01-01 00:00:00+00', '', 'a,b', 0)",
    "INSERT INTO k VALUES (3, null, true, 0, 0, 0, '-Infinity', -1.2345, -5, 'NaN', '-Infinity',"
    " E'\\t\\n,{}', 'NULL', '  x', '\"', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '9999-12-31', '00:00',"
    " '0001-01-01', '9999-12-31 23:59:59.999999+00', '\\x5c', 'sad', 2147483647)",
    "INSERT INTO k(id, n, f8) VALUES (4, 1e100, 5e-324), (5, 0.00000000000000000001, 123456789012345680)",
)


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(postgres_url, *DDL) as db:
        yield db


def columns(db: Db, *names: str) -> list[tuple[Any, ...]]:
    return sorted(db.read("public.k", " ".join(("id", *names)), "id", *((n,) for n in range(1, 6))))


def test_values_are_what_python_calls_them(db: Db) -> None:
    (row,) = db.read("public.k", " ".join(KEYS), "id", (1,))
    expected = (
        True,
        False,
        7,
        -7,
        9223372036854775807,
        Decimal("1.50"),
        Decimal("1.5000"),
        Decimal(12),
        0.1,
        0.1,
        "a'\"\\ü雪",
        "x",
        "ab",
        "n",
        UUID("2b2d2f40-7a3c-4f9e-8d21-3f6f2a1b0c9d"),
        dt.date(2026, 3, 8),
        dt.time(9, 30, 0, 250_000),
        dt.datetime(2026, 3, 8, 9, 30),  # noqa: DTZ001 - no zone is meant
        dt.datetime(2026, 3, 8, 7, 30, 0, 1, tzinfo=dt.UTC),
        b"\0\xff'",
        "ÄH",
        5,
    )
    assert row == expected
    assert [type(value) for value in row] == [type(value) for value in expected]
    assert row[18].tzinfo is dt.UTC
    assert str(row[5]) == "1.50"


def test_the_log_and_the_reader_give_the_same_key_bytes(db: Db) -> None:
    wide = table("k", " ".join(("id", *KEYS)), joins=" ".join(KEYS))
    follower = db.follow(wide)
    db.execute("UPDATE k SET o = NOT coalesce(o, true)")
    hints = follower.catch()
    rows = {row[0]: row[1:] for row in columns(db, *KEYS)}
    assert len(hints) == len(rows) == 5
    for hint in hints:
        (number,) = keys.decode(hint.key or keys.encode(()))
        forms = {name: keys.encode_one(value) for name, value in zip(KEYS, rows[number], strict=True)}
        assert hint.after == forms
        assert {**(hint.before or {}), "o": forms["o"]} == forms


@pytest.mark.parametrize("name", KEYS)
def test_rows_are_found_by_values_as_read_and_as_hinted(db: Db, name: str) -> None:
    for number, value in columns(db, name):
        if value is not None:
            for given_value in (value, keys.decode_one(keys.encode_one(value))):
                found = db.read("public.k", f"id {name}", name, (given_value,))
                assert number in {row[0] for row in found}
                assert all(keys.encode_one(row[1]) == keys.encode_one(value) for row in found)


@pytest.mark.parametrize("name", KEYS)
def test_rows_are_found_by_pairs(db: Db, name: str) -> None:
    pairs = [(number, value) for number, value in columns(db, name) if value is not None]
    assert sorted(db.read("public.k", "id", f"id {name}", *pairs, (99, None))) == [(n,) for n, _ in pairs]
    assert db.read("public.k", "id", f"{name} id", *((value, -1) for _, value in pairs)) == []


@pytest.mark.parametrize("name", KEYS)
def test_values_of_other_types_equal_nothing_and_raise_nothing(db: Db, name: str) -> None:
    naive = dt.datetime(1999, 9, 9)  # noqa: DTZ001 - no zone is meant
    others: tuple[Any, ...] = (
        None, True, 2**70, -(2**70), 0.5, Decimal("0.25"), Decimal("NaN"), Decimal("Infinity"), "nothing",
        "a\0b", "x" * 100, "\ud800", UUID(int=5), b"?", dt.date(1999, 9, 9), dt.time(1, 1), naive,
        naive.replace(tzinfo=dt.UTC), dt.timedelta(1), [1],
    )  # fmt: skip
    mine = dict(columns(db, name))
    for other in others:
        found = {row[0] for row in db.read("public.k", "id", name, (other,))}
        expected = set()
        if not isinstance(other, dt.timedelta | list) and other is not None and other != "\ud800":
            form = keys.encode_one(other)
            expected = {number for number, value in mine.items() if keys.encode_one(value) == form}
        assert found == expected, other


@pytest.mark.parametrize("name", [name for name in KEYS if name not in ("b", "o")])
def test_walks_are_in_key_order_and_spans_adjoin(db: Db, name: str) -> None:
    db.execute(
        f"CREATE TABLE w AS SELECT {name}, id FROM k WHERE {name} IS NOT NULL",
        f"ALTER TABLE w ADD PRIMARY KEY ({name}, id)",
    )
    walked = table("w", f"{name} id", f"{name} id")
    reader = db.reader()
    with reader.snapshot() as snapshot:
        page = snapshot.keys(walked, EVERYTHING, 100)
        assert len(page.keys) == db.ask("SELECT count(*) FROM w")
        assert page.ordered == (name != "e")
        if page.ordered:
            assert page.keys == sorted(page.keys)
        every = sorted(page.keys)
        edges = [None, *every, None]
        for after, upto in pairwise(edges):
            span = Span(after, upto)
            found = snapshot.keys(walked, span, 100).keys
            assert found == [key for key in every if key == upto]


FEW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
values = st.one_of(
    st.tuples(st.just("text"), texts),
    st.tuples(st.just("numeric"), st.decimals(allow_nan=False, allow_infinity=False, places=6)),
    st.tuples(st.just("int8"), st.integers(-(1 << 63), (1 << 63) - 1)),
    st.tuples(st.just("float8"), st.floats(allow_nan=False)),
    st.tuples(st.just("float4"), st.floats(width=32, allow_nan=False)),
    st.tuples(st.just("timestamp"), st.datetimes()),
    st.tuples(st.just("timestamptz"), st.datetimes(timezones=st.just(dt.UTC))),
    st.tuples(st.just("date"), st.dates()),
    st.tuples(st.just("time"), st.times()),
    st.tuples(st.just("bytea"), st.binary(max_size=12)),
    st.tuples(st.just("uuid"), st.uuids()),
)


def test_any_value_is_the_same_in_the_log_in_a_row_and_as_a_parameter(db: Db) -> None:
    follower = db.follow()
    kinds = [
        "text",
        "numeric",
        "int8",
        "float8",
        "float4",
        "timestamp",
        "timestamptz",
        "date",
        "time",
        "bytea",
        "uuid",
    ]
    made = [table(f"p_{kind}", "v", "v") for kind in kinds]
    for kind in kinds:
        db.execute(f"CREATE TABLE p_{kind}(v {kind} PRIMARY KEY)")
    follower = db.follow(*made)
    reader = db.reader()

    @FEW
    @given(st.lists(values, min_size=1, max_size=20))
    def law(drawn: list[tuple[str, Any]]) -> None:
        for kind, value in drawn:
            db.app.execute(f"INSERT INTO p_{kind} VALUES (%s) ON CONFLICT DO NOTHING".encode(), [value])
        hinted = {(hint.table, hint.key) for hint in follower.catch()}
        read = set()
        with reader.snapshot() as snapshot:
            for one in made:
                fetch = Fetch(one.name, ("v",), ("v",))
                keyed = snapshot.keys(one, EVERYTHING, 1000)
                assert keyed.ordered
                assert keyed.keys == sorted(keyed.keys)
                found = snapshot.rows(fetch, [keys.decode(key) for key in keyed.keys])
                assert sorted(keys.encode(row) for row in found) == keyed.keys
                assert sorted(snapshot.rows(fetch, found), key=str) == sorted(found, key=str)
                read |= {(one.name, key) for key in keyed.keys}
        assert hinted == read
        db.execute(*(f"DELETE FROM p_{kind}" for kind in kinds))
        assert {(hint.table, hint.key) for hint in follower.catch()} == read

    law()
