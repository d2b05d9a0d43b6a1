"""What a value is in Python, exactly, or else an error that names it; and the hashes of rows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.systems.postgres_db import Db

from lockstep.datatypes.interval import Interval
from lockstep.datatypes.ranges import Range
from lockstep.errors import DataError
from lockstep.values import Fetch


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(
        postgres_url,
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE DOMAIN plus AS int CHECK (value >= 0)",
        "CREATE TABLE k(id int PRIMARY KEY, f4 float4, f8 float8, da date, ti time, ts timestamp,"
        " tz timestamptz, by bytea, i interval)",
        "INSERT INTO k VALUES (1, 0.1, 0.1, '2026-03-08', '09:30', '2026-03-08 09:30', '2026-03-08 09:30+02',"
        " '\\x00ff27', '1 day 02:00')",
    ) as db:
        yield db


EXACT: list[tuple[str, str, Any]] = [
    ("json", '\'{"a": 1, "b": [1.10, 1e400, 12345678901234567890123, -0], "a": "\\u00e9"}\'',
     {"a": "é", "b": [Decimal("1.10"), Decimal("1E+400"), 12345678901234567890123, 0]}),
    ("jsonb", "'{\"x\": 1.50, \"y\": null, \"z\": [true, \"\\\"\"]}'",
     {"x": Decimal("1.50"), "y": None, "z": [True, '"']}),
    ("jsonb", "'\"text\"'", "text"),
    ("jsonb", "'null'", None),
    ("interval", "'-3 days 04:05:06.789'",
     Interval(0, -3, 14_706_789_000)),
    ("int4[]", "'{1,NULL,-3}'", [1, None, -3]),
    ("int4[]", "'{}'", []),
    ("text[]", "ARRAY['a,b', 'NULL', NULL, '\"', '{}', '']", ["a,b", "NULL", None, '"', "{}", ""]),
    ("numeric(6,2)[]", "'{1.5}'", [Decimal("1.50")]),
    ("float4[]", "'{0.1}'", [0.1]),
    ("timestamptz[]", "'{2026-03-08 00:00+00}'", [dt.datetime(2026, 3, 8, tzinfo=dt.UTC)]),
    ("char(4)[]", "'{ab}'", ["ab"]),
    ("uuid[]", "'{2b2d2f40-7a3c-4f9e-8d21-3f6f2a1b0c9d}'", [UUID("2b2d2f40-7a3c-4f9e-8d21-3f6f2a1b0c9d")]),
    ("jsonb[]", "ARRAY['{\"a\": 1.5}'::jsonb]", [{"a": Decimal("1.5")}]),
    ("interval[]", "'{1 day}'", [dt.timedelta(1)]),
    ("bytea[]", "ARRAY['\\x00'::bytea]", [b"\0"]),
    ("mood[]", "'{sad,NULL}'", ["sad", None]),
    ("plus[]", "'{5}'", [5]),
    ("tags", "'{a,b}'", ["a", "b"]),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "literal", "value"), EXACT, ids=lambda value: str(value)[:20])
def test_values_that_are_no_keys_are_exact(db: Db, declared: str, literal: str, value: Any) -> None:
    db.execute(
        "CREATE DOMAIN tags AS text[]",
        f"CREATE TABLE x(id int PRIMARY KEY, v {declared})",
        f"INSERT INTO x VALUES (1, {literal}), (2, NULL)",
    )
    found = sorted(db.read("public.x", "id v", "id", (1,), (2,)), key=lambda row: int(row[0]))
    assert found == [(1, value), (2, None)]
    assert type(found[0][1]) is type(value)


def test_a_users_cast_to_text_has_no_part_in_what_is_read(db: Db) -> None:
    db.execute(
        "CREATE TYPE pair AS (a int, b text)",
        "CREATE DOMAIN feeling AS mood",
        "CREATE DOMAIN two AS pair",
        "CREATE TYPE far AS RANGE (subtype = int4)",
        *(
            statement
            for name in ("mood", "pair", "far")
            for statement in (
                f"CREATE FUNCTION word({name}) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'x' $$",
                f"CREATE CAST ({name} AS text) WITH FUNCTION word({name})",
            )
        ),
        "CREATE TABLE x(id int PRIMARY KEY, m mood, f feeling, ms mood[], p pair, t two, ps pair[], r far)",
        "INSERT INTO x VALUES (1, 'sad', 'ok', '{sad,NULL}', '(1,)', '(,)', '{\"(2,b)\"}', '[1,3)')",
        "INSERT INTO x(id) VALUES (2)",
    )
    found = sorted(db.read("public.x", "id m f ms p t ps r", "id", (1,), (2,)))
    assert found[1] == (2, *[None] * 7)
    assert found[0] == (
        *(1, "sad", "ok", ["sad", None]),
        *({"a": 1, "b": None}, {"a": None, "b": None}, [{"a": 2, "b": "b"}]),
        Range(1, 3),
    )


UNEXACT = [
    ("json", '\'{"a": "\\ud800"}\'', "JSON"),
    ("json", "(repeat('[', 3000) || repeat(']', 3000))::json", "recursion"),
]


@pytest.mark.parametrize(("declared", "literal", "reason"), UNEXACT)
def test_values_that_python_cannot_hold_are_named(db: Db, declared: str, literal: str, reason: str) -> None:
    db.execute(
        f"CREATE TABLE x(id int PRIMARY KEY, v {declared})",
        f"INSERT INTO x VALUES (6, NULL), (7, {literal}), (8, NULL)",
    )
    with pytest.raises(DataError, match=r"public\.x\.v") as raised:
        db.read("public.x", "id v", "id", (6,), (7,), (8,))
    words = str(raised.value)
    assert reason in words
    assert "(7)" in words, "the row is named"
    assert raised.value.remedy
    assert db.read("public.x", "id v", "id", (6,), (8,)) in ([(6, None), (8, None)], [(8, None), (6, None)])


def test_text_that_is_not_utf8_is_an_error_of_its_rows(postgres_url: str) -> None:
    with Db(postgres_url) as first:
        other = f"{first.name}_ascii"
        first.execute(f"CREATE DATABASE {other} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        with Db(postgres_url.replace(first.name, other), "CREATE TABLE x(id int PRIMARY KEY, v text)") as db:
            db.execute("INSERT INTO x VALUES (1, convert_from('\\xff', 'SQL_ASCII')), (2, 'fine')")
            with pytest.raises(DataError, match=r"reading public\.x: invalid byte sequence"):
                db.read("public.x", "id v", "id", (1,), (2,))
            assert db.read("public.x", "id v", "id", (2,)) == [(2, "fine")]
        first.execute(f"DROP DATABASE {other} WITH (FORCE)")


def test_hashes_do_not_depend_on_settings(db: Db) -> None:
    db.execute(
        "CREATE TABLE x(id int PRIMARY KEY, f float4[], t timestamptz[], i interval, b bytea[],"
        " d date, m mood[])",
        "INSERT INTO x VALUES (1, '{0.1}', '{2026-03-08 00:00+00}', '1 mon 2 days', ARRAY['\\x00'::bytea],"
        " '2026-03-08', '{ok}')",
    )
    groups = tuple((name,) for name in ("f", "t", "i", "b", "d", "m"))
    timed = ("f4", "f8", "da", "ti", "ts", "tz", "by", "i")
    fetches = [
        Fetch("public.x", ("id",), ("id",), groups),
        Fetch("public.k", ("id",), ("id",), (timed,)),
    ]

    def hashes() -> list[Any]:
        reader = db.reader()
        with reader.snapshot() as snapshot:
            return [sorted(snapshot.rows(fetch, [(n,) for n in range(6)])) for fetch in fetches]

    before = hashes()
    assert len(set(before[0][0])) == 7
    for setting in ("timezone = 'Asia/Kathmandu'", "datestyle = 'SQL, DMY'", "intervalstyle = 'iso_8601'",
                    "extra_float_digits = -15", "bytea_output = 'escape'"):  # fmt: skip
        db.execute(f"ALTER DATABASE {db.name} SET {setting}")
    assert hashes() == before


def test_hashes_are_a_format(db: Db) -> None:
    """They are functions of the value alone, so these hold on every server and platform."""
    db.execute(
        "CREATE TABLE x(id int PRIMARY KEY, t text, e varchar(5), n numeric, f float8, z timestamptz,"
        " b bytea, q int, s int2, l bigint, o bool, u uuid, j jsonb, a int[], m mood, p plus, i inet)",
        "INSERT INTO x VALUES (1, 'a,b', '', 1.50, 0.1, '2000-01-01 00:00:01+00', '\\x00ff', NULL, -2,"
        " 4294967296, true, '00000000-0000-0000-0000-000000000005', '{\"a\": [1.0, null]}', '{1,NULL}', 'ok',"
        " 7, '10.0.0.1/8')",
    )
    names = ("id", *"tenfzbqsloujampi")
    reader = db.reader()
    with reader.snapshot() as snapshot:
        (row,) = snapshot.rows(Fetch("public.x", (), ("id",), (("id",), names, ())), [(1,)])

    def text(value: str, seed: int) -> str:
        return f"hashtextextended('{value}' COLLATE \"C\", {seed})"

    parts = [
        "hashint4extended(1, 1)",
        text("a,b", 2),
        text("", 3),
        text("1.50", 4),
        text("3fb999999999999a", 5),
        text("00000000000f4240", 6),
        text("00ff", 7),
        "0",
        "hashint2extended(-2::int2, 9)",
        "hashint8extended(4294967296, hashint4extended(1, 10))",
        "hashint4extended(1, 11)",
        "uuid_hash_extended('00000000-0000-0000-0000-000000000005', 12)",
        text('{"a": [1.0, null]}', 13),
        text('("{1,NULL}")', 14),
        text("(ok)", 15),
        "hashint4extended(7, 16)",
        text(db.ask("SELECT encode(inet_send('10.0.0.1/8'), 'hex')"), 17),
    ]
    all_of_them = f"hashint4extended(0, {' # '.join(parts)})"
    theirs = [db.ask(f"SELECT {made}") for made in (parts[0], all_of_them, "hashint4extended(0, 0)")]
    assert row == tuple(theirs)
    assert row == (-7620678293940249823, -1723364423456508739, 4154612158245552303)
