"""What the server sums by itself is what is summed of the rows that are read."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.systems.postgres_db import Db

import lockstep as ls
from lockstep.agreement.branches import branch
from lockstep.declaration.mapping import Mapping
from lockstep.engine.deriving.derive import Deriver
from lockstep.errors import CannotSum
from lockstep.forms import keys
from lockstep.forms.canonical import wrap64
from lockstep.ports import SummingSnapshot
from lockstep.systems.postgres.reading import summing
from lockstep.systems.postgres.reading.snapshot import PostgresSnapshot
from lockstep.values import EVERYTHING, Branch, Fetch, Key, Span, Tally

DDL = (
    "CREATE TABLE teams(id int PRIMARY KEY, name text)",
    "CREATE TABLE people(id int PRIMARY KEY, team int, name text, score float8, seen timestamptz)",
    "CREATE TABLE groups(id text PRIMARY KEY, name text)",
    # no foreign key: rows that hang on nobody
    "CREATE TABLE memberships(person int NOT NULL, grp text NOT NULL, PRIMARY KEY (person, grp))",
    # one that names the root's key, and may be null
    "CREATE TABLE orders(id int PRIMARY KEY, person int REFERENCES people, total numeric)",
    "CREATE TABLE lines(id int PRIMARY KEY, order_id int NOT NULL REFERENCES orders, text text)",
    # of the root's key, and of another type
    "CREATE TABLE notes(id int PRIMARY KEY, person bigint, text text)",
    "INSERT INTO teams SELECT n, 'team ' || n FROM generate_series(1, 7) n",
    "INSERT INTO people SELECT n, nullif(n % 9, 8), 'p' || n, n / 3.0, now()"
    " FROM generate_series(-20, 200) n",
    "INSERT INTO groups SELECT 'g' || n, 'group ' || n FROM generate_series(1, 5) n",
    "INSERT INTO memberships SELECT n * 7 % 300, 'g' || n % 6 FROM generate_series(1, 400) n"
    " ON CONFLICT DO NOTHING",
    "INSERT INTO orders SELECT n, nullif(n % 150, 0), n * 1.10 FROM generate_series(1, 500) n",
    "INSERT INTO lines SELECT n, 1 + n % 500, 'line, \"' || n FROM generate_series(1, 900) n",
    "INSERT INTO notes SELECT n, n % 230, null FROM generate_series(1, 300) n",
)


class Team(ls.Model, table="public.teams"):
    id: int = ls.key()
    name: str | None


class Group(ls.Model, table="public.groups"):
    id: str = ls.key()
    name: str | None


class Person(ls.Model, table="public.people"):
    id: int = ls.key()
    team: int | None = ls.ref("Team.id")
    name: str | None
    score: float | None
    seen: dt.datetime | None


class Membership(ls.Model, table="public.memberships"):
    person: int = ls.key(ref="Person.id")
    grp: str = ls.key(ref="Group.id")


class Line(ls.Model, table="public.lines"):
    id: int = ls.key()
    order_id: int = ls.ref("Order.id")
    text: str | None


class Order(ls.Model, table="public.orders"):
    id: int = ls.key()
    person: int | None = ls.ref("Person.id")
    total: Decimal | None


class Note(ls.Model, table="public.notes"):
    id: int = ls.key()
    person: int | None = ls.ref("Person.id")
    text: str | None


class Bill(Order):
    lines: list[Line]


class Alone(Person):
    pass


class InTeam(Person):
    home: Team | None = ls.one(on=Person.team)


class Whole(Person):
    home: Team | None = ls.one(on=Person.team)
    groups: list[Group] = ls.many(through=Membership)
    orders: list[Bill]
    notes: list[Note]


class Paid(Line):
    """A root whose relation has one of its own."""

    order: Ordered | None = ls.one(on=Line.order_id)


class Ordered(Order):
    by: Whole | None = ls.one(on=Order.person)


@pytest.fixture
def db(postgres_url: str) -> Iterator[Db]:
    with Db(postgres_url, *DDL) as db:
        yield db


def numbers(db: Db, shape: type[ls.Model]) -> tuple[Branch, dict[Key, int]]:
    """What the ledger would keep of every root."""

    def means(root: Any) -> dict[str, object]:
        return {}

    means.__annotations__ = {"root": shape, "return": dict[str, object]}
    mapping = Mapping(
        means, db.source, ls.SQLite("/nowhere.db").table("t"), name="m", key=None, version="1", zone="UTC"
    )
    reader = db.reader()
    with reader.snapshot() as snapshot:
        found = snapshot.keys(mapping.root.table, EVERYTHING, 10_000).keys
    return branch(mapping.root), Deriver(mapping, reader).numbers(found)


def tallies(known: dict[Key, int], cuts: list[Key]) -> list[Tally]:
    found = []
    for after, upto in zip([None, *cuts], [*cuts, None], strict=True):
        inside = [n for key, n in known.items() if (not after or key > after) and (not upto or key <= upto)]
        found.append(Tally(len(inside), wrap64(sum(inside))))
    return found


def summed(db: Db, root: Branch) -> list[Tally]:
    with db.reader().snapshot() as snapshot:
        assert isinstance(snapshot, SummingSnapshot)
        return snapshot.sums(root, [])


def assert_summed(db: Db, shape: type[ls.Model]) -> None:
    root, known = numbers(db, shape)
    chance = random.Random(shape.__name__)
    with db.reader().snapshot() as snapshot:
        assert isinstance(snapshot, SummingSnapshot)
        for count in (0, 1, 2, 17, len(known)):
            cuts = sorted(chance.sample(sorted(known), min(count, len(known))))
            assert snapshot.sums(root, cuts) == tallies(known, cuts), (shape, count)
            for after, upto in ((None, None), (cuts[0], None), (None, cuts[-1])) if cuts else ():
                listed = dict(pair for page in snapshot.numbers(root, Span(after, upto)) for pair in page)
                assert listed == {
                    key: number
                    for key, number in known.items()
                    if (not after or key > after) and (not upto or key <= upto)
                }
                narrow = [cut for cut in cuts if cut not in (after, upto)]
                assert snapshot.sums(root, narrow, Span(after, upto)) == tallies(listed, narrow), shape


@pytest.mark.parametrize("shape", [Alone, InTeam, Whole, Bill, Paid])
def test_sums_are_those_of_the_rows_that_are_read(db: Db, shape: type[ls.Model]) -> None:
    assert_summed(db, shape)
    db.execute(
        "UPDATE memberships SET grp = 'g9' WHERE person = 21",  # a group that is not there
        "DELETE FROM notes WHERE person < 50",
        "UPDATE people SET score = 'NaN', name = null WHERE id % 10 = 0",
    )
    assert_summed(db, shape)


class Spoke(ls.Model, table="public.spokes"):
    id: int = ls.key()
    hub: Any = ls.ref("Hub.id")


class Hub(ls.Model, table="public.hubs"):
    id: Any = ls.key()


class Wheel(Hub):
    spokes: list[Spoke]


@pytest.mark.parametrize(
    ("key", "foreign", "hub", "spoke"),
    [
        ("numeric", "int", "1.00", "1"),
        ("numeric", "numeric", "1.00", "1.0"),
        ("number", "number", "1.00", "1.0"),
        ("numeric(6,2)", "numeric(6,2)", "1", "1.0"),
        ("int", "bigint", "1", "1"),
        ("float8", "float8", "0", "-0"),
        ("float4", "float4", "-0", "0"),
        ("char(4)", "char(4)", "a", "a "),
    ],
)
def test_a_foreign_key_that_is_equal_and_has_another_text(
    db: Db, key: str, foreign: str, hub: str, spoke: str
) -> None:
    db.execute(
        "CREATE DOMAIN number AS numeric",
        f"CREATE TABLE hubs(id {key} PRIMARY KEY)",
        f"CREATE TABLE spokes(id int PRIMARY KEY, hub {foreign} REFERENCES hubs)",
        f"INSERT INTO hubs VALUES ('{hub}'), ('2'), ('3')",
        f"INSERT INTO spokes VALUES (1, '{spoke}'), (2, '2'), (3, '2'), (4, '{spoke}')",
    )
    assert_summed(db, Wheel)


APART: dict[str, list[Any]] = {
    "int2": [-(1 << 15), -1, 0, 1, (1 << 15) - 1],
    "int4": [-(1 << 31), -1, 0, 1, (1 << 31) - 1],
    "int8": [n + (m << 32) for n in range(-3, 20) for m in range(-20, 20)],  # whose own hash folds the halves
    "bool": [False, True],
    "uuid": [UUID(int=n << shift) for n in (1, 5) for shift in (0, 40, 64, 120)],
    "text": ["", " ", "a", "A", "a ", "(a)", "NULL", "null", "é", "e\u0301", '"', "\\"],
    "varchar(20)": ["", " ", "a", "a "],
    "numeric": [Decimal(text) for text in ("0", "0.0", "1", "1.0", "1.00", "-1", "NaN", "1e20", "0.1000001")],
    "json": ['{"a": 1}', '{"a":1}', "null", "[]", '""'],
    "jsonb": ['{"a": 1}', '{"a": 1.0}', "null", "[]", '""'],
    "float8": [0.0, -0.0, 0.1, 0.1 + 2**-56, float("nan"), float("inf")],
    "timestamptz": [dt.datetime(2026, 3, 8, hour, tzinfo=dt.UTC) for hour in range(24)],
    "text[]": [[], [""], [None], ["a", "b"], ["a,b"], ["b", "a"]],
}


@pytest.mark.parametrize("declared", APART)
def test_values_that_differ_are_hashed_apart(db: Db, declared: str) -> None:
    assert_apart(db, declared, APART[declared])


def test_a_collation_has_no_part_in_a_hash(postgres15_url: str) -> None:
    blind = "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
    with Db(postgres15_url, blind) as db:
        assert_apart(db, "text COLLATE blind", ["a", "A", "ä", "a "])


def assert_apart(db: Db, declared: str, distinct: Sequence[Any]) -> None:
    """Null too, and in a row as alone; what two rows exchange shows in what they add up to."""
    values = [None, *distinct]
    db.execute(f"CREATE TABLE apart(id int PRIMARY KEY, v {declared}, w {declared} NOT NULL)")
    for n, value in enumerate(values):
        db.app.execute(
            "INSERT INTO apart VALUES (%s, %s, %s)", (n, value, values[1] if value is None else value)
        )
    with db.reader().snapshot() as snapshot:
        assert isinstance(snapshot, PostgresSnapshot)
        info = snapshot._info("public.apart")
    for names in (("v",), ("v", "w"), ("w", "v")):
        made = info.hash_sql(names)
        count = f"SELECT count(DISTINCT ({made})) FROM apart t"
        assert db.app.execute(count.encode()).fetchone() == (len(values),), names
    total = f"SELECT sum({info.hash_sql(('id', 'v', 'w'))}) FROM apart t WHERE id < 2"
    before = db.app.execute(total.encode()).fetchone()
    db.execute("UPDATE apart SET v = (SELECT o.v FROM apart o WHERE o.id = 1 - apart.id) WHERE id < 2")
    assert db.app.execute(total.encode()).fetchone() != before


def test_the_widest_table_there_can_be_is_hashed(postgres15_url: str) -> None:
    """Each column is a step deeper in the expression, and of a bigint the longest. The oldest server has
    the least room for it."""
    names = [f"{'c' * 59}{n:04}" for n in range(1599)]
    wide = f"CREATE TABLE wide(id int PRIMARY KEY, {', '.join(f'{name} bigint' for name in names)})"
    with Db(postgres15_url, wide, "INSERT INTO wide(id) SELECT generate_series(1, 50)") as db:
        db.execute(f"UPDATE wide SET {names[-1]} = id / 2, {names[0]} = -id")
        with db.reader().snapshot() as snapshot:
            found = snapshot.rows(
                Fetch("public.wide", ("id",), ("id",), (("id", *names), (names[-1],))),
                [(n,) for n in range(1, 51)],
            )
        assert len({whole for _, whole, _ in found}) == 50
        assert len({last for _, _, last in found}) == 26


def test_a_column_that_may_be_null_is_hashed_as_one_that_may_not(db: Db) -> None:
    db.execute(
        "CREATE DOMAIN number AS int",
        "CREATE TABLE bare(a int NOT NULL, b number, c int)",
        "INSERT INTO bare VALUES (1, 1, 1), (-5, -5, -5)",
    )
    with db.reader().snapshot() as snapshot:
        assert isinstance(snapshot, PostgresSnapshot)
        a, b, c = (snapshot._info("public.bare").hash_sql(name) for name in "abc")
    alike = f"SELECT {a} = {b}, {b} = {c} FROM bare t"
    assert db.app.execute(alike.encode()).fetchall() == [(True, True)] * 2


def test_a_users_cast_to_text_has_no_part_in_a_hash(db: Db) -> None:
    db.execute(
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "CREATE FUNCTION always(mood) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'x' $$",
        "CREATE CAST (mood AS text) WITH FUNCTION always(mood)",
        "CREATE TABLE moods(id int PRIMARY KEY, v mood)",
        "INSERT INTO moods VALUES (1, 'sad'), (2, 'ok')",
    )
    with db.reader().snapshot() as snapshot:
        assert isinstance(snapshot, PostgresSnapshot)
        made = snapshot._info("public.moods").hash_sql(("v",))
    assert db.app.execute(f"SELECT count(DISTINCT ({made})) FROM moods t".encode()).fetchone() == (2,)


def test_a_constraint_that_is_not_validated_yet_lets_nulls_be(db: Db) -> None:
    """PostgreSQL 18 calls such a column never null; rows from before may be, and have a hash all the same."""
    db.execute("CREATE TABLE bare(a int NOT NULL, b int)", "INSERT INTO bare VALUES (1, NULL)")
    if db.app.info.server_version >= 180000:
        db.execute("ALTER TABLE bare ADD CONSTRAINT c NOT NULL b NOT VALID")
    with db.reader().snapshot() as snapshot:
        assert isinstance(snapshot, PostgresSnapshot)
        info = snapshot._info("public.bare")
    made = info.hash_sql(("a", "b"))
    assert db.app.execute(f"SELECT {made} IS NULL FROM bare t".encode()).fetchall() == [(False,)]


def test_what_is_joined_and_summed_is_so_by_several_processes(db: Db) -> None:
    """Where only the scan is parallel, all its rows go through one process."""
    root, known = numbers(db, Whole)
    for name in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
        db.app.execute(f"SET {name} = 0".encode())
    db.app.execute("ANALYZE")
    with db.reader().snapshot() as snapshot:
        assert isinstance(snapshot, PostgresSnapshot)
        infos = snapshot._infos(root)
        statements = summing.sums_sql(
            infos, snapshot._references(infos), root, sorted(known)[::40], EVERYTHING
        )
    assert len(statements) > 1
    for statement in statements:
        plan = "\n".join(row[0] for row in db.app.execute(f"EXPLAIN {statement}".encode()))
        assert "Join" not in plan or plan.index("Gather") < plan.index("Join"), plan


def test_two_links_exchanged_and_two_errors_that_cancel_show(db: Db) -> None:
    db.execute(
        "INSERT INTO people(id) VALUES (901), (902)",
        "INSERT INTO memberships VALUES (901, 'g1'), (902, 'g2')",
        "INSERT INTO orders VALUES (901, 901, 10), (902, 902, 20)",
    )
    root, before = numbers(db, Whole)
    assert summed(db, root) == tallies(before, [])
    db.execute(
        "DELETE FROM memberships WHERE person > 900",
        "INSERT INTO memberships VALUES (901, 'g2'), (902, 'g1')",
    )
    assert summed(db, root) != tallies(before, [])
    root, before = numbers(db, Whole)
    db.execute("UPDATE orders SET total = CASE id WHEN 901 THEN 20 ELSE 10 END WHERE id > 900")
    assert summed(db, root) != tallies(before, [])


KEYS: dict[str, list[Any]] = {
    "text": ["", "a", "A", "ä", "z", "Z", "雪", "🎿", "a b", "'quoted'", "\\"],
    'varchar(9) COLLATE "C"': ["", "a", "A", "é"],
    "bigint": [-(1 << 63), -1, 0, 1, 255, 256, (1 << 63) - 1],
    "numeric": [Decimal(text) for text in ("-1.5", "0", "0.05", "1", "1.5", "1e30", "NaN", "-Infinity")],
    "float8": [float(text) for text in ("-inf", "-1.5", "0", "1e300", "nan")],
    "uuid": [UUID(int=n << 64) for n in (0, 1, 1 << 40, (1 << 63) + 5)],
    "date": [dt.date(1, 1, 1), dt.date(2000, 2, 29), dt.date(9999, 12, 31)],
    "timestamptz": [dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 3, 8, 9, 30, 0, 5, dt.UTC)],
    "bytea": [b"", b"\0", b"\0\xff", b"a"],
    "bool": [False, True],
}


class Keyed(ls.Model, table="public.keyed"):
    k: Any = ls.key()
    n: int = ls.key()
    v: int | None


class KeyedOne(ls.Model, table="public.keyed"):
    k: Any = ls.key()
    v: int | None


@pytest.mark.parametrize("declared", KEYS)
@pytest.mark.parametrize("shape", [Keyed, KeyedOne])
def test_keys_of_every_order(db: Db, declared: str, shape: type[ls.Model]) -> None:
    key = "k, n" if shape is Keyed else "k"
    db.execute(f"CREATE TABLE keyed(k {declared}, n int, v int, PRIMARY KEY ({key}))")
    for value in KEYS[declared]:
        for n in range(2 if shape is Keyed else 1):
            db.app.execute("INSERT INTO keyed VALUES (%s, %s, 1)", (value, n))
    assert_summed(db, shape)


def test_enums_and_other_texts_are_ordered_as_texts(db: Db) -> None:
    db.execute("CREATE TYPE size AS ENUM ('small', 'large', 'huge')")
    for declared, values in {
        "size": ("small", "large", "huge"),
        "inet": ("10.0.0.9", "10.0.0.10/8", "::1"),
    }.items():
        db.execute(f"CREATE TABLE keyed(k {declared} PRIMARY KEY, v int)")
        for value in values:
            db.app.execute("INSERT INTO keyed VALUES (%s, 1)", (value,))
        assert_summed(db, KeyedOne)
        db.execute("DROP TABLE keyed")


def test_a_bound_that_is_no_key_of_the_table_is_said(db: Db) -> None:
    root, _ = numbers(db, Alone)
    with db.reader().snapshot() as snapshot:
        assert isinstance(snapshot, SummingSnapshot)
        for cut in (keys.encode(("text",)), keys.encode((1, 2)), keys.encode((1 << 40,))):
            with pytest.raises(CannotSum, match="no key"):
                snapshot.sums(root, [cut])
