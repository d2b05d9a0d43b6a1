"""Changes made between two stages: what an application does while a batch is on its way."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from lockstep.engine import points

STAGES = ("taken", "drawn", "derived", "intended", "written", "settled")


class Crash(BaseException):
    """Stands for the end of the process: nobody may catch it."""


@contextlib.contextmanager
def at(stage: str, action: Callable[[], None], passing: int = 1) -> Iterator[None]:
    """Does it once, when this stage is passed for the so-manieth time. It must be passed so often."""
    left = passing

    def hook(passed: str) -> None:
        nonlocal left
        if passed == stage:
            left -= 1
            if left == 0:
                action()

    points.install(hook)
    try:
        yield
    finally:
        points.install(None)
    assert left <= 0, f"{stage} was passed {passing - left} times only"


def crash() -> None:
    raise Crash
