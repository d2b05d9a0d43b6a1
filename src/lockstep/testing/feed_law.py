"""The law of `lockstep.ports.Feed`, as a test class. Every connector that follows subclasses it:

    class TestOurs(FeedLaw):
        own_ways = (way("truncate", "messages", "TRUNCATE messages"),)

        @pytest.fixture
        def world(self, tmp_path: Path) -> Iterator[World]: ...   # see lockstep.testing.source_world

Each of `WAYS` and of the connector's own is a test: what it changed must be hinted. So are those of
`lockstep.testing.following_law`.
"""

from __future__ import annotations

import contextlib
import threading

from lockstep.forms import keys
from lockstep.testing.following import Following
from lockstep.testing.following_law import FollowingLaw
from lockstep.testing.source_world import World
from lockstep.testing.ways import WAYS, assert_covered, differing
from lockstep.values import FeedMark, Hint, Table


class FeedLaw(FollowingLaw):
    """What every `Feed` must do, against its real server."""

    shared_ways = WAYS

    def test_a_key_change_hints_both_keys_apart(self, world: World, following: Following) -> None:
        world.execute("UPDATE messages SET id = 7, conversation_id = 13 WHERE id = 100")
        found = {hint.key: hint for hint in following.catch() if hint.key is not None}
        old, new = found[keys.encode((100,))], found[keys.encode((7,))]
        assert new.after == {"conversation_id": keys.encode((13,))}
        if world.before_images:
            assert old.before == {"conversation_id": keys.encode((10,))}
            assert old.after is None
            assert new.before is None

    def test_insert_has_no_before_and_delete_no_after(self, world: World, following: Following) -> None:
        world.execute("INSERT INTO users(id, company_id) VALUES (5, NULL)")
        assert {(hint.before is None, hint.after is None) for hint in following.catch()} == {(True, False)}
        world.execute("DELETE FROM users WHERE id = 5")
        assert all(hint.after is None for hint in following.catch())

    def test_nothing_is_hinted_of_tables_that_were_not_asked_for(self, world: World) -> None:
        with self.again(world, None, [world.table("tags")]) as following:
            world.execute("DELETE FROM messages", "INSERT INTO tags(id, name) VALUES (4, 'x')")
            assert {hint.table for hint in following.catch()} == {world.table("tags").name}

    def test_one_table_of_several_shapes_carries_the_joins_of_all(self, world: World) -> None:
        users = world.table("users")
        plain = Table(users.name, ("id", "email"), users.key)
        mail = Table(users.name, ("id", "email"), users.key, ("email",))
        with self.again(world, None, [plain, users, mail]) as following:
            assert following.capture.started == (users.name,)
            world.execute("INSERT INTO users(id, company_id, email) VALUES (5, 1, 'e@x')")
            (hint,) = following.catch()
            assert hint.after is not None
            assert set(hint.after) >= {"company_id", "email"}

    # transactions

    def test_what_is_rolled_back_is_not_hinted(self, world: World, following: Following) -> None:
        with contextlib.suppress(ZeroDivisionError), world.transaction() as run:
            run("INSERT INTO tags(id, name) VALUES (4, 'never')")
            run("DELETE FROM messages")
            raise ZeroDivisionError
        assert following.catch() == []
        world.execute("INSERT INTO tags(id, name) VALUES (5, 'ever')")
        assert len(following.catch()) == 1

    def test_a_savepoint_that_is_rolled_back_takes_nothing_along(
        self, world: World, following: Following
    ) -> None:
        before = world.state()
        world.execute(
            "INSERT INTO tags(id, name) VALUES (4, 'kept')",
            "SAVEPOINT s",
            "DELETE FROM messages",
            "ROLLBACK TO SAVEPOINT s",
            "INSERT INTO tags(id, name) VALUES (5, 'kept too')",
        )
        assert_covered(world, before, world.state(), following.catch())

    def test_nothing_is_hinted_before_it_is_committed(self, world: World, following: Following) -> None:
        with world.transaction() as run:
            run("INSERT INTO tags(id, name) VALUES (4, 'open')")
            assert following.catch() == []
        assert len(following.catch()) == 1

    def test_a_large_transaction_is_hinted_whole(self, world: World, following: Following) -> None:
        before = world.state()
        world.execute(
            "INSERT INTO tags(id, name) WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 12009) SELECT i, 'tag' FROM n"
        )
        assert_covered(world, before, world.state(), following.catch())

    def test_hints_come_in_the_order_of_the_log(self, world: World, following: Following) -> None:
        for n in range(20, 0, -1):
            world.execute(f"INSERT INTO tags(id, name) VALUES ({n + 100}, 'x')")
        found = [hint.key for hint in following.catch()]
        assert found == sorted(found, key=bytes, reverse=True)  # type: ignore[arg-type]

    def test_what_is_written_while_following_is_hinted(self, world: World, following: Following) -> None:
        before = world.state()

        def write() -> None:
            for n in range(200):
                world.execute(f"INSERT INTO tags(id, name) VALUES ({n + 10}, 'x')")

        writer = threading.Thread(target=write)
        writer.start()
        hints = []
        try:
            while writer.is_alive():
                hints += following.catch()
        finally:
            writer.join()  # it uses the world's connection, which is closed when this ends
        hints += following.catch()
        after = world.state()
        assert len(differing(world, before, after)) == 200
        assert_covered(world, before, after, hints)

    # following again

    def test_what_was_not_acknowledged_comes_again(self, world: World) -> None:
        with self.again(world, None) as first:
            world.execute("INSERT INTO tags(id, name) VALUES (4, 'kept')")
            assert len(first.catch()) == 1
            mark = first.keep()
            before = world.state()
            world.execute("INSERT INTO tags(id, name) VALUES (5, 'lost')", "DELETE FROM messages")
            after = world.state()
            assert_covered(world, before, after, first.catch())
        with self.again(world, mark) as second:
            assert (second.capture.started, second.capture.hole) == ((), None)
            assert_covered(world, before, after, second.catch())

    def test_what_was_acknowledged_does_not_come_again(self, world: World) -> None:
        with self.again(world, None) as first:
            world.execute("INSERT INTO tags(id, name) VALUES (4, 'kept')")
            first.catch()
            mark = first.keep()
        with self.again(world, mark) as second:
            assert second.catch() == []

    def test_what_changed_while_nobody_followed_is_hinted(self, world: World) -> None:
        with self.again(world, None) as first:
            mark = first.keep()
        before = world.state()
        world.execute("UPDATE users SET company_id = 3", "DELETE FROM messages WHERE id = 100")
        with self.again(world, mark) as second:
            assert_covered(world, before, world.state(), second.catch())

    def test_many_restarts_lose_nothing(self, world: World) -> None:
        with self.again(world, None) as first:
            mark = first.keep()
        before = world.state()
        hints: list[Hint] = []
        for n in range(6):
            world.execute(
                f"INSERT INTO tags(id, name) VALUES ({n + 10}, 'x')", f"DELETE FROM messages WHERE id = 10{n}"
            )
            with self.again(world, mark) as following:
                assert following.capture.hole is None
                hints += following.catch()
                if n % 2:
                    mark = following.keep()
        assert_covered(world, before, world.state(), hints)

    def test_acknowledging_twice_or_late_is_as_once(self, world: World, following: Following) -> None:
        old = following.position
        world.execute("INSERT INTO tags(id, name) VALUES (4, 'x')")
        following.catch()
        following.keep()
        following.keep()
        following.feed.acknowledge(old)
        world.execute("INSERT INTO tags(id, name) VALUES (5, 'x')")
        assert len(following.catch()) == 1

    # prepare

    def test_prepare_twice_is_as_once(self, world: World, following: Following) -> None:
        assert set(following.capture.started) == {table.name for table in world.tables}
        assert following.capture.hole is None
        again = following.feed.prepare(world.tables, following.mark)
        assert (again.identity, again.started, again.hole) == (following.capture.identity, (), None)
        world.execute("INSERT INTO tags(id, name) VALUES (4, 'x')")
        assert len(following.catch()) == 1

    def test_a_new_table_is_in_started_and_the_others_lose_nothing(self, world: World) -> None:
        users, tags = world.table("users"), world.table("tags")
        with self.again(world, None, [users]) as first:
            assert first.capture.started == (users.name,)
            mark = first.keep()
        before = world.state()
        world.execute("UPDATE users SET company_id = 3 WHERE id = 1")
        with self.again(world, mark, [users, tags]) as second:
            assert second.capture.started == (tags.name,)
            assert second.capture.hole is None
            world.execute("UPDATE tags SET name = 'seen' WHERE id = 1")
            assert_covered(world, before, world.state(), second.catch())

    def test_a_new_join_column_is_captured(self, world: World) -> None:
        users = world.table("users")
        with self.again(world, None, [users]) as first:
            mark = first.keep()
        wider = Table(users.name, users.columns, users.key, (*users.joins, "email"))
        with self.again(world, mark, [wider]) as second:
            world.execute("INSERT INTO users(id, company_id, email) VALUES (5, 1, 'e@x')")
            found = [hint for hint in second.catch() if hint.after is not None]
            assert [set(hint.after or ()) for hint in found] == [{"company_id", "email"}]

    def test_a_log_of_another_identity_is_a_hole(self, world: World) -> None:
        with self.again(world, None) as first:
            mark = first.keep()
        other = FeedMark(mark.source, mark.position, "another system")
        with self.again(world, other) as second:
            assert second.capture.hole
            assert second.capture.identity == first.capture.identity
            world.execute("INSERT INTO tags(id, name) VALUES (4, 'x')")
            assert len([hint for hint in second.catch() if hint.key is not None]) == 1
