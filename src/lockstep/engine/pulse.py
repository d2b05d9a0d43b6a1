"""What a worker shows of itself: that it lives, that it gets on, and since when it waits.

A process that is there proves nothing: its threads may hang, or be at the same place for an hour.
"""

from __future__ import annotations

import time
from typing import Any


class Pulse:
    """Kept by one thread, read by others. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._beat = self._progress = time.time()
        self._waiting_since: float | None = None

    def beat(self) -> None:
        """The thread goes round: it does not hang in anything."""
        self._beat = time.time()

    def progress(self) -> None:
        """It got on, or there was nothing to do."""
        self._beat = self._progress = time.time()
        self._waiting_since = None

    def waits(self) -> None:
        """It cannot go on by itself."""
        self._beat = time.time()
        if self._waiting_since is None:
            self._waiting_since = self._beat

    def gauges(self) -> dict[str, Any]:
        return {
            "beat": self._beat,
            "progress": self._progress,
            "waiting_since": self._waiting_since,
        }
