"""Saved states of SQLite tables: what the law does not say."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.systems.sqlite_saved import TABLE, World, world

from lockstep.errors import DeclarationError, Refused
from lockstep.forms.keys import encode
from lockstep.systems.sqlite import SQLite
from lockstep.testing.writer_hooks import change, write

__all__ = ["world"]


def test_where_saved_states_lie_must_be_declared(tmp_path: Path) -> None:
    with pytest.raises(DeclarationError, match="saved states") as refused:
        SQLite(tmp_path / "app.db").table("users").repository()
    assert "snapshots=" in refused.value.remedy


def test_only_what_differs_is_written(world: World) -> None:
    world.do(
        "CREATE TABLE log (what TEXT, id INTEGER)",
        *(
            f"CREATE TRIGGER on_{event} AFTER {event} ON users BEGIN "
            f"INSERT INTO log VALUES ('{event}', {row}.id); END"
            for event, row in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old"))
        ),
        "CREATE VIEW names AS SELECT name FROM users",
    )
    before = world.rows()
    world.put({2: None, 3: {"name": "USER 3", "email": "3@x.org"}, 30: {"name": "new"}}, 2)
    world.do("DELETE FROM log")
    world.repository.restore("good", 1, "r")
    assert world.rows() == before, "the letters' case too, in a column that ignores it"
    assert sorted(world.do("SELECT * FROM log")) == [("DELETE", 30), ("INSERT", 2), ("UPDATE", 3)]
    assert len(world.rows("names")) == 20


def test_every_stored_value_comes_back(tmp_path: Path) -> None:
    world = World(
        tmp_path,
        'CREATE TABLE users (id INTEGER NOT NULL, "a b" "odd \'type\'", n NUMERIC, r REAL, t TEXT, x, '
        "made AS (id * 2), i INTEGER, UNIQUE (id))",
    )
    stored: list[tuple[Any, ...]] = [
        (1, "x", 5, 5.0, "5", 5, 5),
        (2, None, "no number", "no real", b"\0\xff", 5.0, "five"),
        (3, b"", 1e300, -0.0, "nul \0 in it", "5", b"5"),
        (4, "é", 2**62, 1 / 3, "", b"5", -(2**63)),
    ]
    with closing(sqlite3.connect(world.path)) as connection, connection:
        connection.executemany('INSERT INTO users (id, "a b", n, r, t, x, i) VALUES (?,?,?,?,?,?,?)', stored)
        connection.execute("INSERT INTO users (id, t) VALUES (5, CAST(x'ff61' AS TEXT))")  # no UTF-8
    kinds = ", ".join(f'typeof("{name}"), quote("{name}")' for name in ("id", "a b", "n", "r", "x", "i"))
    query = f"SELECT {kinds}, typeof(t), hex(t), made FROM users ORDER BY id"
    before = world.do(query)
    world.repository.save(1, "good")
    world.do("UPDATE users SET x = CAST(x AS TEXT), i = i + 1, t = 'other'", "DELETE FROM users WHERE id = 3")
    world.repository.restore("good", 1, "r")
    assert world.do(query) == before
    world.do("UPDATE users SET x = 5 WHERE id = 2")
    assert world.do(query) != before, "5 is not 5.0"
    world.repository.restore("good", 1, "r again")
    assert world.do(query) == before
    world.repository.restore("good", 0, "drill")
    scratch = query.replace("FROM users", "FROM users__lockstep_drill").replace(", made", ", id * 2")
    assert world.do(scratch) == before


def test_a_table_that_an_older_lockstep_made_is_restored_and_knows_it(world: World) -> None:
    before = world.rows()
    world.do("ALTER TABLE _lockstep_targets DROP COLUMN restored")
    world.do("DELETE FROM users WHERE id = 3")
    world.repository.restore("good", 1, "r")
    assert world.rows() == before
    world.put({3: None}, 2)
    world.repository.restore("good", 1, "r")
    assert len(world.rows()) == len(before) - 1


def test_another_saved_state_or_a_lost_companion_is_not_taken_for_done(world: World) -> None:
    good = world.rows()
    world.put({3: None}, 2)
    world.repository.save(1, "later")
    later = world.rows()
    for name, rows in (("good", good), ("later", later), ("good", good)):
        world.repository.restore(name, 1, "r")
        assert world.rows() == rows
    world.do("DROP TABLE _lockstep_users", "DELETE FROM users")
    world.repository.restore("good", 1, "r")
    assert world.rows() == good


@pytest.mark.parametrize(
    ("altered", "said"),
    [
        ("ALTER TABLE users ADD COLUMN age INTEGER", "age is new"),
        ("ALTER TABLE users DROP COLUMN boss", "boss is gone"),
        ("ALTER TABLE users RENAME COLUMN boss TO chief", "boss is gone; chief is new"),
    ],
)
def test_other_columns_than_were_saved_are_refused(world: World, altered: str, said: str) -> None:
    world.do(altered)
    before = world.rows()
    for generation in (1, 0):
        with pytest.raises(Refused, match=said):
            world.repository.restore("good", generation, "r")
    assert world.rows() == before
    assert world.users.open(1).identity() is not None
    assert "users__lockstep_drill" not in str(world.do("SELECT name FROM sqlite_master"))


def test_rows_of_others_are_not_lost_with_ours(world: World) -> None:
    world.do(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES users ON DELETE CASCADE)",
        "INSERT INTO orders VALUES (1, 5)",
    )
    world.put({5: {"name": "changed"}, 30: {"name": "new"}}, 2)
    world.repository.restore("good", 1, "r")
    assert world.rows("orders") == [(1, 5)], "a row that only changed keeps what refers to it"
    world.put({30: {"name": "new"}}, 3)
    world.do("INSERT INTO orders VALUES (2, 30)")
    before = world.rows()
    with pytest.raises(Refused, match=r"1 rows of main\.\"orders\" refer to rows") as refused:
        world.repository.restore("good", 1, "r2")
    assert "orders" in refused.value.remedy
    assert (world.rows("orders"), world.rows()) == ([(1, 5), (2, 30)], before)


def test_a_reference_that_stands_against_it_is_said(world: World) -> None:
    world.put({30: {"name": "new"}}, 2)
    world.do(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES users)",
        "INSERT INTO orders VALUES (2, 30)",
    )
    before = world.rows()
    with pytest.raises(Refused, match="FOREIGN KEY") as refused:
        world.repository.restore("good", 1, "r")
    assert refused.value.remedy
    assert world.rows() == before


def test_unique_values_that_were_exchanged_and_rows_that_refer_to_each_other(tmp_path: Path) -> None:
    world = World(tmp_path, TABLE.replace("boss INTEGER", "boss INTEGER REFERENCES users (id)"))
    world.put({1: {"email": "a"}, 2: {"email": "b"}, 3: {"email": "c"}})
    world.do("UPDATE users SET boss = CASE id WHEN 2 THEN 1 ELSE 2 END")
    before = world.rows()
    world.repository.save(1, "good")
    world.do(
        "UPDATE users SET email = 'z' WHERE id = 1",
        "UPDATE users SET email = 'a' WHERE id = 2",
        "UPDATE users SET email = 'b', boss = 3 WHERE id = 1",
        "INSERT INTO users (id, email, boss) VALUES (4, 'd', 4)",
        "UPDATE users SET boss = 4",
    )
    world.repository.restore("good", 1, "r")
    assert world.rows() == before


def test_a_trigger_that_keeps_rows_is_named_and_nothing_changes(world: World) -> None:
    world.put({2: None, 30: {"name": "new"}}, 2)
    world.do("CREATE TRIGGER keep BEFORE DELETE ON users BEGIN SELECT RAISE(IGNORE); END")
    before = world.rows()
    with pytest.raises(Refused, match="more rows than were saved") as refused:
        world.repository.restore("good", 1, "r")
    assert "trigger" in refused.value.remedy
    assert world.rows() == before


def test_a_table_that_was_dropped(tmp_path: Path) -> None:
    columns = {"id": "INTEGER", "name": "TEXT", "email": "TEXT", "boss": "INTEGER"}
    for number, declared in enumerate((None, columns)):
        (tmp_path / str(number)).mkdir()
        made = "CREATE TABLE users (id INTEGER PRIMARY KEY NOT NULL, name TEXT, email TEXT, boss INTEGER)"
        world = World(tmp_path / str(number), made, declared)
        world.put({1: {"name": "a"}})
        before = world.rows()
        world.repository.save(1, "good")
        world.do("DROP TABLE users")
        if declared is None:
            with pytest.raises(Refused, match="no table users"):
                world.repository.restore("good", 1, "r")
            world.do(made)
        world.repository.restore("good", 1, "r")
        assert world.rows() == before
        if declared is not None:
            world.path.unlink()
            world.repository.restore("good", 1, "r2")
            assert world.rows() == before


def test_a_table_of_the_scratch_tables_name_is_left_alone(world: World) -> None:
    world.do("CREATE TABLE users__lockstep_drill (id INTEGER PRIMARY KEY)")
    with pytest.raises(Refused, match="has no marker"):
        world.repository.restore("good", 0, "drill")
    world.users.remove(0, "drill")
    assert world.rows("users__lockstep_drill") == []


def test_the_table_itself_is_never_removed(world: World) -> None:
    for marker in ("m", "another"):
        with pytest.raises(Refused, match="one build"):
            world.users.remove(1, marker)
    assert len(world.rows()) == 20


def test_tables_called_as_those_of_a_saved_state(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    for name in ("rows", "companion"):
        columns = {"id": "INTEGER", "name": "TEXT"}
        table = SQLite(path, snapshots=tmp_path / "saved").table(name, columns=columns)
        with closing(table.open(1)) as writer:
            writer.create("m")
            write(writer, change(encode((1,)), {"name": name}))
        table.repository().save(1, "good")
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"DROP TABLE {name}")
        table.repository().restore("good", 1, "r")
        with closing(table.open(1)) as writer:
            assert [held.record["name"] for held in writer.scan(None, 10)] == [name]
