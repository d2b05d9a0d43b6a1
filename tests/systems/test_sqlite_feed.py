"""What following a SQLite file has to live with: schema changes, locks, other writers."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.systems.sqlite_capture import DDL, Captured, T, backup, change, prepared, whole

from lockstep.errors import Refused, Unreachable
from lockstep.forms import keys
from lockstep.ports import WakingFeed
from lockstep.systems.sqlite import SQLite, feed
from lockstep.systems.sqlite.feed import SQLiteFeed
from lockstep.values import Hint, Table


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Captured]:
    one = Captured(tmp_path / "app.db", DDL, T, pragmas=["journal_mode = wal"])
    yield one
    one.close()


class TestSchemaChanges:
    def follow(self, one: Captured, sql: str) -> list[Hint]:
        """The hints of a script that runs while the feed is being followed."""
        stream = one.feed.follow(one.position)
        next(stream)
        one.app.executescript(sql)
        goal = one.feed.reached()
        hints = []
        for caught in stream:
            assert caught.position is not None
            one.position = caught.position
            hints += caught.hints
            if not caught.hints and one.feed.passed(caught.position, goal):
                break
        stream.close()  # type: ignore[attr-defined]
        return hints

    @pytest.mark.parametrize(
        "sql",
        [
            "ALTER TABLE t ADD COLUMN more DEFAULT 5",
            "ALTER TABLE t RENAME COLUMN u TO v",
            "CREATE UNIQUE INDEX t_j ON t(j)",
            "DROP TABLE t; CREATE TABLE t(id INTEGER PRIMARY KEY, j, u); INSERT INTO t VALUES (3, 3, 3)",
            "CREATE TABLE n(id INTEGER PRIMARY KEY, j, u); INSERT INTO n SELECT * FROM t; DROP TABLE t;"
            " ALTER TABLE n RENAME TO t",
            "ALTER TABLE t RENAME TO old; CREATE TABLE t(id INTEGER PRIMARY KEY, j, u)",
        ],
    )
    def test_a_table_that_changed_is_hinted_whole_and_captured_on(self, one: Captured, sql: str) -> None:
        assert whole(self.follow(one, sql)) == ["t"]
        assert one.keys("INSERT OR REPLACE INTO t(id, j) VALUES (9, 2)")[-1] == (9,)
        assert prepared(one.path, one.mark).started == ()

    def test_an_index_made_while_nobody_followed_is_seen(self, one: Captured) -> None:
        one.app.execute("CREATE UNIQUE INDEX t_j ON t(j)")
        assert prepared(one.path, one.mark).started == ("t",)

    def test_a_table_that_goes_is_hinted_whole_and_comes_back(self, one: Captured) -> None:
        assert whole(self.follow(one, "DROP TABLE t")) == ["t"]
        assert whole(self.follow(one, "CREATE TABLE t(id INTEGER PRIMARY KEY, j)")) == ["t"]
        assert one.keys("INSERT INTO t VALUES (7, 7)") == [(7,)]

    def test_other_tables_are_nobodys_business(self, one: Captured) -> None:
        assert self.follow(one, "CREATE TABLE other(a); CREATE INDEX o ON other(a); DROP TABLE other") == []
        assert self.follow(one, "ALTER TABLE t ADD COLUMN more; ALTER TABLE t DROP COLUMN more") == []
        assert self.follow(one, "CREATE INDEX t_j ON t(j); ANALYZE; VACUUM; REINDEX") == []

    def test_prepare_says_what_is_not_there(self, one: Captured) -> None:
        with pytest.raises(Refused, match="no table 'nowhere'") as refused:
            prepared(one.path, None, Table("nowhere", (), ("id",)))
        assert "t" in refused.value.remedy
        with pytest.raises(Refused, match="no column 'k'"):
            prepared(one.path, None, Table("t", (), ("id",), ("k",)))

    def test_one_table_is_declared_in_one_way(self, one: Captured) -> None:
        with pytest.raises(Refused, match="also declared as"):
            prepared(one.path, None, T, Table("T", (), ("id",)))
        with pytest.raises(Refused, match="also declared as"):
            prepared(one.path, None, T, Table("t", (), ("u",)))

    def test_names_are_found_in_any_case(self, one: Captured) -> None:
        feed = SQLiteFeed(one.path)
        capture = feed.prepare([Table("T", (), ("ID",), ("J",))], one.mark)
        assert capture.started == ("T",)
        change(one)
        (caught,) = [caught for caught in [next(feed.follow(capture.position))] if caught.hints]
        assert [(hint.table, hint.after) for hint in caught.hints] == [("T", {"J": keys.encode((2,))})]
        feed.close()

    def test_a_table_that_nobody_asks_for_any_more_is_left_alone(self, one: Captured) -> None:
        one.app.execute("CREATE TABLE u(id INTEGER PRIMARY KEY)")
        prepared(one.path, one.mark, Table("u", (), ("id",)))
        end = one.feed.reached()
        change(one)
        assert one.feed.reached() == end

    def test_many_columns(self, one: Captured) -> None:
        names = [f"c{n}" for n in range(12)]
        one.app.execute(f"CREATE TABLE wide(id INTEGER PRIMARY KEY, {', '.join(names)})")
        wide = Table("wide", (), ("id",), tuple(names))
        feed = SQLiteFeed(one.path)
        capture = feed.prepare([T, wide], one.mark)
        assert capture.started == ("wide",)
        one.app.execute(f"INSERT INTO wide VALUES ({', '.join(map(str, range(13)))})")
        change(one)
        hints = next(feed.follow(capture.position)).hints
        assert [hint.table for hint in hints] == ["wide", "t"]
        assert hints[0].after == {f"c{n}": keys.encode((n + 1,)) for n in range(12)}
        assert hints[1].after == {"j": keys.encode((2,))}
        feed.close()


class TestFollowing:
    def test_a_hint_says_when(self, one: Captured) -> None:
        change(one)
        (hint,) = one.catch()
        assert abs(hint.at - time.time()) < 5

    def test_a_change_is_seen_soon(self, one: Captured) -> None:
        stream = one.feed.follow(one.position)
        assert next(stream).hints == []
        seen: list[float] = []

        def later() -> None:
            time.sleep(0.05)
            app = sqlite3.connect(one.path, isolation_level=None)
            app.execute("DELETE FROM t WHERE id = 1")
            seen.append(time.monotonic())
            app.close()

        writer = threading.Thread(target=later)
        writer.start()
        while not next(stream).hints:
            pass
        writer.join()
        assert time.monotonic() - seen[0] < 0.3
        stream.close()  # type: ignore[attr-defined]

    def test_close_ends_following(self, one: Captured) -> None:
        stream = one.feed.follow(one.position)
        next(stream)
        one.feed.close()
        assert list(stream) == []

    def test_following_needs_prepare(self, one: Captured) -> None:
        with pytest.raises(Refused, match="not prepared"):
            next(SQLiteFeed(one.path).follow("1-0"))

    def test_another_file_in_its_place_is_noticed(self, one: Captured, tmp_path: Path) -> None:
        backup(one, tmp_path / "old.db")
        stream = one.feed.follow(one.position)
        next(stream)
        os.replace(tmp_path / "old.db", one.path)
        with pytest.raises(Unreachable, match="replaced"):
            list(stream)

    def test_a_locked_database_is_waited_for_and_then_given_up(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(feed, "BUSY_SECONDS", 0.05)
        monkeypatch.setattr(feed, "LOCKED_SECONDS", 1.5)
        one = Captured(tmp_path / "app.db", DDL, T)
        stream = one.feed.follow(one.position)
        next(stream)
        one.app.execute("BEGIN EXCLUSIVE")
        change(one)
        assert next(stream).hints == [], "it still answers"
        one.app.execute("COMMIT")
        assert next(stream).hints
        one.app.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unreachable, match="lock"):
            list(stream)
        one.close()

    def test_a_database_that_is_locked_while_following_begins_is_waited_for(self, tmp_path: Path) -> None:
        one = Captured(tmp_path / "app.db", DDL, T)
        one.app.execute("BEGIN EXCLUSIVE")
        change(one)
        end = threading.Timer(3 * feed.BUSY_SECONDS, one.app.execute, ["COMMIT"])
        end.start()
        try:
            assert next(one.feed.follow(one.position)).hints
        finally:
            end.join()
            one.close()

    def test_lag_counts_changes(self, one: Captured) -> None:
        one.catch()
        change(one, 5)
        assert one.feed.lag()[:2] == (5, "changes")
        one.catch()
        assert one.feed.lag()[:2] == (0, "changes")

    def test_a_missing_file_is_refused(self, tmp_path: Path) -> None:
        feed = SQLite(tmp_path / "none.db").feed()
        with pytest.raises(Refused, match="no SQLite database"):
            feed.prepare([T], None)
        assert not (tmp_path / "none.db").exists()

    def test_two_processes_writing_at_once(self, one: Captured) -> None:
        before = one.image()

        def write(first: int) -> None:
            app = sqlite3.connect(one.path, isolation_level=None, timeout=30)
            for n in range(first, first + 300):
                app.execute("INSERT OR REPLACE INTO t VALUES (?, ?, ?)", (n, n, n % 50))
            app.close()

        writers = [threading.Thread(target=write, args=(n * 1000,)) for n in (1, 2)]
        for writer in writers:
            writer.start()
        hints: list[Hint] = []
        while any(writer.is_alive() for writer in writers):
            hints += one.catch()
            one.feed.acknowledge(one.position)
        hints += one.catch()
        one.assert_told(before, one.image(), hints, "two writers")

    def test_a_hot_copy_is_refused_no_life_of_its_own(self, one: Captured, tmp_path: Path) -> None:
        """A copy made while following has its own future, which its tokens tell apart."""
        change(one)
        one.catch()
        backup(one, tmp_path / "copy.db")
        shutil.copy(tmp_path / "copy.db", tmp_path / "again.db")
        change(one)
        one.catch()
        other = sqlite3.connect(tmp_path / "copy.db", isolation_level=None)
        other.execute("UPDATE t SET j = 99 WHERE id = 1")
        other.close()
        assert prepared(tmp_path / "copy.db", one.mark).hole is not None


def test_woken_it_yields_without_waiting(one: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "IDLE_SECONDS", 60.0)
    assert isinstance(one.feed, WakingFeed)
    one.feed.wake()  # nobody follows: forgotten
    stream = one.feed.follow(one.position)
    assert next(stream).hints == []  # the first look is answered at once
    for _ in range(3):
        begun = time.monotonic()
        waker = threading.Timer(0.1, one.feed.wake)
        waker.start()
        assert next(stream).hints == []
        waker.join()
        assert time.monotonic() - begun < 30
    stream.close()  # type: ignore[attr-defined]
