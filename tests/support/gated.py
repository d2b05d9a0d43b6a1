"""A target that takes two writes at once and answers each when the test says so, and a loop that works it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lockstep.engine.consumers.loop import Counts
from lockstep.errors import Unreachable
from lockstep.ports import Features
from lockstep.values import Change, Key, Lane, Outcome, Status
from tests.support.engine import Works
from tests.support.memory import MemorySource, MemoryTarget, MemoryWriter

PATIENCE = 30.0


class Write:
    """One call of `write` that waits for its answer."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.keys: set[Key] = {change.key for change in changes}
        self.lands = True
        self.said: Status | None = None
        self.answered = threading.Event()

    def answer(self, *, lands: bool = True, said: Status | None = None) -> None:
        """Lets it go on: whether the target then holds it, and what it says (None: the truth)."""
        self.lands, self.said = lands, said
        self.answered.set()


class GatedWriter(MemoryWriter):
    """`waiting` are the writes that wait for an answer, oldest first. `open` answers all at once."""

    def __init__(self) -> None:
        super().__init__()
        self.features = Features(versions=True, normalises=False, parallel=2)
        self.waiting: list[Write] = []
        self.open = False
        self.together: set[Key] = set()
        """Keys that were ever in two writes at once."""
        self._lock = threading.Lock()

    def write(self, changes: Sequence[Change]) -> list[Outcome]:
        mine = Write(changes)
        with self._lock:
            for other in self.waiting:
                self.together |= other.keys & mine.keys
            self.waiting.append(mine)
            if self.open:
                mine.answered.set()
        assert mine.answered.wait(PATIENCE)
        with self._lock:
            self.waiting.remove(mine)
            landed = [self._write(change) for change in changes] if mine.lands else []
        if mine.said is not None or not mine.lands:
            return [Outcome(mine.said or Status.UNKNOWN, "told to")] * len(changes)
        return landed

    def open_all(self) -> None:
        with self._lock:
            self.open = True
            for write in self.waiting:
                write.answered.set()


class Gated:
    """`Works` over a `GatedWriter`, its loop in a thread of its own."""

    def __init__(self, directory: Path, function: Callable[..., Any], source: MemorySource) -> None:
        self.writer = GatedWriter()
        self.works = Works(directory, function, source, MemoryTarget(writer=self.writer))
        self.counts: list[Counts] = []
        self.error: BaseException | None = None
        self._stop = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        loop = self.works.loop
        try:
            while not self._stop:
                try:
                    counts = loop.step()
                except Unreachable:
                    loop.abandon()
                    continue
                if counts is not None:
                    self.counts.append(counts)
                else:
                    time.sleep(0.001)
            loop.close()
        except BaseException as error:
            self.error = error

    def until(self, condition: Callable[[], bool]) -> None:
        """Waits for it, waking the loop as capture does."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.error is None, self.error
            assert time.monotonic() < deadline, "it never comes"
            self.works.loop._arrived.set()
            time.sleep(0.001)

    def quiet(self) -> None:
        """Until nothing that is hinted waits, with all writes answered."""
        self.writer.open_all()
        self.until(self._all_settled)

    def _all_settled(self) -> bool:
        return not self.writer.waiting and all(self.works.taker.behind(lane) == 0 for lane in Lane)

    def end(self) -> None:
        self._stop = True
        self.writer.open_all()
        self._thread.join(PATIENCE)
        assert self.error is None, self.error
