"""How much is sent to a cluster at once, and how long it is left alone when it is too busy."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

_LEAST = 64 << 10  # bytes of a request
_SHORTEST, _LONGEST = 0.1, 3.0  # seconds between two tries
_PATIENCE = 10.0  # seconds without any progress
_ALTOGETHER = 60.0  # seconds for one batch


class Pace:
    """Smaller requests and longer waits while the cluster is busy; back again as it recovers."""

    def __init__(
        self, largest: int, sleep: Callable[[float], None] = time.sleep, patience: float = _PATIENCE
    ) -> None:
        self.size = largest
        self._largest = largest
        self._wait = _SHORTEST
        self._sleep = sleep
        self._patience = patience
        self.begin()

    def begin(self) -> None:
        """A batch begins."""
        self._begun = self._moved = time.monotonic()

    def fine(self) -> None:
        """A request was taken whole."""
        self._moved = time.monotonic()
        self._wait = _SHORTEST
        self.size = min(self._largest, self.size + self.size // 4)

    def moved(self) -> None:
        """A part of a request was taken."""
        self._moved = time.monotonic()

    def too_large(self, size: int) -> None:
        """A request of several records was refused for its size: no such request is made again."""
        self._largest = max(_LEAST, size // 2)
        self.size = min(self.size, self._largest)

    def busy(self) -> bool:
        """Waits, and says whether to try again; not once patience has ended."""
        now = time.monotonic()
        if now - self._moved > self._patience or now - self._begun > _ALTOGETHER:
            return False
        self.size = max(_LEAST, self.size // 2)
        self._sleep(self._wait * random.uniform(0.8, 1.2))  # so that many clients do not come back at once
        self._wait = min(self._wait * 2, _LONGEST)
        return True
