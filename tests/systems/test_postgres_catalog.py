"""What `lockstep explore` is told of a database, and keys as people type them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from tests.systems.postgres_db import Db, table

from lockstep.catalog import CatalogColumn, CatalogReference
from lockstep.errors import DataError, Refused
from lockstep.forms import keys
from lockstep.ports import Feed, Reader

DDL = (
    "CREATE SCHEMA shop",
    "CREATE TYPE mood AS ENUM ('sad', 'ok')",
    "CREATE TABLE companies(id int PRIMARY KEY, name text NOT NULL)",
    "COMMENT ON TABLE companies IS 'who pays'",
    "CREATE TABLE users(id uuid PRIMARY KEY, company_id int REFERENCES companies, boss uuid REFERENCES users,"
    " m mood)",
    "CREATE TABLE shop.orders(region varchar(2), number int, PRIMARY KEY (region, number))",
    "CREATE TABLE shop.lines(id int8 GENERATED ALWAYS AS IDENTITY UNIQUE, region varchar(2), number int,"
    " amount numeric(10, 2)[], more tsvector, FOREIGN KEY (region, number) REFERENCES shop.orders)",
    "CREATE TABLE loose(v int)",
    'CREATE TABLE "Odd.Name"("Id" date PRIMARY KEY)',
    "CREATE TABLE parts(at timestamptz PRIMARY KEY) PARTITION BY RANGE (at)",
    "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')",
    "CREATE VIEW seen AS SELECT * FROM users",
    "INSERT INTO companies VALUES (1, 'Acme'), (2, 'Birch')",
    "INSERT INTO parts VALUES ('2026-03-08')",
)


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(postgres_url, *DDL) as db:
        yield db


def test_a_catalog_has_every_table_with_keys_and_references(db: Db) -> None:
    catalog = db.source.catalog()
    assert catalog.system == db.source.name
    tables = {one.name: one for one in catalog.tables}
    assert list(tables) == [
        'public."Odd.Name"', "public.companies", "public.loose", "public.parts", "public.users", "shop.lines",
        "shop.orders",
    ]  # fmt: skip
    companies, users = tables["public.companies"], tables["public.users"]
    assert companies.columns == (
        CatalogColumn("id", "integer", "int", False),
        CatalogColumn("name", "text", "str", False),
    )
    assert (companies.key, companies.rows, companies.exact, companies.comment) == (
        ("id",),
        2,
        True,
        "who pays",
    )
    assert users.references == (
        CatalogReference(("company_id",), "public.companies", ("id",)),
        CatalogReference(("boss",), "public.users", ("id",)),
    )
    assert [column.python for column in users.columns] == ["UUID", "int", "UUID", "str"]
    assert users.columns[3].type == "public.mood"
    lines = tables["shop.lines"]
    assert lines.key == ("id",), "no primary key, but a unique index without nulls"
    assert lines.references == (CatalogReference(("region", "number"), "shop.orders", ("region", "number")),)
    assert [column.python for column in lines.columns] == ["int", "str", "int", "list[Decimal]", "str"]
    assert tables["public.loose"].key == ()
    assert tables["public.parts"].rows == 1
    assert tables['public."Odd.Name"'].columns[0].python == "dt.date"


def test_large_tables_are_estimated(db: Db) -> None:
    db.execute("INSERT INTO loose SELECT generate_series(1, 50000)", "ANALYZE loose")
    (loose,) = [one for one in db.source.catalog().tables if one.name == "public.loose"]
    assert not loose.exact
    assert loose.rows is not None
    assert 45_000 < loose.rows < 55_000


def test_a_source_gives_readers_and_feeds(db: Db) -> None:
    reader, feed = db.source.reader(), db.source.feed()
    assert isinstance(reader, Reader)
    assert isinstance(feed, Feed)
    reader.close()
    feed.close()


@pytest.mark.parametrize(
    ("name", "key", "parts", "values"),
    [
        ("companies", "id", ["7"], (7,)),
        ("companies", "id", [" 7 "], (7,)),
        ("parts", "at", ["2026-03-08 09:30+02"], (dt.datetime(2026, 3, 8, 7, 30, tzinfo=dt.UTC),)),
        ("parts", "at", ["2026-03-08T07:30:00Z"], (dt.datetime(2026, 3, 8, 7, 30, tzinfo=dt.UTC),)),
        ("users", "m", ["sad"], ("sad",)),
    ],
)
def test_keys_as_people_type_them(
    db: Db, name: str, key: str, parts: list[str], values: tuple[object, ...]
) -> None:
    assert db.source.parse_keys(table(name, key, key), [parts]) == [keys.encode(values)]


def test_keys_of_several_columns_and_of_other_schemas(db: Db) -> None:
    orders = table("x", "", "region number")
    orders = type(orders)("shop.orders", (), ("region", "number"))
    assert db.source.parse_keys(orders, [["de", "5"]]) == [keys.encode(("de", 5))]


@pytest.mark.parametrize(
    ("name", "key", "parts", "words"),
    [
        ("companies", "id", ["seven"], "id (integer)"),
        ("companies", "id", ["1", "2"], "has 1 parts"),
        ("users", "m", ["glad"], "m (public.mood)"),
        ("parts", "at", ["noon"], "at (timestamp with time zone)"),
    ],
)
def test_what_is_no_key_is_refused_with_the_types(
    db: Db, name: str, key: str, parts: list[str], words: str
) -> None:
    (wrong,) = db.source.parse_keys(table(name, key, key), [parts])
    assert isinstance(wrong, DataError)
    assert words in f"{wrong} {wrong.remedy}"


def test_a_key_of_a_table_that_is_not_there(db: Db) -> None:
    with pytest.raises(Refused, match=r"no table public\.nowhere"):
        db.source.parse_keys(table("nowhere", "id"), [["1"]])
