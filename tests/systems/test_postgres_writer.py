"""The SQL writer on PostgreSQL: what the law does not say."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from lockstep.errors import DeclarationError, Refused, TargetReplaced, Unreachable
from lockstep.forms.keys import encode
from lockstep.ports import Target, Writer
from lockstep.systems.postgres import Postgres, client
from lockstep.testing.proxy import Proxy
from lockstep.values import Change, Fingerprint, Key, Meta, Outcome, Record, Status, Version, version

SQL = Callable[..., list[Any]]
USERS = """CREATE TABLE users (
 id bigint PRIMARY KEY, name text UNIQUE, age integer NOT NULL DEFAULT 0 CHECK (age < 200),
 paid numeric(10,2), code char(4), at timestamptz(3), doc jsonb, note text DEFAULT 'theirs', tags text[],
 mood mood, plan bigint REFERENCES plans (id) DEFERRABLE INITIALLY DEFERRED,
 twice integer GENERATED ALWAYS AS (age * 2) STORED, short varchar(3), address inet)"""


@pytest.fixture
def sql(postgres_url: str) -> SQL:
    """What somebody else does to the database."""

    def run(statement: str, *values: Any) -> list[Any]:
        with psycopg.connect(postgres_url) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def opened(postgres_url: str) -> Iterator[Callable[..., Writer]]:
    """Writers that are closed at the end."""
    with ExitStack() as stack:

        def one(table: str = "users", url: str = postgres_url, create: bool = True, **said: Any) -> Writer:
            writer = Postgres(url).table(table, **said).open(1)
            stack.callback(writer.close)
            if create:
                writer.create("m")
            return writer

        yield one


@pytest.fixture
def writer(sql: SQL, opened: Callable[..., Writer]) -> Writer:
    sql("CREATE TABLE plans (id bigint PRIMARY KEY)")
    sql("CREATE TYPE mood AS ENUM ('sad', 'glad')")
    sql(USERS)
    return opened()


def put(number: int, record: Record | None, at: Version = version(1, 1)) -> Change:  # noqa: B008
    key = encode((number,))
    return Change(key, record, Meta("m", key, Fingerprint(number), number, at))


def one(outcomes: list[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


def test_what_the_database_makes_of_a_value_is_reported_as_held(writer: Writer) -> None:
    at = dt.datetime(2026, 3, 8, 9, 30, 0, 123456, tzinfo=dt.UTC)
    sent: list[Record] = [
        {"paid": Decimal("19.905")},
        {"paid": Decimal("19.9")},
        {"code": "ab"},
        {"code": "ab "},
        {"at": at},
        {"doc": {"b": 1, "a": [Decimal("1.50"), None]}},
        {"tags": ["a", None, 'b"\\,{}', "NULL"]},
        {"mood": "glad"},
        {"address": "::FFFF"},
        {"name": [1, {"a": None}]},
    ]
    outcomes = writer.write([put(number, record) for number, record in enumerate(sent)])
    assert {outcome.status for outcome in outcomes} == {Status.APPLIED}, outcomes
    assert [outcome.held for outcome in outcomes] == [
        {"paid": Decimal("19.91")},
        None,
        None,
        {"code": "ab"},
        {"at": at.replace(microsecond=123000)},
        None,
        None,
        None,
        {"address": "::ffff"},
        {"name": '[1,{"a":null}]'},
    ]
    for held, (record, outcome) in zip(writer.scan(None, 99), zip(sent, outcomes, strict=True), strict=True):
        assert held.record == (outcome.held or record)


def test_a_rejection_names_what_is_wrong(writer: Writer, sql: SQL) -> None:
    sql(
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'not on my watch' USING ERRCODE = 'ZZ001'; END $$"
    )
    sql(
        "CREATE TRIGGER no BEFORE INSERT ON users FOR EACH ROW WHEN (new.name = 'evil') EXECUTE FUNCTION no()"
    )
    writer.write([put(9, {"name": "taken"})])
    bad: dict[int, tuple[Record, str]] = {
        1: ({"nmae": "x"}, "no column nmae"),
        2: ({"age": "old"}, "users.age"),
        3: ({"age": 2**40}, "not between"),
        4: ({"name": "taken"}, "users_name_key"),
        5: ({"age": None}, "null value in column"),
        6: ({"id": 5}, "key says"),
        7: ({"twice": 5}, "no column twice"),
        8: ({"plan": 404}, "foreign key"),
        10: ({"age": 201}, "users_age_check"),
        11: ({"short": "long"}, "too long"),
        12: ({"mood": "gald"}, "invalid input value for enum"),
        13: ({"name": "evil"}, "not on my watch"),
        14: ({"paid": Decimal(10) ** 20}, "numeric field overflow"),
        15: ({"name": "x" * 100_000 + str(list(range(20000)))}, "index row"),
        16: ({"doc": {"a": "\0"}}, "cannot be converted to text"),
        17: ({"at": "soon"}, "invalid input syntax"),
    }
    changes = [put(number, record) for number, (record, _) in bad.items()]
    good = [put(number, {"name": f"good {number}", "age": number % 100}) for number in range(20, 320)]
    outcomes = writer.write([*good[:100], *changes, *good[100:]])
    for outcome, (record, reason) in zip(outcomes[100:-200], bad.values(), strict=True):
        assert outcome.status is Status.REJECTED, record
        assert reason in (outcome.reason or ""), outcome
    assert {outcome.status for outcome in (*outcomes[:100], *outcomes[-200:])} == {Status.APPLIED}
    assert [held.record for held in writer.scan(encode((19,)), 999)] == [change.record for change in good]


def test_triggers_that_change_or_drop_a_row_are_seen(writer: Writer, sql: SQL) -> None:
    sql("CREATE SCHEMA theirs")
    sql("CREATE TABLE seen (id bigint)")
    sql(
        "CREATE FUNCTION low() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " UPDATE users SET name = lower(name) WHERE id = new.id; INSERT INTO seen VALUES (new.id);"
        " RETURN NULL; END $$"
    )
    sql("CREATE TRIGGER low AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION low()")
    sql("CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
    sql(
        "CREATE TRIGGER nothing BEFORE INSERT ON users FOR EACH ROW WHEN (new.age = 13)"
        " EXECUTE FUNCTION nothing()"
    )
    changed, dropped = writer.write([put(1, {"name": "ADA"}), put(2, {"age": 13})])
    assert changed.held == {"name": "ada"}
    assert dropped.status is Status.REJECTED
    assert "trigger" in (dropped.reason or "")
    assert sql("SELECT id FROM seen") == [(1,)]


def test_columns_that_the_mapping_never_named_are_left_alone(writer: Writer, sql: SQL) -> None:
    writer.write([put(1, {"name": "Ada", "age": 1})])
    sql("UPDATE users SET note = 'by hand'")
    writer.write([put(1, {"age": 2}, version(1, 2))])
    assert sql("SELECT name, age, note FROM users") == [(None, 2, "by hand")]


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("bigint", (-(2**63), -1, 0, 7, 2**63 - 1)),
        ("numeric", (Decimal("-Infinity"), -3, Decimal("0.10"), 10**30, Decimal("Infinity"), Decimal("NaN"))),
        ("text", ("", "A", "a", "a\U0001f600", "\uffff", "é")),
        ("char(3)", ("A", "a b", "é")),
        ("bytea", (b"", b"\0", b"a", b"\xff\\")),
        ("date", (dt.date(1, 1, 1), dt.date(2026, 3, 8))),
        (
            "timestamptz",
            (dt.datetime(1, 1, 2, tzinfo=dt.UTC), dt.datetime(2026, 3, 8, 1, 2, 3, 4, tzinfo=dt.UTC)),
        ),
        ("boolean", (False, True)),
    ],
)
def test_keys_of_every_type_come_in_key_order(
    sql: SQL, opened: Callable[..., Writer], type_: str, values: tuple[Any, ...]
) -> None:
    sql(f"CREATE TABLE things (id {type_}, n int, x text, PRIMARY KEY (id, n))")
    writer = opened("things", key=("id", "n"))
    keys = sorted(encode((value, number)) for value in values for number in (-5, 7))
    meta = Meta("m", keys[0], Fingerprint(1), 1, version(1, 1))
    assert {one.status for one in writer.write([Change(k, {"x": "a"}, meta) for k in reversed(keys)])} == {
        Status.APPLIED
    }
    seen: list[Key] = []
    while page := writer.scan(seen[-1] if seen else None, 3):
        seen += [held.key for held in page]
    assert seen == keys
    assert set(writer.read(keys)) == set(keys)
    writer.write([Change(key, None, meta) for key in keys[1:]])
    assert [held.key for held in writer.scan(None, 99)] == keys[:1]


def test_names_of_every_kind(sql: SQL, opened: Callable[..., Writer]) -> None:
    """Upper case, reserved, quoted, non-ASCII, and 63 bytes long: for tables, schemas and columns."""
    long = "ü" * 31 + "x"
    sql(f'CREATE SCHEMA "{long}"')
    tables = ["Users", "public.select", f'"{long}".{"é" * 31}y', f'"{long}".{"é" * 31}z', 'public."a.b""%s"']
    columns = {"id": "bigint", "order": "text", "Größe %s": "text", 'q"q': "text", "n" * 63: "text"}
    for table in tables:
        writer = opened(table, columns=columns)
        record = {name: table for name in columns if name != "id"}
        assert one(writer.write([put(1, record)])).status is Status.APPLIED, table
        assert writer.read([encode((1,))])[encode((1,))].record == record
        writer.write([put(1, None, version(1, 2))])
        assert one(writer.write([put(1, record, version(1, 1))])).status is Status.SUPERSEDED
        held = writer.contents()
        assert held.records == 0
    for name in ("x" * 64, "public." + "ü" * 32):
        with pytest.raises(DeclarationError):
            Postgres("postgresql:///x").table(name)
    assert (
        Postgres("postgresql:///x").table("users").name
        == Postgres("postgresql:///x").table("public.users").name
    )


def test_create_says_what_is_missing(sql: SQL, opened: Callable[..., Writer], postgres_url: str) -> None:
    sql("CREATE TABLE loose (id bigint)")
    sql("CREATE TABLE later (id bigint, UNIQUE (id) DEFERRABLE)")
    sql("CREATE TABLE partial (id bigint)")
    sql("CREATE UNIQUE INDEX ON partial (id) WHERE id > 0")
    sql("CREATE TABLE money (id money PRIMARY KEY)")
    sql("CREATE TABLE rounded (id numeric(10,2) PRIMARY KEY)")
    sql('CREATE TABLE "full" (id bigint PRIMARY KEY)')
    sql('INSERT INTO "full" VALUES (1)')
    sql("CREATE VIEW seen AS SELECT 1 AS id")
    for table, problem in {
        "users": "there is no table public.users",
        "nowhere.users": 'schema "nowhere" does not exist',
        "loose": "unique",
        "later": "unique",
        "partial": "unique",
        "money": "does not order",
        "rounded": "does not order",
        "full": "holds rows",
        "seen": "there is no table public.seen",
    }.items():
        writer = opened(table, create=False)
        with pytest.raises(Refused, match=problem) as refused:
            writer.create("m")
        assert refused.value.remedy
        assert writer.identity() is None
        assert bool(Postgres(postgres_url).table(table).check()) == (table != "full")
    with pytest.raises(Refused, match="nowhere"):
        opened("nowhere.users", columns={"id": "bigint"})


def test_scans_use_the_index_of_a_table_that_was_made(sql: SQL, opened: Callable[..., Writer]) -> None:
    opened("made", columns={"id": "text", "name": "text"})
    sql("SET enable_seqscan = off")
    (collation,) = sql(
        "SELECT c.collname FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation"
        " WHERE attrelid = 'made'::regclass AND attname = 'id'"
    )
    assert collation == ("C",)


def test_text_keys_in_another_collation_come_in_the_order_of_bytes(
    sql: SQL, opened: Callable[..., Writer]
) -> None:
    others = "collprovider IN ('c', 'i') AND collname LIKE 'en%' AND collencoding IN (-1, 6)"
    found = sql(f"SELECT collname FROM pg_collation WHERE {others} LIMIT 1")
    if not found:
        pytest.skip("this server knows no collation of a language: install one (locale-gen en_US.UTF-8)")
    sql(f'CREATE TABLE words (id text COLLATE "{found[0][0]}" PRIMARY KEY, x text)')
    writer = opened("words")
    keys = sorted(encode((word,)) for word in ("a", "B", "é", "z", "Z", "_"))
    meta = Meta("m", keys[0], Fingerprint(1), 1, version(1, 1))
    writer.write([Change(key, {"x": "1"}, meta) for key in keys])
    assert [held.key for held in writer.scan(None, 3) + writer.scan(keys[2], 9)] == keys


def test_a_generated_identity_as_key(sql: SQL, opened: Callable[..., Writer]) -> None:
    sql("CREATE TABLE users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)")
    writer = opened()
    assert one(writer.write([put(7, {"name": "a"})])).status is Status.APPLIED
    assert one(writer.write([put(7, {"name": "b"}, version(1, 2))])).status is Status.APPLIED
    assert sql("SELECT * FROM users") == [(7, "b")]


def test_a_partitioned_table(sql: SQL, opened: Callable[..., Writer]) -> None:
    sql("CREATE TABLE users (id bigint PRIMARY KEY, name text) PARTITION BY RANGE (id)")
    sql("CREATE TABLE users_1 PARTITION OF users FOR VALUES FROM (0) TO (100)")
    writer = opened()
    outcomes = writer.write([put(number, {"name": "a"}) for number in (1, 50, 100)])
    assert [outcome.status for outcome in outcomes] == [Status.APPLIED, Status.APPLIED, Status.REJECTED]
    assert "no partition" in (outcomes[2].reason or "")


def test_who_may_not_write_is_told_the_grant(
    writer: Writer, sql: SQL, postgres_url: str, opened: Callable[..., Writer]
) -> None:
    role = f"reader_{urlsplit(postgres_url).path[1:]}"
    sql(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    try:
        sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
        parts = urlsplit(postgres_url)
        url = parts._replace(netloc=f"{role}:x@127.0.0.1:{parts.port}").geturl()
        (finding,) = Postgres(url).table("users").check()
        assert "INSERT, UPDATE, DELETE" in finding.problem
        assert finding.mend == f'GRANT INSERT, UPDATE, DELETE ON "public"."users" TO "{role}";'
        (finding,) = Postgres(url).table("plans").check()
        sql(f"GRANT ALL ON plans TO {role}")
        sql("CREATE SCHEMA other")
        sql("CREATE TABLE other.plans (id bigint PRIMARY KEY)")
        sql(f"GRANT USAGE ON SCHEMA other TO {role}")
        sql(f"GRANT ALL ON other.plans TO {role}")
        (finding,) = Postgres(url).table("other.plans").check()
        assert finding.mend == f'GRANT CREATE ON SCHEMA "other" TO "{role}";'
        with pytest.raises(Refused, match="permission denied") as refused:
            opened(url=url, create=False).write([put(1, {})])
        assert "check" in refused.value.remedy
    finally:
        sql(f"DROP OWNED BY {role}")
        sql(f"DROP ROLE {role}")


def test_a_read_only_target_refuses_and_is_found(writer: Writer, sql: SQL, postgres_url: str) -> None:
    writer.write([put(1, {"name": "a"})])
    database = urlsplit(postgres_url).path[1:]
    sql(f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    with closing(Postgres(postgres_url).table("users").open(1)) as other:
        for _ in range(2):  # the second time on a connection that has read
            with pytest.raises(Refused, match="read-only") as refused:
                other.write([put(1, {"name": "b"})])
            assert "primary" in refused.value.remedy
            other.read([encode((1,))])
        assert list(other.read([encode((1,))])) == [encode((1,))]
    (finding,) = Postgres(postgres_url).table("users").check()
    assert "read-only" in finding.problem


def test_a_deadlock_is_tried_again(writer: Writer, sql: SQL, postgres_url: str) -> None:
    """Somebody locks 2 then 1, we 1 then 2, in the order of the batch: one of us is undone."""
    sql("SELECT 1")
    for number in (1, 2):
        writer.write([put(number, {"age": 1})])
    failures: list[str] = []

    def theirs() -> None:
        with psycopg.connect(postgres_url) as connection:
            connection.execute("SET deadlock_timeout = '10s'")  # the victim shall be the writer
            connection.execute("UPDATE users SET note = 'x' WHERE id = 2")
            locked.set()
            time.sleep(0.3)
            try:
                connection.execute("UPDATE users SET note = 'x' WHERE id = 1")
            except psycopg.Error as error:  # pragma: no cover
                failures.append(str(error))

    locked = threading.Event()
    thread = threading.Thread(target=theirs)
    thread.start()
    locked.wait(30)
    outcomes = writer.write([put(1, {"age": 2}, version(1, 2)), put(2, {"age": 2}, version(1, 2))])
    thread.join()
    assert not failures
    assert [outcome.status for outcome in outcomes] == [Status.APPLIED] * 2
    assert sql("SELECT age, note FROM users ORDER BY id") == [(2, "x"), (2, "x")]


def test_a_lock_that_is_held_is_unknown_not_rejected(
    writer: Writer, postgres_url: str, opened: Callable[..., Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("LOCK TABLE users")
        other = opened(create=False)
        monkeypatch.setitem(client._TIMES, "lock_timeout", "200ms")
        outcome = one(other.write([put(1, {})]))
    assert outcome.status is Status.UNKNOWN
    assert "lock" in (outcome.reason or "")
    assert one(other.write([put(1, {})])).status is Status.APPLIED


def test_a_statement_that_takes_too_long_is_unknown_not_rejected(
    writer: Writer, sql: SQL, opened: Callable[..., Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is slow, or a trigger hangs: no row is to blame, and none is half-written."""
    sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN new; END $$"
    )
    sql("CREATE TRIGGER slow BEFORE INSERT ON users FOR EACH ROW WHEN (new.id = 2) EXECUTE FUNCTION slow()")
    monkeypatch.setattr(client, "WRITING_SECONDS", 1.0)
    other = opened(create=False)
    outcomes = other.write([put(number, {}) for number in range(4)])
    assert {outcome.status for outcome in outcomes} == {Status.UNKNOWN}
    assert "timeout" in (outcomes[0].reason or "")
    assert sql("SELECT count(*) FROM users") == [(0,)]
    sql("DROP TRIGGER slow ON users")
    assert {one.status for one in other.write([put(number, {}) for number in range(4)])} == {Status.APPLIED}


def test_a_connection_cut_in_mid_batch_leaves_nothing_half_written(
    writer: Writer, sql: SQL, postgres_url: str, opened: Callable[..., Writer]
) -> None:
    parts = urlsplit(postgres_url)
    proxy = Proxy("127.0.0.1", parts.port or 0)
    url = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{proxy.port}").geturl()
    sql(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(2); RETURN new; END $$"
    )
    sql("CREATE TRIGGER slow BEFORE INSERT ON users FOR EACH ROW WHEN (new.id = 50) EXECUTE FUNCTION slow()")
    other = opened(url=url, create=False)
    timer = threading.Timer(0.7, proxy.cut)
    timer.start()
    outcomes = other.write([put(number, {}) for number in range(100)])
    assert {outcome.status for outcome in outcomes} == {Status.UNKNOWN}
    sql("DROP TRIGGER slow ON users")  # waits until the server has noticed
    counted = sql("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM _lockstep_users)")
    assert counted in ([(0, 0)], [(100, 100)])
    assert {outcome.status for outcome in other.write([put(number, {}) for number in range(100)])} == {
        Status.APPLIED
    }
    proxy.close()


def test_an_older_version_waits_for_the_newer_and_is_superseded(
    writer: Writer, sql: SQL, opened: Callable[..., Writer]
) -> None:
    """Two writers of one key that nobody wrote before: whoever is second sees what the first did."""
    for number in range(20):
        results: dict[int, Outcome] = {}
        start = threading.Barrier(2)

        def write(
            epoch: int,
            by: Writer,
            number: int = number,
            results: dict[int, Outcome] = results,
            start: threading.Barrier = start,
        ) -> None:
            start.wait()
            results[epoch] = one(by.write([put(number, {"age": epoch}, version(epoch, 1))]))

        other = opened(create=False)
        threads = [threading.Thread(target=write, args=args) for args in ((1, writer), (2, other))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results[2].status is Status.APPLIED
        assert sql("SELECT age FROM users WHERE id = %s", number) == [(2,)], results
        other.close()


def test_a_large_row_and_a_large_batch_are_delivered(writer: Writer, sql: SQL) -> None:
    text = "é" * 5_000_000
    outcomes = writer.write(
        [put(1, {"note": text}), *(put(n, {"note": text[:1_000_000]}) for n in range(2, 20))]
    )
    assert {outcome.status for outcome in outcomes} == {Status.APPLIED}
    assert sql("SELECT sum(octet_length(note)) FROM users") == [(10_000_000 + 18 * 2_000_000,)]


def test_counting_a_large_table_is_not_reading_it(sql: SQL, opened: Callable[..., Writer]) -> None:
    """By some of its blocks, as they are now: nobody waits for an ANALYZE to see that half of it is gone."""
    writer = opened("big", columns={"id": "bigint"})
    sql("INSERT INTO big SELECT generate_series(1, 400000)")
    assert writer.contents().records == pytest.approx(400_000, rel=0.15)
    sql("DELETE FROM big WHERE id > 100000 AND id % 2 = 0")
    assert writer.contents().records == pytest.approx(250_000, rel=0.2)
    sql("DELETE FROM big WHERE id > 200000")
    assert writer.contents().records == pytest.approx(150_000, rel=0.3)
    sql("DELETE FROM big WHERE id > 9000")
    assert writer.contents().records == 9000


def test_a_target_that_does_not_answer_or_is_dropped(
    writer: Writer, sql: SQL, opened: Callable[..., Writer]
) -> None:
    target: Target = Postgres("postgresql://nobody@127.0.0.1:1/x").table("users")
    with closing(target.open(1)) as away, pytest.raises(Unreachable):
        away.identity()
    (finding,) = target.check()
    assert "127.0.0.1:1" in finding.problem
    sql("DROP TABLE _lockstep_targets")
    with pytest.raises(TargetReplaced):
        writer.write([put(1, {})])
