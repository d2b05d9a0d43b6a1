"""Waiting for what the cluster does by itself, through a while too in which it does not answer."""

from __future__ import annotations

import time

from lockstep.errors import Unreachable

_FIRST, _LONGEST = 0.05, 2.0
_SILENCE = 60.0
"""Seconds without any answer after which whoever waits is told."""


class Patience:
    """The waits of one piece of work."""

    def __init__(self, silence: float = _SILENCE) -> None:
        self._silence = silence
        self._pause = _FIRST
        self._heard: float | None = None

    def answered(self) -> None:
        self._heard = time.monotonic()

    def unanswered(self, error: Unreachable) -> None:
        """Raises the error where it never answered, or has not for a long time."""
        if self._heard is None or time.monotonic() - self._heard > self._silence:
            raise error

    def wait(self) -> None:
        time.sleep(self._pause)
        self._pause = min(self._pause * 1.5, _LONGEST)
