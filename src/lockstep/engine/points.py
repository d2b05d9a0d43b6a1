"""Named points between the stages, where a test can stop the process. In production they do nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

POINTS = (
    "caught",
    "journalled",
    "acknowledged",
    "taken",
    "derived",
    "intended",
    "written",
    "settled",
)

_hook: Callable[[str], None] | None = None


def passing(point: str) -> None:
    """Called by the engine wherever a crash would be interesting."""
    if _hook is not None:
        _hook(point)


def install(hook: Callable[[str], None] | None) -> None:
    """What to do at every point; None for nothing."""
    global _hook
    _hook = hook


def die_at(spec: str) -> None:
    """Kills this process at a point: `written`, or at its third passing: `written:3`."""
    point, _, count = spec.partition(":")
    if point not in POINTS:
        raise ValueError(f"{point!r} is no point; there are {', '.join(POINTS)}")
    left = int(count or 1)

    def hook(passed: str) -> None:
        nonlocal left
        if passed == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    install(hook)
