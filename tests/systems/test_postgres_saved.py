"""Saved states of PostgreSQL tables: what the law does not say."""

from __future__ import annotations

import contextlib
import resource
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from tests.support.damage import HARMS
from tests.support.stopped import stopped_at_each_step

from lockstep.errors import Refused, Unreachable
from lockstep.keys import encode
from lockstep.systems.postgres import Postgres, client
from lockstep.systems.sql.target import SQLTarget
from lockstep.testing.writer_hooks import change, write
from lockstep.values import Record, version

USERS = "CREATE TABLE users (id bigint PRIMARY KEY, name text, email text UNIQUE, boss bigint)"


class World:
    """A database with a table of users, which can be saved."""

    def __init__(self, url: str, root: Path, made: str = USERS) -> None:
        self.url, self.place = url, root / "saved"
        self.do(made)
        self.users = self.target(url)
        with closing(self.users.open(1)) as writer:
            writer.create("m")
        self.repository = self.users.repository()

    def target(self, url: str) -> SQLTarget:
        return Postgres(url, snapshots=self.place).table("users")

    def do(self, *statements: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                found = cursor.fetchall() if cursor.description else []
        return found

    def put(self, records: dict[int, Record | None], epoch: int = 1) -> None:
        with closing(self.users.open(1)) as writer:
            write(
                writer,
                *(change(encode((n,)), one, version(epoch, n + 1)) for n, one in records.items()),
            )

    def rows(self, table: str = "users") -> list[tuple[Any, ...]]:
        return self.do(f"SELECT t::text FROM {table} AS t ORDER BY 1")

    def marker(self, generation: int = 1) -> str | None:
        with closing(self.users.open(generation)) as writer:
            found = writer.identity()
            return None if found is None else found.marker


@pytest.fixture
def world(postgres_url: str, tmp_path: Path) -> World:
    world = World(postgres_url, tmp_path)
    world.put({n: {"name": f"user {n}", "email": f"{n}@x.org"} for n in range(1, 21)})
    world.repository.save(1, "good")
    return world


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


def test_readers_see_the_old_rows_until_it_is_done_and_writers_wait(world: World) -> None:
    world.put({30: {"name": "new"}}, 2)
    with psycopg.connect(world.url) as reader:
        reader.execute("SELECT count(*) FROM users")
        world.repository.restore("good", 1, "r")  # a TRUNCATE or a rename would wait for the reader
    assert len(world.rows()) == 20


def test_a_lock_of_another_session_is_waited_for_only_so_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(client._TIMES, "lock_timeout", "300ms")
    world.put({30: {"name": "new"}}, 2)
    with psycopg.connect(world.url) as other:
        other.execute("UPDATE users SET name = 'theirs' WHERE id = 1")
        with pytest.raises(Unreachable, match="lock"):
            world.repository.restore("good", 1, "r")
        assert world.marker() == "m"
        assert world.repository.save(1, "meanwhile").records == 21, "a save waits for nobody"
    world.repository.restore("good", 1, "r")
    assert len(world.rows()) == 20


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


def test_who_may_not_is_told(world: World) -> None:
    database = world.url.rpartition("/")[2]
    role = f"limited_{database}"
    parts = urlsplit(world.url)
    url = parts._replace(netloc=f"{role}:secret@{parts.netloc.rpartition('@')[2]}").geturl()
    world.do(
        f"CREATE ROLE {role} LOGIN PASSWORD 'secret'", f"REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"
    )
    try:
        limited = world.target(url).repository()
        with pytest.raises(Refused, match="permission denied"):
            limited.save(1, "theirs")
        world.do(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON users TO {role}",
            f"GRANT ALL ON _lockstep_users, _lockstep_targets TO {role}",
        )
        limited.save(1, "theirs")
        before = world.rows()
        with pytest.raises(Refused, match="temporary") as refused:
            limited.restore("theirs", 1, "r")
        assert "GRANT TEMPORARY" in refused.value.remedy
        world.do(f"GRANT TEMPORARY ON DATABASE {database} TO {role}")
        limited.restore("theirs", 1, "r")
        assert world.rows() == before
        world.do(
            "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY few ON users TO {role} USING (id < 5)",
        )
        for ask in (lambda: limited.save(1, "hidden"), lambda: limited.restore("theirs", 1, "r2")):
            with pytest.raises(Refused, match="row-level security"):
                ask()
        assert world.rows() == before
    finally:
        world.do(f"DROP OWNED BY {role}", f"DROP ROLE {role}")


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


@pytest.mark.parametrize("harm", HARMS)
def test_damage_to_any_file_is_seen_and_nothing_is_restored(
    world: World, harm: Callable[[Path], None]
) -> None:
    (place,) = world.place.iterdir()
    files = sorted((place / "good").iterdir())
    assert [file.name for file in files] == ["companion", "manifest.json", "rows"]
    world.put({2: None}, 2)
    for n, file in enumerate(files):
        shutil.copytree(place / "good", place / f"copy-{n}")
        harm(place / f"copy-{n}" / file.name)
        assert world.repository.damage(f"copy-{n}"), file.name
        with pytest.raises(Refused):
            world.repository.restore(f"copy-{n}", 1, "r")
    assert (len(world.rows()), world.marker()) == (19, "m")


def test_no_room_is_said_and_leaves_nothing(world: World) -> None:
    world.put({n: {"name": "x" * 1000} for n in range(100, 600)})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(Refused, match="no room"):
            world.repository.save(1, "big")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    (place,) = world.place.iterdir()
    assert sorted(entry.name for entry in place.iterdir()) == ["good", "lockstep.json"]
    assert world.repository.save(1, "big").records == 520


def test_a_save_killed_at_any_step_is_whole_or_not_there(world: World) -> None:
    source = f"Postgres({world.url!r}, snapshots={str(world.place)!r}).table('users')"
    (place,) = world.place.iterdir()
    steps = 0
    for n in stopped_at_each_step(
        f"from lockstep.systems.postgres import Postgres; {source}", "save(1, 'at-{n}')", "saved"
    ):
        steps = n
        assert {one.name for one in world.repository.saved()} <= {"good", f"at-{n}"}
        world.repository.save(1, f"at-{n}")
        assert world.repository.damage(f"at-{n}") is None
        world.repository.forget(f"at-{n}")
        assert {entry.name for entry in place.iterdir()} == {"good", "lockstep.json"}
    assert steps > 8


def test_two_saves_and_a_restore_at_once(world: World) -> None:
    before, said = world.rows(), []

    def ask(call: Callable[[], object]) -> None:
        with contextlib.suppress(Unreachable):
            try:
                call()
            except Exception as error:
                said.append(error)

    own = [world.users.repository() for _ in range(5)]
    calls: list[Callable[[], object]] = [
        lambda: own[0].save(1, "same"),
        lambda: own[1].save(1, "same"),
        lambda: own[2].restore("good", 1, "r"),
        lambda: own[3].restore("good", 1, "r"),
        lambda: own[4].restore("good", 0, "drill"),
    ]
    threads = [threading.Thread(target=ask, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == []
    assert [one.name for one in world.repository.saved()] == ["good", "same"]
    assert world.rows() == world.rows("users__lockstep_drill") == before
    assert (world.marker(), world.marker(0)) == ("r", "drill")
