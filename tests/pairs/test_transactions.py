"""What one transaction may hold, and how it may end: the documents are what was committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pairs.world import SCHEMA, World


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
