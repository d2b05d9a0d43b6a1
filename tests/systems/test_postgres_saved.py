"""Saved states of PostgreSQL tables: what the law does not say."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from tests.systems.postgres_saved import USERS, World, world

from lockstep.errors import Refused
from lockstep.forms.keys import encode
from lockstep.systems.postgres import Postgres
from lockstep.testing.writer_hooks import change, write

__all__ = ["world"]

TYPES = {
    "bool": ("true", "NULL"),
    "smallint": ("-32768", "0"),
    "bigint": ("9223372036854775807", "-1"),
    "real": ("'1e-45'", "'-Infinity'", "'NaN'"),
    "double precision": ("'-0'", "0.1::float8 + 0.2::float8", "'NaN'"),
    "numeric": ("1.10", "1.1", "'NaN'", "'-Infinity'", "1e-300"),
    "numeric(10,2)": ("0.50",),
    "money": ("'-1234.56'",),
    "text": ("E'a\\\\b\\tc\\nd\\re'", "'\\N'", "'\\.'", "''", "NULL", "E'\\u0001é\U0001f600'"),
    "varchar(5)": ("'a  '",),
    "char(5)": ("'a'", "''"),
    '"char"': ("'x'",),
    "name": ("'users'",),
    "bytea": ("'\\x005c0aff'", "''"),
    "date": ("'infinity'", "'4713-01-01 BC'", "'5874897-12-31'"),
    "time": ("'24:00:00'", "'23:59:59.999999'"),
    "timetz": ("'04:05:06.7-08:30'",),
    "timestamp": ("'-infinity'", "'294276-12-31 23:59:59.999999'"),
    "timestamptz": ("'0001-01-01 BC'", "'2026-03-29 01:30:00.000001+00'"),
    "interval": ("'1 year -2 mons 3 days -04:05:06.000007'", "'-1 mon +1 day'"),
    "uuid": ("gen_random_uuid()",),
    "json": ('\'{"b": 1,  "a": 1.0, "b": 2}\'',),
    "jsonb": ('\'{"n": 1.10, "u": "\\\\u00e9"}\'', "'null'"),
    "inet": ("'10.0.0.1/8'", "'::1'"),
    "cidr": ("'10.0.0.0/8'",),
    "macaddr8": ("'08:00:2b:01:02:03:04:05'",),
    "bit(5)": ("B'00101'",),
    "varbit": ("B''",),
    "point": ("'(0.1,-0)'",),
    "circle": ("'<(1,2),3>'",),
    "tsvector": ("'a:1A fat:2B,4C'",),
    "tsquery": ("'fat & (rat | !cat)'",),
    "int4range": ("'empty'", "'[1,)'"),
    "tstzmultirange": ("'{[2020-01-01 00:00+00,2020-01-02 00:00+00)}'",),
    "integer[]": ("'{}'", "'[2:3]={NULL,5}'", "'{{1,2},{3,4}}'"),
    "text[]": ("ARRAY['a,b', NULL, 'NULL', '\"', E'\\\\', '']",),
    "mood": ("'sad'",),
    "mood[]": ("'{glad,sad}'",),
    "short": ("'ab'",),
    "pair": ("ROW(1, 'a \"b\",')::pair", "ROW(NULL, '')::pair"),
    "oid": ("4294967295",),
    "regclass": ("'pg_class'",),
    "pg_lsn": ("'16/B374D848'",),
    "jsonpath": ("'$.a[*] ? (@ > 1)'",),
}


def of_every_type(url: str, root: Path) -> World:
    """A table with a column of every type, filled."""
    columns = ", ".join(f'"c {n}" {type_}' for n, type_ in enumerate(TYPES))
    columns += ", twice bigint GENERATED ALWAYS AS (id * 2) STORED"
    with psycopg.connect(url) as connection:
        connection.execute(
            b"CREATE TYPE mood AS ENUM ('glad', 'sad');"
            b"CREATE DOMAIN short AS text CHECK (length(value) < 3);"
            b"CREATE TYPE pair AS (n integer, t text)"
        )
    world = World(url, root, f"CREATE TABLE users (id bigint PRIMARY KEY, {columns})")
    for row in range(max(map(len, TYPES.values()))):
        values = ", ".join(of[row % len(of)] for of in TYPES.values())
        world.do(f"INSERT INTO users VALUES ({row}, {values})")
    return world


def test_values_of_every_type_come_back(postgres_url: str, tmp_path: Path) -> None:
    world = of_every_type(postgres_url, tmp_path)
    before = world.rows()
    world.repository.save(1, "good")
    world.do("DELETE FROM users WHERE id % 2 = 0")
    world.do("UPDATE users SET " + ", ".join(f'"c {n}" = NULL' for n, _ in enumerate(TYPES)))
    assert world.rows() != before
    world.repository.restore("good", 1, "r")
    assert world.rows() == before
    world.repository.restore("good", 0, "drill")
    assert world.rows("users__lockstep_drill") == before
    world.do("ALTER DATABASE %s SET datestyle = 'German'" % postgres_url.rpartition("/")[2])  # noqa: UP031
    world.do("UPDATE users SET id = -id")
    world.repository.restore("good", 1, "r2")
    world.do("ALTER DATABASE %s RESET ALL" % postgres_url.rpartition("/")[2])  # noqa: UP031
    assert world.rows() == before, "whatever a session's settings are"


def test_a_database_that_has_moved_to_another_server_of_a_later_version(
    postgres15_url: str, postgres_url: str, tmp_path: Path
) -> None:
    old, new = of_every_type(postgres15_url, tmp_path / "old"), of_every_type(postgres_url, tmp_path / "new")
    old.repository.save(1, "good")
    shutil.copytree(old.place, new.place)
    with pytest.raises(Refused, match="holds saved states of postgres:") as refused:
        new.repository.restore("good", 1, "r")
    words, _, said = refused.value.remedy.partition(": ")
    Path(words.rpartition(" ")[2]).write_text(said)
    new.repository.restore("good", 1, "r")
    assert new.rows() == old.rows()


def test_only_what_differs_is_written(world: World) -> None:
    world.do(
        "CREATE TABLE log (what text, id bigint)",
        "CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "INSERT INTO public.log VALUES (TG_OP, coalesce(new.id, old.id)); RETURN NULL; END $$",
        "CREATE TRIGGER log AFTER INSERT OR UPDATE OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION log()",
        "CREATE VIEW names AS SELECT name FROM users",
        "CREATE ROLE reads_" + world.url.rpartition("/")[2],
        "GRANT SELECT ON users TO reads_" + world.url.rpartition("/")[2],
    )
    before = world.rows()
    (stood,) = world.do("SELECT oid, relacl FROM pg_class WHERE relname = 'users'")
    world.put({2: None, 3: {"name": "USER 3", "email": "3@x.org"}, 30: {"name": "new"}}, 2)
    world.do("DELETE FROM log")
    world.repository.restore("good", 1, "r")
    assert world.rows() == before
    assert sorted(world.do("SELECT * FROM log")) == [("DELETE", 30), ("INSERT", 2), ("UPDATE", 3)]
    assert world.do("SELECT oid, relacl FROM pg_class WHERE relname = 'users'") == [stood]
    assert len(world.rows("names")) == 20
    world.do(
        "DROP OWNED BY reads_" + world.url.rpartition("/")[2],
        "DROP ROLE reads_" + world.url.rpartition("/")[2],
    )


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        ("ALTER TABLE users ADD COLUMN age integer", "age is new"),
        ("ALTER TABLE users DROP COLUMN boss", "boss is gone"),
        ("ALTER TABLE users ALTER COLUMN boss TYPE numeric(10,2)", r"boss was bigint and is numeric\(10,2\)"),
    ],
)
def test_other_columns_than_were_saved_are_refused(world: World, altered: str, said: str) -> None:
    world.do(altered)
    before = world.rows()
    for generation in (1, 0):
        with pytest.raises(Refused, match=said):
            world.repository.restore("good", generation, "r")
    assert (world.rows(), world.marker(), world.marker(0)) == (before, "m", None)
    assert world.do("SELECT to_regclass('users__lockstep_drill')") == [(None,)]


def test_rows_of_others_are_not_lost_with_ours(world: World) -> None:
    world.do(
        "CREATE TABLE orders (id bigint PRIMARY KEY, owner bigint REFERENCES users ON DELETE SET NULL)",
        "INSERT INTO orders VALUES (1, 5)",
    )
    world.put({5: {"name": "changed"}, 30: {"name": "new"}}, 2)
    world.repository.restore("good", 1, "r")
    assert world.rows("orders") == [("(1,5)",)], "a row that only changed keeps what refers to it"
    world.put({30: {"name": "new"}}, 3)
    world.do("INSERT INTO orders VALUES (2, 30)")
    before = world.rows()
    with pytest.raises(Refused, match=r'1 rows of "public"\."orders" refer to rows') as refused:
        world.repository.restore("good", 1, "r2")
    assert "orders" in refused.value.remedy
    assert (len(world.rows("orders")), world.rows()) == (2, before)
    world.do(
        "ALTER TABLE orders DROP CONSTRAINT orders_owner_fkey",
        "ALTER TABLE orders ADD FOREIGN KEY (owner) REFERENCES users",
    )
    with pytest.raises(Refused, match="violates foreign key") as refused:
        world.repository.restore("good", 1, "r2")
    assert refused.value.remedy
    assert world.rows() == before


def test_unique_values_that_were_exchanged_and_rows_that_refer_to_each_other(
    postgres_url: str, tmp_path: Path
) -> None:
    world = World(
        postgres_url, tmp_path, USERS + "; ALTER TABLE users ADD FOREIGN KEY (boss) REFERENCES users"
    )
    world.put({1: {"email": "a"}, 2: {"email": "b"}, 3: {"email": "c"}})
    before = world.rows()
    world.repository.save(1, "plain")
    world.do(
        "UPDATE users SET email = email || id", "UPDATE users SET email = chr(99 - id::int)||'' WHERE id < 3"
    )
    world.repository.restore("plain", 1, "r")
    assert world.rows() == before
    world.do("UPDATE users SET boss = CASE id WHEN 2 THEN 1 ELSE 2 END")
    before = world.rows()
    world.repository.save(1, "bosses")
    world.do(
        "INSERT INTO users VALUES (4, 'new', 'd', 4)",
        "UPDATE users SET boss = 4",
        "DELETE FROM users WHERE id = 1",
    )
    world.repository.restore("bosses", 1, "r")
    assert world.rows() == before


def test_identity_and_generated_columns(postgres_url: str, tmp_path: Path) -> None:
    world = World(
        postgres_url,
        tmp_path,
        "CREATE TABLE users (id bigint PRIMARY KEY, n bigint GENERATED ALWAYS AS IDENTITY, name text, "
        "loud text GENERATED ALWAYS AS (upper(name)) STORED NOT NULL)",
    )
    world.do("INSERT INTO users (id, name) VALUES (1, 'a'), (2, 'b'), (3, 'c')")
    before = world.rows()
    world.repository.save(1, "good")
    world.do("DELETE FROM users WHERE id = 1", "UPDATE users SET name = 'x'")
    world.repository.restore("good", 1, "r")
    assert world.rows() == before
    world.do("INSERT INTO users (id, name) VALUES (4, 'd')")
    assert world.do("SELECT n FROM users WHERE id = 4") == [(4,)]
    world.repository.restore("good", 0, "drill")
    assert world.rows("users__lockstep_drill") == before
    world.do("INSERT INTO users__lockstep_drill (id, name) VALUES (9, 'd')")
    assert world.do("SELECT loud FROM users__lockstep_drill WHERE id = 9") == [("D",)]


def test_a_trigger_that_keeps_rows_is_named_and_nothing_changes(world: World) -> None:
    world.put({2: None, 30: {"name": "new"}}, 2)
    world.do(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "CREATE TRIGGER keep BEFORE DELETE ON users FOR EACH ROW EXECUTE FUNCTION keep()",
    )
    before = world.rows()
    with pytest.raises(Refused, match="more rows than were saved") as refused:
        world.repository.restore("good", 1, "r")
    assert "trigger" in refused.value.remedy
    assert (world.rows(), world.marker()) == (before, "m")


def test_a_partitioned_table_and_one_that_others_inherit_from(postgres_url: str, tmp_path: Path) -> None:
    world = World(
        postgres_url,
        tmp_path,
        "CREATE TABLE users (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id);"
        "CREATE TABLE low PARTITION OF users FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE high PARTITION OF users FOR VALUES FROM (10) TO (20)",
    )
    world.put({n: {"name": f"user {n}"} for n in range(20)})
    before = world.rows()
    world.repository.save(1, "good")
    world.put({3: None, 13: {"name": "other"}}, 2)
    world.repository.restore("good", 1, "r")
    world.repository.restore("good", 0, "drill")
    assert world.rows() == world.rows("users__lockstep_drill") == before
    world.do("DROP TABLE users", "CREATE TABLE users (id bigint PRIMARY KEY, name text)")
    world.do("CREATE TABLE child () INHERITS (users)")
    with pytest.raises(Refused, match="inherits from it: child"):
        world.repository.save(1, "other")


def test_a_table_whose_name_is_as_long_as_can_be(postgres_url: str, tmp_path: Path) -> None:
    name = "é" * 31
    targets = [
        Postgres(postgres_url, snapshots=tmp_path).table(name + end, columns={"id": "bigint"}) for end in "ab"
    ]
    for target in targets:
        with closing(target.open(1)) as writer:
            writer.create("m")
            write(writer, change(encode((1,)), {}))
        target.repository().save(1, "good")
        target.repository().restore("good", 0, "drill")
    for target in targets:
        with closing(target.open(0)) as writer:
            assert writer.contents().records == 1
        target.remove(0, "drill")
