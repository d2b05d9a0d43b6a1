"""How many requests a minute, and at once. Counted by the machine's clock, whatever the tenant's says."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from .engine.settings import Settings


class Budget(NamedTuple):
    """What is left of a limit, and in how many seconds it is whole again."""

    limit: int
    remaining: int
    reset: int
    over: bool


class Limits:
    """Fixed windows of a minute, and counts of what is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[int, int]] = {}
        self._under_way = {"all": 0, "heavy": 0}

    def spend(self, settings: Settings, *, token: bool) -> Budget:
        """Count one request; `over` says that it is one too many."""
        name = "token" if token else "api"
        limit = settings.tokens_per_minute if token else settings.requests_per_minute
        minute, second = divmod(int(time.time()), 60)
        with self._lock:
            window, used = self._windows.get(name, (minute, 0))
            used = used + 1 if window == minute else 1
            self._windows[name] = (minute, used)
        return Budget(limit, max(limit - used, 0), 60 - second, used > limit)

    def enter(self, settings: Settings, *, heavy: bool) -> Budget | None:
        """One more under way; None where that would be too many. Who entered must leave."""
        name = "heavy" if heavy else "all"
        limit = settings.concurrent_heavy if heavy else settings.concurrent
        with self._lock:
            if self._under_way[name] >= limit:
                return None
            self._under_way[name] += 1
            return Budget(limit, limit - self._under_way[name], 0, False)

    def leave(self, *, heavy: bool) -> None:
        with self._lock:
            self._under_way["heavy" if heavy else "all"] -= 1
