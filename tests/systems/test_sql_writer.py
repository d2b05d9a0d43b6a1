"""The SQL writer on SQLite: what the law does not say."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.systems.killed import applied_before_the_kill

from lockstep.errors import DeclarationError, Refused, TargetReplaced
from lockstep.forms.keys import encode
from lockstep.systems.sql.writer import SQLWriter
from lockstep.systems.sqlite import SQLite
from lockstep.values import Change, Fingerprint, Key, Meta, Outcome, Record, Status, Version, version

SQL = Callable[..., list[Any]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


@pytest.fixture
def sql(path: Path) -> SQL:
    """What somebody else does to the file."""

    def run(statement: str, *values: Any) -> list[Any]:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    return run


@pytest.fixture
def writer(path: Path, sql: SQL) -> Iterator[SQLWriter]:
    sql("CREATE TABLE plans (id INTEGER PRIMARY KEY)")
    sql(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, age INTEGER NOT NULL DEFAULT 0,"
        " paid DECIMAL, at DATETIME, ok BOOLEAN, note TEXT DEFAULT 'theirs', ref UUID,"
        " plan INTEGER REFERENCES plans (id) DEFERRABLE INITIALLY DEFERRED, twice INTEGER AS (age * 2))"
    )
    with closing(SQLite(path).table("users").open(1)) as writer:
        writer.create("m")
        yield writer


def put(number: int, record: Record | None, at: Version = version(1, 1)) -> Change:  # noqa: B008
    key = encode((number,))
    return Change(key, record, Meta("m", key, Fingerprint(number), number, at))


def one(outcomes: list[Outcome]) -> Outcome:
    (outcome,) = outcomes
    return outcome


def test_values_lie_in_their_documented_form(writer: SQLWriter, sql: SQL) -> None:
    at = dt.datetime(2026, 3, 8, 11, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    uuid = UUID(int=7)
    record = {"name": "Ada", "paid": Decimal("19.90"), "at": at, "ok": True, "ref": uuid, "age": 3}
    assert one(writer.write([put(1, record)])) == Outcome(Status.APPLIED)
    assert sql("SELECT paid, at, ok, ref, twice FROM users") == [
        (19.9, "2026-03-08T09:30:00.000000Z", 1, str(uuid), 6)
    ]
    held = writer.read([encode((1,))])[encode((1,))].record
    assert held == {**record, "paid": Decimal("19.9")}
    assert isinstance(held["paid"], Decimal)


def test_what_cannot_come_back_equal_is_reported_as_held(writer: SQLWriter) -> None:
    many = Decimal("1234567890123456789.12")
    (decimal, nested) = writer.write([put(1, {"paid": many}), put(2, {"name": [1, {"a": None}]})])
    assert decimal.held == {"paid": Decimal("1234567890123456768")}
    assert nested.held == {"name": '[1,{"a":null}]'}
    assert writer.scan(None, 2)[1].record == nested.held


def test_columns_that_the_mapping_never_named_are_left_alone(writer: SQLWriter, sql: SQL) -> None:
    writer.write([put(1, {"name": "Ada", "age": 1})])
    sql("UPDATE users SET note = 'by hand'")
    writer.write([put(1, {"age": 2}, version(1, 2))])
    assert sql("SELECT name, age, note FROM users") == [(None, 2, "by hand")]
    assert writer.scan(None, 9)[0].record == {"age": 2}


def test_a_rejection_names_what_is_wrong(writer: SQLWriter) -> None:
    writer.write([put(9, {"name": "taken"})])
    bad: dict[int, tuple[Record, str]] = {
        1: ({"nmae": "x"}, "no column nmae"),
        2: ({"age": "old"}, "users.age"),
        3: ({"age": 2**70}, "64 bits"),
        4: ({"name": "taken"}, "UNIQUE constraint failed: users.name"),
        5: ({"age": None}, "NOT NULL constraint failed: users.age"),
        6: ({"id": 5}, "key says 6"),
        7: ({"twice": 5}, "no column twice"),
        8: ({"plan": 404}, "FOREIGN KEY"),
    }
    changes = [put(number, record) for number, (record, _) in bad.items()]
    good = [put(number, {"id": number, "name": f"good {number}"}) for number in range(20, 25)]
    outcomes = writer.write([*good[:2], *changes, *good[2:]])
    for outcome, (record, reason) in zip(outcomes[2:-3], bad.values(), strict=True):
        assert outcome.status is Status.REJECTED, record
        assert outcome.reason is not None
        assert reason in outcome.reason
    assert {outcome.status for outcome in (*outcomes[:2], *outcomes[-3:])} == {Status.APPLIED}
    assert [held.record for held in writer.scan(encode((9,)), 99)] == [change.record for change in good]


def test_a_trigger_that_changes_a_row_is_seen(writer: SQLWriter, sql: SQL) -> None:
    sql(
        "CREATE TRIGGER low AFTER INSERT ON users"
        " BEGIN UPDATE users SET name = lower(new.name) WHERE id = new.id; END"
    )
    sql("CREATE TRIGGER none BEFORE INSERT ON users WHEN new.age = 13 BEGIN SELECT raise(IGNORE); END")
    changed, dropped = writer.write([put(1, {"name": "ADA"}), put(2, {"age": 13})])
    assert changed.held == {"name": "ada"}
    assert dropped.status is Status.REJECTED
    assert "trigger" in (dropped.reason or "")
    assert list(writer.read([encode((1,)), encode((2,))])) == [encode((1,))]


def test_tombstones_are_forgotten_after_a_while(path: Path, sql: SQL, writer: SQLWriter) -> None:
    writer.write([put(1, {}), put(2, {})])
    writer.write([put(1, None, version(1, 5))])
    sql("UPDATE _lockstep_users SET buried = buried - 3500")
    again = SQLite(path).table("users").open(1)
    again.write([put(3, {})])
    assert len(sql("SELECT * FROM _lockstep_users")) == 3
    sql("UPDATE _lockstep_users SET buried = buried - 200")
    again.close()
    again = SQLite(path).table("users").open(1)
    again.write([put(3, {})])
    assert len(sql("SELECT * FROM _lockstep_users")) == 2
    assert again.contents().highest == version(1, 5)
    again.close()


def test_numbers_and_composite_keys_come_in_key_order(path: Path) -> None:
    target = SQLite(path).table(
        "members", key=("org", "id"), columns={"org": "TEXT", "id": "INTEGER", "role": "TEXT"}
    )
    keys = sorted(target.key((org, number)) for org in ("a", "a\0", "B", "é", "") for number in (-5, 9, 10))
    with closing(target.open(1)) as writer:
        writer.create("m")
        meta = Meta("m", keys[0], Fingerprint(1), 1, version(1, 1))
        writer.write([Change(key, {"role": "x"}, meta) for key in reversed(keys)])
        seen: list[Key] = []
        while page := writer.scan(seen[-1] if seen else None, 4):
            seen += [held.key for held in page]
        assert seen == keys
        assert set(writer.read(keys)) == set(keys)
        writer.write([Change(key, None, meta) for key in keys[:5]])
        assert [held.key for held in writer.scan(None, 99)] == keys[5:]


def test_declared_columns_make_keys_normal(path: Path) -> None:
    target = SQLite(path).table("users", columns={"id": "TEXT", "name": "TEXT"})
    assert target.key((5,)) == encode(("5",))
    assert target.key((UUID(int=5),)) == encode((str(UUID(int=5)),))
    with closing(target.open(1)) as writer:
        writer.create("m")
        assert one(writer.write([put(5, {"name": "x"})])).status is Status.REJECTED
        key = target.key((5,))
        change = Change(key, {"name": "x"}, put(5, {}).meta)
        assert one(writer.write([change])).status is Status.APPLIED
        assert list(writer.read([key])) == [key]


def test_create_says_what_is_missing(path: Path, sql: SQL) -> None:
    with closing(SQLite(path).table("users").open(1)) as writer, pytest.raises(Refused):
        writer.create("m")
    assert not path.exists()
    sql("CREATE TABLE nocase (id TEXT COLLATE NOCASE PRIMARY KEY)")
    sql("CREATE TABLE loose (id INTEGER)")
    sql("CREATE TABLE money (id DECIMAL PRIMARY KEY)")
    sql("CREATE TABLE full (id INTEGER PRIMARY KEY)")
    sql("INSERT INTO full VALUES (1)")
    for table, problem in {
        "users": "there is no table users",
        "nocase": "upper from lower",
        "loose": "unique",
        "money": "does not order",
        "full": "holds rows",
    }.items():
        with closing(SQLite(path).table(table).open(1)) as writer:
            with pytest.raises(Refused, match=problem) as refused:
                writer.create("m")
            assert refused.value.remedy
            assert writer.identity() is None
        findings = SQLite(path).table(table).check()
        assert bool(findings) == (table != "full")


def test_declarations_that_have_no_meaning(path: Path) -> None:
    for columns in ({"id": "INTEGER); DROP TABLE x"}, {"name": "TEXT"}, {"id": "JSON"}):
        with pytest.raises(DeclarationError):
            SQLite(path).table("users", columns=columns)
    with pytest.raises(DeclarationError):
        SQLite(path).table("_lockstep_users")


def test_another_file_under_the_same_path_is_noticed(path: Path, writer: SQLWriter) -> None:
    writer.write([put(1, {})])
    path.unlink()
    with pytest.raises(TargetReplaced):
        writer.write([put(2, {})])
    assert not path.exists()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
    assert writer.identity() is None
    with pytest.raises(TargetReplaced):
        writer.write([put(2, {})])


def test_scans_and_reads_use_the_key_index(path: Path, writer: SQLWriter, sql: SQL) -> None:
    sql("CREATE TABLE texts (id TEXT PRIMARY KEY)")
    for where in (
        'id COLLATE "BINARY" > \'a\' ORDER BY id COLLATE "BINARY"',
        "id COLLATE \"BINARY\" IN ('a', 'b')",
    ):
        plan = sql(f"EXPLAIN QUERY PLAN SELECT * FROM texts WHERE {where}")
        assert [step[3].split(" ")[0] for step in plan] == ["SEARCH"], plan


def test_what_was_applied_survives_a_kill(path: Path) -> None:
    columns = "{'id': 'INTEGER', 'name': 'TEXT'}"
    source = f"from lockstep.systems.sqlite import SQLite; SQLite('app.db').table('users', columns={columns})"
    target = SQLite(path).table("users", columns={"id": "INTEGER", "name": "TEXT"})
    with closing(target.open(1)) as writer:
        writer.create("m")
        batches = applied_before_the_kill(
            f"from lockstep.systems.sqlite import SQLite; {source}", path.parent
        )
        keys = [encode((number,)) for number in range(10, batches * 10 + 10)]
        assert {held.meta is not None for held in writer.read(keys).values()} == {True}
        assert set(writer.read(keys)) == set(keys)
        assert one(writer.write([put(1, {"name": "after"})])).status is Status.APPLIED
