"""What the guard costs, for the benchmark: the CPU time spent in it, and Lockstep without it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from lockstep.engine.consumers import loop
from lockstep.engine.holds import breaker, target_watch
from lockstep.engine.writing import judged
from lockstep.guard import door
from lockstep.state import counted

_PARTS: list[tuple[Any, str, Callable[..., Any]]] = [
    (door.Door, "judge", lambda *_: None),
    (door.Door, "admit", lambda *_: None),
    (judged.Judge, "reserve", lambda *_: counted.FREE),
    (judged.Judge, "count", lambda *_: None),
    (loop, "_counted", lambda *_: judged.NOTHING),
    (target_watch.TargetWatch, "look", lambda *_: None),
    (counted, "window", lambda *_: None),
    (counted, "came_back", lambda *_: None),
    (breaker.Breaker, "settled", lambda *_: None),
    (breaker.Breaker, "judge", lambda *_: None),
]
"""Everything that the guard does in a run, and what stands there in a run without it."""


def remove_the_guard() -> Callable[[], float]:
    """In this process no batch is counted or judged, and nobody looks at the target: so no time is spent."""
    for owner, name, instead in _PARTS:
        getattr(owner, name)  # one that is gone would measure nothing
        setattr(owner, name, instead)
    setattr(door.Door, "write", lambda self, plan: self._writer.write(plan.changes))  # noqa: B010
    return lambda: 0.0


def measure_the_guard() -> Callable[[], float]:
    """CPU seconds of this process's threads that were spent in the guard up to now."""
    spent = 0.0
    inside = False

    def measured(part: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(part)
        def call(*given: Any, **named: Any) -> Any:
            nonlocal spent, inside
            if inside:  # a part of a part: one mapping, so one thread
                return part(*given, **named)
            inside, begun = True, time.thread_time()
            try:
                return part(*given, **named)
            finally:
                inside, spent = False, spent + time.thread_time() - begun

        return call

    for owner, name, _ in _PARTS:
        setattr(owner, name, measured(getattr(owner, name)))
    return lambda: spent
