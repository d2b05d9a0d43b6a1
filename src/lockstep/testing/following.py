"""A feed as the engine uses it, for tests: followed up to the end of its log, and no further."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from lockstep.ports import Capture, Feed
from lockstep.testing.source_world import World
from lockstep.values import FeedMark, Hint, Table

PATIENCE = 60.0


class Following:
    """A feed as the engine uses it: what was caught counts as durable once `keep` is called."""

    def __init__(
        self, world: World, tables: Sequence[Table] | None = None, mark: FeedMark | None = None
    ) -> None:
        self.world = world
        self.feed: Feed = world.source.feed()
        self.capture: Capture = self.feed.prepare(world.tables if tables is None else tables, mark)
        self.position = self.capture.position

    @property
    def mark(self) -> FeedMark:
        return FeedMark(self.world.source.name, self.position, self.capture.identity)

    def catch(self) -> list[Hint]:
        """All hints up to the end of the log as it is now."""
        goal = self.feed.reached()
        until = time.monotonic() + PATIENCE
        hints: list[Hint] = []
        following = self.feed.follow(self.position)
        with contextlib.closing(following):  # type: ignore[type-var]
            for caught in following:
                hints += caught.hints
                if caught.position is not None:
                    self.position = caught.position
                    if self.feed.passed(caught.position, goal):
                        return hints
                assert time.monotonic() < until, f"the feed does not come to {goal} from {self.position}"
        raise AssertionError("following ended by itself")

    def keep(self) -> FeedMark:
        """Acknowledges what was caught."""
        self.feed.acknowledge(self.position)
        return self.mark

    def close(self) -> None:
        self.feed.close()
