"""The log that capture keeps in a SQLite file: its holes after a restore, and the traces it leaves."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.systems.sqlite_capture import DDL, Captured, T, backup, change, prepared

from lockstep.systems.sqlite import remove, trim


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Captured]:
    one = Captured(tmp_path / "app.db", DDL, T, pragmas=["journal_mode = wal"])
    yield one
    one.close()


class TestHoles:
    def test_a_file_restored_from_before_the_mark(self, one: Captured, tmp_path: Path) -> None:
        change(one)
        backup(one, tmp_path / "old.db")
        change(one, 3)
        one.catch()
        hole = prepared(tmp_path / "old.db", one.mark).hole
        assert hole is not None
        assert "restored" in hole

    def test_a_restored_file_that_has_counted_past_the_mark(self, one: Captured, tmp_path: Path) -> None:
        change(one)
        one.catch()
        one.feed.acknowledge(one.position)
        backup(one, tmp_path / "old.db")
        change(one, 3)
        one.catch()
        copy = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
        for _ in range(10):
            copy.execute("UPDATE t SET j = 0")
        copy.close()
        capture = prepared(tmp_path / "old.db", one.mark)
        assert capture.hole is not None
        assert capture.started == ("t",)

    def test_a_restored_file_at_the_mark_goes_on(self, one: Captured, tmp_path: Path) -> None:
        change(one)
        one.catch()
        backup(one, tmp_path / "same.db")
        assert prepared(tmp_path / "same.db", one.mark).hole is None

    def test_changes_that_somebody_else_acknowledged(self, one: Captured) -> None:
        old = one.mark
        change(one, 3)
        one.catch()
        one.feed.acknowledge(one.position)
        one.feed.close()  # which trims
        hole = prepared(one.path, old).hole
        assert hole is not None
        assert "begins after" in hole

    @pytest.mark.parametrize("table", ["_lockstep_changes", "_lockstep_meta"])
    def test_a_log_that_was_taken_out(self, one: Captured, table: str) -> None:
        change(one)
        one.catch()
        one.app.execute(f"DROP TABLE {table}")
        capture = prepared(one.path, one.mark)
        assert capture.hole is not None
        assert capture.identity != one.capture.identity

    def test_triggers_that_were_taken_out(self, one: Captured) -> None:
        mark = one.mark
        for (name,) in one.app.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            one.app.execute(f"DROP TRIGGER {name}")
        capture = prepared(one.path, mark)
        assert (capture.started, capture.hole) == (("t",), None)
        assert prepared(one.path, mark).started == ("t",), "until the journal has it"


class TestTraces:
    def test_remove_leaves_nothing(self, one: Captured, tmp_path: Path) -> None:
        def schema() -> list[Any]:
            return list(one.app.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name"))

        one.app.execute("CREATE TABLE _lockstep_other(a)")
        remove(one.path)
        assert [name for _, name, _ in schema()] == ["_lockstep_other", "sqlite_autoindex_t_1", "t"]
        remove(one.path)
        change(one)

    @pytest.mark.parametrize("mode", ["delete", "wal", "truncate", "persist"])
    def test_the_journal_mode_stays(self, tmp_path: Path, mode: str) -> None:
        one = Captured(tmp_path / "app.db", DDL, T, pragmas=[f"journal_mode = {mode}"])
        change(one)
        one.catch()
        one.feed.acknowledge(one.position)
        one.close()
        after = sqlite3.connect(tmp_path / "app.db")
        found = after.execute("PRAGMA journal_mode").fetchone()[0]
        after.close()
        assert (found == "wal") == (mode == "wal"), "only WAL is kept in the file"

    def test_acknowledged_changes_go_but_the_last(
        self, one: Captured, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def held() -> int:
            return int(one.app.execute("SELECT count(*) FROM _lockstep_changes").fetchone()[0])

        change(one, 50)
        one.catch()
        one.feed.acknowledge(one.position)
        assert held() > 50, "too few to be worth a lock"
        monkeypatch.setattr(trim, "GATHERED", 10)
        monkeypatch.setattr(trim, "AT_ONCE", 7)
        one.feed.acknowledge(one.position)
        assert held() == 1
        change(one)
        assert len(one.catch()) == 1

    def test_trimming_does_not_wait_for_the_application(
        self, one: Captured, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trim, "GATHERED", 1)
        change(one, 5)
        one.catch()
        one.app.execute("BEGIN IMMEDIATE")
        start = time.monotonic()
        one.feed.acknowledge(one.position)
        assert time.monotonic() - start < 2
        one.app.execute("ROLLBACK")
        one.feed.acknowledge(one.position)
        assert one.app.execute("SELECT count(*) FROM _lockstep_changes").fetchone() == (1,)

    def test_preparing_again_writes_nothing(self, one: Captured) -> None:
        one.app.execute("BEGIN IMMEDIATE")
        one.app.execute("UPDATE t SET j = 5")
        assert prepared(one.path, one.mark).started == ()
        one.app.execute("ROLLBACK")
