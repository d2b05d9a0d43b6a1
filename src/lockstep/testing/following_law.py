"""The part of the law of feeds that any tables will do for, also those of a system that has fixed ones. See
`lockstep.testing.feed_law`.

    class TestOurs(FollowingLaw):
        own_ways = (way("a rename", "accounts", "rename"),)   # whatever the world's `execute` takes

        @pytest.fixture
        def world(self) -> Iterator[World]: ...   # a subclass of World with `source`, `tables`, `execute`

Each of the ways is a test: what it changed must be hinted. The first one also stands for any change.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import ClassVar

import pytest

from lockstep.testing.following import Following
from lockstep.testing.source_world import World
from lockstep.testing.ways import Way, assert_covered, differing
from lockstep.values import FeedMark, Table


class FollowingLaw:
    """What every `Feed` must do, whatever its tables are."""

    own_ways: ClassVar[tuple[Way, ...]] = ()
    """The connector's own."""

    shared_ways: ClassVar[tuple[Way, ...]] = ()
    """Those of all whose world is of the same kind."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "way" in metafunc.fixturenames:
            ways = [*self.shared_ways, *self.own_ways]
            metafunc.parametrize("way", ways, ids=[way.name for way in ways])

    @pytest.fixture
    def world(self) -> Iterator[World]:
        raise NotImplementedError("a fixture `world` is needed")

    @pytest.fixture
    def any_way(self) -> Way:
        return [*self.shared_ways, *self.own_ways][0]

    @pytest.fixture
    def following(self, world: World) -> Iterator[Following]:
        following = Following(world)
        yield following
        following.close()

    @contextlib.contextmanager
    def again(
        self, world: World, mark: FeedMark | None, tables: Sequence[Table] | None = None
    ) -> Iterator[Following]:
        """A new feed, as after a restart."""
        following = Following(world, tables, mark)
        try:
            yield following
        finally:
            following.close()

    # changes

    def test_every_way_to_change_a_row_yields_a_hint(self, world: World, way: Way) -> None:
        if way.first:
            world.execute(*way.first)
        with self.again(world, None) as following:
            before = world.state()
            world.execute(*way.statements)
            after = world.state()
            changed = {table.name for table, *_ in differing(world, before, after)}
            expected = {world.prefix + name for name in way.changes}
            assert changed == expected, "the way does what it says"
            assert_covered(world, before, after, following.catch())

    def test_no_table_is_hinted_that_was_not_asked_for(self, world: World, any_way: Way) -> None:
        changed = {world.prefix + name for name in any_way.changes}
        others = [table for table in world.tables if table.name not in changed]
        with self.again(world, None, others) as following:
            world.execute(*any_way.statements)
            assert {hint.table for hint in following.catch()} <= {table.name for table in others}

    # following again

    def test_a_change_that_was_not_acknowledged_comes_again(self, world: World, any_way: Way) -> None:
        with self.again(world, None) as first:
            first.catch()
            mark = first.keep()
            before = world.state()
            world.execute(*any_way.statements)
            after = world.state()
            assert_covered(world, before, after, first.catch())
        with self.again(world, mark) as second:
            assert (second.capture.started, second.capture.hole) == ((), None)
            assert_covered(world, before, after, second.catch())

    def test_a_change_while_nobody_followed_is_hinted(self, world: World, any_way: Way) -> None:
        with self.again(world, None) as first:
            mark = first.keep()
        before = world.state()
        world.execute(*any_way.statements)
        with self.again(world, mark) as second:
            assert_covered(world, before, world.state(), second.catch())

    def test_a_change_of_a_new_table_is_hinted_once_it_is_followed(self, world: World, any_way: Way) -> None:
        changed = {world.prefix + name for name in any_way.changes}
        others = [table for table in world.tables if table.name not in changed]
        with self.again(world, None, others) as first:
            assert set(first.capture.started) == {table.name for table in others}
            mark = first.keep()
        with self.again(world, mark) as second:
            assert set(second.capture.started) == changed
            before = world.state()
            world.execute(*any_way.statements)
            assert_covered(world, before, world.state(), second.catch())

    def test_a_position_of_another_system_is_a_hole(self, world: World, any_way: Way) -> None:
        with self.again(world, None) as first:
            mark = first.keep()
        with self.again(world, FeedMark(mark.source, mark.position, "another system")) as second:
            assert second.capture.hole
            assert second.capture.identity == first.capture.identity
            before = world.state()
            world.execute(*any_way.statements)
            assert_covered(world, before, world.state(), second.catch())

    # while nothing happens

    def test_a_quiet_feed_still_answers(self, following: Following) -> None:
        start = time.monotonic()
        stream = following.feed.follow(following.position)
        with contextlib.closing(stream):  # type: ignore[type-var]
            assert next(stream).hints == []
            assert next(stream).hints == []
        assert time.monotonic() - start < 10

    def test_positions_come_to_the_end(self, world: World, following: Following, any_way: Way) -> None:
        start = following.feed.reached()
        assert following.feed.passed(start, start)
        world.execute(*any_way.statements)
        end = following.feed.reached()
        assert following.feed.passed(end, start)
        assert not following.feed.passed(start, end)

    def test_lag_is_said(self, world: World, following: Following, any_way: Way) -> None:
        assert following.feed.lag().unit
        world.execute(*any_way.statements)
        lag = following.feed.lag()
        assert lag.retained is None or lag.retained > 0
