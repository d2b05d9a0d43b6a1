"""What one transaction may hold, and how it may end: the documents are what was committed."""

from __future__ import annotations

from pathlib import Path

import pytest

import lockstep as ls
from tests.pairs.world import SCHEMA, Following, World, until

DEFERRED = (
    "ALTER TABLE users ALTER CONSTRAINT users_company_id_fkey DEFERRABLE INITIALLY DEFERRED",
    "ALTER TABLE conversations ALTER CONSTRAINT conversations_user_id_fkey DEFERRABLE INITIALLY DEFERRED",
    "ALTER TABLE messages ALTER CONSTRAINT messages_conversation_id_fkey DEFERRABLE INITIALLY DEFERRED",
)


@pytest.fixture
def loaded(tmp_path: Path, postgres_url: str) -> World:
    made = World(tmp_path, postgres_url, f"sql|{tmp_path / 'out'}|people")
    made.do(*SCHEMA.strip().rstrip(";").split(";"))
    made.run()
    return made


def test_what_one_transaction_may_hold(loaded: World) -> None:
    steps = [
        ("DELETE FROM users WHERE id = 1", "INSERT INTO users VALUES (1, 2, 'again')"),
        (
            "UPDATE users SET id = -2 WHERE id = 2",
            "UPDATE users SET id = 2 WHERE id = 3",
            "UPDATE users SET id = 3 WHERE id = -2",
        ),
        (
            *("SAVEPOINT a", "DELETE FROM users", "ROLLBACK TO a"),
            *("SAVEPOINT b", "UPDATE users SET email = 'kept' WHERE id = 4", "RELEASE b"),
        ),
        ("INSERT INTO users SELECT i, 1, 'many' || i FROM generate_series(1000, 8000) i",),
        ("TRUNCATE users CASCADE", "INSERT INTO users VALUES (7, 1, 'alone')"),
    ]
    loaded.guard = ls.Guard(free=10_000)
    for statements in steps:
        loaded.do(*statements)
        assert loaded.actual() != loaded.expected(), statements
        loaded.run()
        assert loaded.actual() == loaded.expected(), statements
    loaded.assert_agreement()


def test_two_phases_with_a_start_in_between(loaded: World) -> None:
    with loaded.connect() as own:
        for name, key in (("kept", 1), ("dropped", 2)):
            own.execute("BEGIN")
            own.execute(f"UPDATE users SET email = '{name}' WHERE id = {key}".encode())
            own.execute(f"PREPARE TRANSACTION '{loaded.url.rpartition('/')[2]} {name}'".encode())
        own.execute("UPDATE users SET email = 'meanwhile' WHERE id = 3")
        loaded.run()
        assert loaded.actual() == loaded.expected()
        own.execute(f"COMMIT PREPARED '{loaded.url.rpartition('/')[2]} kept'".encode())
        own.execute(f"ROLLBACK PREPARED '{loaded.url.rpartition('/')[2]} dropped'".encode())
    assert loaded.actual() != loaded.expected()
    loaded.run()
    assert loaded.actual() == loaded.expected()
    loaded.assert_agreement()


def test_rows_that_are_copied_in(loaded: World) -> None:
    with loaded.connect() as own, own.cursor() as cursor:
        with cursor.copy(b"COPY users (id, company_id, email) FROM STDIN") as rows:
            for number in range(1000, 9000):
                rows.write_row((number, number % 5 + 1, f"copied {number}"))
        with cursor.copy(b"COPY users_tags FROM STDIN") as rows:
            for number in range(1000, 9000):
                rows.write_row((number, number % 4 + 1))
    loaded.run()
    assert len(loaded.actual()) == 8060
    loaded.assert_agreement()


def test_a_family_in_any_order(loaded: World) -> None:
    """Deferred constraints let children come before their parents, and parents go before their children."""
    loaded.do(*DEFERRED)
    born = (
        "INSERT INTO messages VALUES (900, 900, 'before its talk')",
        "INSERT INTO conversations VALUES (900, 900, 'before its user')",
        "INSERT INTO users VALUES (900, 900, 'before its company')",
        "INSERT INTO companies VALUES (900, 'last of all')",
    )
    loaded.do(*born)
    loaded.run()
    assert loaded.actual()["900"]["company"] == "last of all"
    assert loaded.actual() == loaded.expected()
    loaded.do(
        "DELETE FROM companies WHERE id = 900",
        "DELETE FROM users WHERE id = 900",
        "DELETE FROM conversations WHERE id = 900",
        "DELETE FROM messages WHERE id = 900",
    )
    loaded.do(*reversed(born))
    loaded.run()
    loaded.do(
        "UPDATE conversations SET user_id = 901 WHERE id = 900", "INSERT INTO users VALUES (901, 1, 'b')"
    )
    loaded.run()
    loaded.assert_agreement()


def test_a_swap_in_one_statement(tmp_path: Path, postgres_url: str) -> None:
    """Of keys that are unique at the end of the statement only, and of unique columns."""
    made = World(tmp_path, postgres_url, f"sql|{tmp_path / 'out'}|people")
    made.do(*SCHEMA.strip().rstrip(";").split(";"))
    made.do(
        "ALTER TABLE users_tags DROP CONSTRAINT users_tags_user_id_fkey",
        "ALTER TABLE conversations DROP CONSTRAINT conversations_user_id_fkey",
        "ALTER TABLE users DROP CONSTRAINT users_pkey",
        "ALTER TABLE users ADD PRIMARY KEY (id) DEFERRABLE INITIALLY IMMEDIATE",
        "ALTER TABLE users REPLICA IDENTITY FULL",  # a deferrable key identifies nothing in the log
    )
    made.run()
    before = made.actual()
    made.do("UPDATE users SET id = CASE id WHEN 1 THEN 2 ELSE 1 END WHERE id IN (1, 2)")
    made.do("UPDATE users SET id = id + 1 WHERE id >= 50")
    made.run()
    after = made.actual()
    assert (after["1"]["email"], after["2"]["email"]) == (before["2"]["email"], before["1"]["email"])
    assert "50" not in after
    assert after["61"]["email"] == before["60"]["email"]
    made.assert_agreement()


def test_more_than_the_server_decodes_in_memory(loaded: World) -> None:
    """It spills the transaction to its disk, with its savepoints, and sends it when it commits."""
    slot = loaded.url.rpartition("/")[2]
    loaded.do(f"ALTER DATABASE \"{slot}\" SET logical_decoding_work_mem = '64kB'")
    loaded.do(
        "INSERT INTO users SELECT i, 1, 'spilt ' || i || repeat('x', 100) FROM generate_series(1000, 6000) i",
        *(
            statement
            for n in range(80)
            for statement in (
                f"SAVEPOINT s{n}",
                f"UPDATE users SET email = 'deep {n}' WHERE id BETWEEN {1000 + n} AND {1040 + n}",
                *((f"ROLLBACK TO s{n}",) if n % 3 == 0 else ()),
            )
        ),
    )
    loaded.run()
    with loaded.connect() as own:
        spilt = own.execute(
            "SELECT spill_count > 0 FROM pg_stat_replication_slots WHERE slot_name = %s", (slot,)
        ).fetchone()
    assert spilt == (True,), "all of it fitted into memory, which shows nothing"
    loaded.assert_agreement()


def test_a_transaction_that_is_open_when_the_first_load_begins(tmp_path: Path, postgres_url: str) -> None:
    """The publication is made beside it, and the slot waits until it ends: here one commits, one does not."""
    made = World(tmp_path, postgres_url, f"sql|{tmp_path / 'out'}|people")
    made.do(*SCHEMA.strip().rstrip(";").split(";"))
    with made.connect() as kept, made.connect() as dropped:
        for own, key in ((kept, 1), (dropped, 2)):
            own.execute("BEGIN")
            own.execute("UPDATE users SET email = 'open' WHERE id = %s", (key,))
            own.execute("INSERT INTO users_tags VALUES (%s, 4)", (key,))
        with Following(made):
            kept.execute("INSERT INTO messages VALUES (900, 60, 'while it loads')")
            until(lambda: len(made.actual_or_none()) > 0 or _waits(made))
            kept.execute("COMMIT")
            dropped.execute("ROLLBACK")
            until(lambda: made.actual_or_none() == made.expected())
    assert made.actual()["1"]["email"] == "open"
    made.run()
    made.assert_agreement()


def _waits(made: World) -> bool:
    """Whether making the slot waits for the open transactions."""
    with made.connect() as own:
        row = own.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query LIKE '%pg_create_logical_replication_slot%' AND wait_event_type = 'Lock'"
        ).fetchone()
    return bool(row and row[0])
