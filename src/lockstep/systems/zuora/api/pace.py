"""When the next request may go: what the answers say of the tenant's limits is obeyed by all threads.

A tenant's limit is shared with everybody else who uses its API, so a small part of it is left to them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

_LEFT = 0.02
"""Of a window's requests, what is left to others."""

_LONGEST = 120.0
"""Seconds that one wait may last, whatever an answer says."""


class Pace:
    """How many requests are left of the window, and until when to be quiet."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._quiet = 0.0
        self._remaining: int | None = None
        self._reserve = 0
        self._reset = 0.0

    def wait(self) -> None:
        """Returns once a request may go; it is counted."""
        while True:
            with self._lock:
                pause = self._pause()
                if pause <= 0:
                    if self._remaining is not None:
                        self._remaining -= 1
                    return
            self._sleep(min(pause, _LONGEST))

    def rest(self) -> None:
        """Returns once nothing is to be quiet any more: for what the window does not count, as tokens."""
        while True:
            with self._lock:
                pause = self._quiet - self._clock()
            if pause <= 0:
                return
            self._sleep(min(pause, _LONGEST))

    def _pause(self) -> float:
        now = self._clock()
        if self._remaining is not None and now >= self._reset:
            self._remaining = None  # another window, of which nothing is known yet
        if self._remaining is not None and self._remaining <= self._reserve:
            return max(self._reset, self._quiet) - now
        return self._quiet - now

    def heard(self, headers: Mapping[str, str]) -> None:
        """What an answer says: RateLimit-Limit, -Remaining, -Reset (seconds). Answers come in any order."""
        limit, remaining, reset = (
            _number(headers.get(f"ratelimit-{name}")) for name in ("limit", "remaining", "reset")
        )
        if remaining is None or reset is None:
            return
        with self._lock:
            end = self._clock() + reset
            same = self._remaining is not None and end < self._reset + 1.5
            self._remaining = min(self._remaining, remaining) if same and self._remaining else remaining
            self._reserve = round((limit or 0) * _LEFT)
            self._reset = end

    def quiet(self, seconds: float) -> None:
        """Nothing goes for so long: an answer has said so (Retry-After)."""
        with self._lock:
            self._quiet = max(self._quiet, self._clock() + min(seconds, _LONGEST))


def _number(text: str | None) -> int | None:
    """The first number of a header: "50000, 50000;w=60" is 50000."""
    first = (text or "").split(",")[0].split(";")[0].strip()
    return int(first) if first.isdigit() else None
