"""The law of `lockstep.ports.Reader`, as a test class. Every connector that reads subclasses it:

    class TestOurs(ReaderLaw):
        @pytest.fixture
        def world(self, tmp_path: Path) -> Iterator[World]: ...   # see lockstep.testing.source_world

        def unusual(self, world: World) -> Source | None:
            return a source with other session settings (time zone, date style, digits of floats)

Those of `lockstep.testing.keys_law` and `lockstep.testing.tables_law` are among them.
"""

from __future__ import annotations

import datetime as dt
import threading
from decimal import Decimal
from itertools import chain
from typing import Any

import pytest

from lockstep.errors import Refused
from lockstep.forms import keys
from lockstep.ports import Reader
from lockstep.testing.keys_law import KeysLaw
from lockstep.testing.source_world import World, rows_of, walk
from lockstep.values import Fetch

USER = ("id", "company_id", "email", "name", "active", "balance", "score", "visits", "born", "seen")


class ReaderLaw(KeysLaw):
    """What every `Reader` must do, against its real server."""

    def read(
        self, world: World, reader: Reader, table: str, columns: str, by: str, *values: tuple[Any, ...]
    ) -> list[tuple[Any, ...]]:
        """The rows of a table, sorted as text."""
        fetch = Fetch(world.table(table).name, tuple(columns.split()), tuple(by.split()))
        with reader.snapshot() as snapshot:
            return sorted(snapshot.rows(fetch, values), key=str)

    def hashes(self, world: World, reader: Reader, *groups: tuple[str, ...]) -> dict[int, tuple[int, ...]]:
        """The hashes of users by id."""
        fetch = Fetch(world.table("users").name, ("id",), ("id",), groups)
        with reader.snapshot() as snapshot:
            return {row[0]: row[1:] for row in snapshot.rows(fetch, [(n,) for n in range(20)])}

    # rows

    def test_an_unknown_key_reads_as_no_row(self, world: World, reader: Reader) -> None:
        assert self.read(world, reader, "users", "id", "id", (99,)) == []
        assert self.read(world, reader, "users", "id", "id", (99,), (1,)) == [(1,)]
        assert self.read(world, reader, "users", "id", "id") == []

    def test_null_matches_nothing(self, world: World, reader: Reader) -> None:
        assert self.read(world, reader, "users", "id", "company_id", (None,)) == []
        assert self.read(world, reader, "users", "id", "company_id", (None,), (2,)) == [(3,)]
        assert self.read(world, reader, "regions", "name", "country number", ("de", None)) == []

    def test_rows_are_found_by_several_columns(self, world: World, reader: Reader) -> None:
        found = self.read(world, reader, "regions", "name", "country number", ("de", 2), ("fr", 2), ("DE", 1))
        assert found == [("South",), ("Upper",)]

    def test_columns_are_not_mixed_up_between_pairs(self, world: World, reader: Reader) -> None:
        assert (
            self.read(world, reader, "users_tags", "user_id tag_id", "user_id tag_id", (2, 3), (3, 1)) == []
        )

    def test_rows_are_found_by_a_column_that_is_no_key(self, world: World, reader: Reader) -> None:
        assert self.read(world, reader, "users", "id", "company_id", (1,), (2,)) == [(1,), (2,), (3,)]
        assert self.read(world, reader, "messages", "id", "body", ("ho",), ("nobody",)) == [(101,)]

    def test_each_row_comes_once(self, world: World, reader: Reader) -> None:
        assert self.read(world, reader, "users", "id", "company_id", (1,), (1,), (1,)) == [(1,), (2,)]

    def test_columns_come_in_the_order_asked_for(self, world: World, reader: Reader) -> None:
        assert self.read(world, reader, "users", "name email id", "id", (1,)) == [("Ann", "ann@x", 1)]

    def test_text_is_compared_by_its_bytes(self, world: World, reader: Reader) -> None:
        assert self.read(world, reader, "regions", "name", "country", ("DE",), ("e",)) == [("Upper",)]

    def test_many_values_at_once(self, world: World, reader: Reader) -> None:
        world.execute(
            "INSERT INTO tags(id, name) WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 12009) SELECT i, 'tag' FROM n"
        )
        found = self.read(world, reader, "tags", "id", "id", *((n,) for n in range(4, 15_000)))
        assert {n for (n,) in found} == set(range(10, 12_010))
        assert len(found) == 12_000

    def test_a_stream_is_the_rows_in_pages(self, world: World, reader: Reader) -> None:
        world.execute(
            "INSERT INTO messages(id, conversation_id, body) WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL"
            " SELECT i + 1 FROM n WHERE i < 20999) SELECT i, 12, 'x' FROM n"
        )
        columns = ("id", "conversation_id", "body")
        fetch = Fetch(world.table("messages").name, columns, ("conversation_id",), (("id", "body"),))
        values = [(10,), (12,), (99,), (12,), (None,)]
        with reader.snapshot() as snapshot:
            pages = list(snapshot.stream(fetch, values))
            assert sorted(chain.from_iterable(pages)) == sorted(snapshot.rows(fetch, values))
            assert sum(map(len, pages)) == 20_003
            assert all(0 < len(page) <= 10_000 for page in pages)
            assert next(iter(snapshot.stream(fetch, values))), "one that is not read to its end"
            assert walk(snapshot, world.table("tags")), "does not hinder the next read"
            assert list(snapshot.stream(fetch, [(99,)])) == []

    def test_values_come_back_exactly(self, world: World, reader: Reader) -> None:
        local = dt.datetime  # timestamps without zone are meant
        expected: list[tuple[Any, ...]] = [
            (1, 1, "ann@x", "Ann", True, Decimal("12.34"), 0.1, 9007199254740993, dt.date(1990, 2, 3)),
            (2, 1, "ben@x", "", False, Decimal(-5), -2.5, -1, dt.date(2000, 12, 31)),
            (3, 2, "cat@x", None, None, None, None, None, None),
            (4, None, None, "Däne 雪 🎿", True, Decimal(0), 1e300, 0, dt.date(1, 1, 1)),
        ]
        seen = [
            local(2026, 3, 8, 9, 30),
            local(2026, 3, 8, 9, 30, 0, 250_000),
            None,
            local(9999, 12, 31, 23, 59, 59, 999_999),
        ]
        found = self.read(world, reader, "users", " ".join(USER), "id", (1,), (2,), (3,), (4,))
        wanted = [(*row, moment) for row, moment in zip(expected, seen, strict=True)]
        assert found == wanted
        assert [list(map(type, row)) for row in found] == [list(map(type, row)) for row in wanted]

    def test_rows_are_found_by_every_type(self, world: World, reader: Reader) -> None:
        (row,) = self.read(world, reader, "users", " ".join(USER), "id", (1,))
        for name, value in zip(USER, row, strict=True):
            assert (1,) in self.read(world, reader, "users", "id", name, (value,)), name
            if value is not None:  # and as it comes out of a hint
                decoded = keys.decode_one(keys.encode_one(value))
                assert (1,) in self.read(world, reader, "users", "id", name, (decoded,)), name

    def test_names_are_taken_as_they_are(self, world: World, reader: Reader) -> None:
        fetch = Fetch(world.table("Odd Table").name, ("Select", "Owner's Id"), ("Id",), (("Select",),))
        with reader.snapshot() as snapshot:
            ((text, owner, number),) = snapshot.rows(fetch, [(1,)])
        assert (text, owner, type(number)) == ("one", 1, int)

    def test_what_is_not_there_is_refused_with_a_mend(self, world: World, reader: Reader) -> None:
        users = world.table("users").name
        for fetch in (Fetch(users, ("nothing",), ("id",)), Fetch("nowhere", ("id",), ("id",))):
            with pytest.raises(Refused) as refused, reader.snapshot() as snapshot:
                snapshot.rows(fetch, [(1,)])
            assert refused.value.remedy
        assert self.read(world, reader, "users", "id", "id", (1,)) == [(1,)], "the reader goes on"

    # hashes

    def test_equal_rows_have_equal_hashes_and_others_not(self, world: World, reader: Reader) -> None:
        world.execute(
            "INSERT INTO users(id, email, name) VALUES (5, 'same', NULL), (6, 'same', NULL), (7, 'same', ''),"
            " (8, 'sam', 'e'), (9, 'NULL', NULL), (10, NULL, 'same'), (11, 'same|', NULL)"
        )
        found = self.hashes(world, reader, ("email", "name"))
        assert found[5] == found[6]
        others = [found[n][0] for n in (5, 7, 8, 9, 10, 11)]
        assert len(set(others)) == len(others), "null, '', and where a text ends all count"
        assert all(-(1 << 63) <= value < 1 << 63 for value in others)

    def test_a_changed_value_changes_the_hash(self, world: World, reader: Reader) -> None:
        before = self.hashes(world, reader, USER, ("id", "email"))
        for name, value in (
            ("name", "'Anne'"),
            ("balance", "12.3401"),
            ("score", "0.1000000000000001"),
            ("visits", "9007199254740992"),
            ("active", "FALSE"),
            ("born", "'1990-02-04'"),
            ("seen", "'2026-03-08 09:30:00.000001'"),
            ("company_id", "NULL"),
        ):
            world.execute(f"UPDATE users SET {name} = {value} WHERE id = 1")
            after = self.hashes(world, reader, USER, ("id", "email"))
            assert after[1][0] != before[1][0], name
            assert after[1][1] == before[1][1], "another group of columns"
            assert after[2] == before[2], "another row"
            before = after

    def test_hashes_do_not_depend_on_what_else_is_read(self, world: World, reader: Reader) -> None:
        both = self.hashes(world, reader, ("email", "name"), ("score", "seen"))
        assert {n: row[:1] for n, row in both.items()} == self.hashes(world, reader, ("email", "name"))
        assert {n: row[1:] for n, row in both.items()} == self.hashes(world, reader, ("score", "seen"))

    def test_values_and_hashes_do_not_depend_on_the_session(self, world: World, reader: Reader) -> None:
        other = self.unusual(world)
        if other is None:
            pytest.skip("no session settings")
        unusual = other.reader()
        try:
            assert self.hashes(world, unusual, USER) == self.hashes(world, reader, USER)
            arguments = ("users", " ".join(USER), "id", (1,), (2,), (3,), (4,))
            assert self.read(world, unusual, *arguments) == self.read(world, reader, *arguments)
        finally:
            unusual.close()

    # moments

    def test_a_snapshot_is_one_moment(self, world: World, reader: Reader) -> None:
        tags = world.table("tags")
        with reader.snapshot() as snapshot:
            world.execute("INSERT INTO tags(id, name) VALUES (4, 'late')", "DELETE FROM users_tags")
            assert len(walk(snapshot, tags)) == 3, "the moment is that of the opening"
            assert len(walk(snapshot, world.table("users_tags"))) == 4
            world.execute("UPDATE tags SET name = 'changed'")
            assert {row[1] for row in rows_of(snapshot, tags).values()} == {"red", "blue", "green"}
        with reader.snapshot() as snapshot:
            assert {row[1] for row in rows_of(snapshot, tags).values()} == {"changed"}
            assert len(walk(snapshot, tags)) == 4

    def test_what_is_not_committed_is_not_seen(self, world: World, reader: Reader) -> None:
        with world.transaction() as run:
            run("INSERT INTO tags(id, name) VALUES (4, 'open')")
            assert self.read(world, reader, "tags", "id", "id", (4,)) == []
        assert self.read(world, reader, "tags", "id", "id", (4,)) == [(4,)]

    def test_snapshots_stand_beside_each_other(self, world: World, reader: Reader) -> None:
        tags = world.table("tags")
        seen: list[int] = []

        def look() -> None:
            with reader.snapshot() as snapshot:
                seen.append(len(walk(snapshot, tags)))

        with reader.snapshot() as first:
            world.execute("INSERT INTO tags(id, name) VALUES (4, 'new')")
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
            assert len(walk(first, tags)) == 3
        assert seen == [4]
