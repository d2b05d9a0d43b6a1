"""The OAuth token of a client: fetched when needed, renewed before its end and once it is not taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_EARLY = 0.1
"""Of a token's life, what is left when another one is fetched: at most a minute."""

Fetch = Callable[[], tuple[str, float]]
"""Fetches a token: itself, and for how many seconds it holds."""


class Token:
    """What authorises requests. Threads may share it; one at a time fetches."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._value: str | None = None
        self._until = 0.0

    def header(self) -> str:
        """The value of an Authorization header. Raises what fetching raises."""
        with self._lock:
            if self._value is None or time.monotonic() >= self._until:
                self._value, seconds = self._fetch()
                self._until = time.monotonic() + seconds - min(60.0, seconds * _EARLY)
            return f"Bearer {self._value}"

    def spent(self, header: str) -> None:
        """This one is not taken any more. Another one may have come meanwhile: that stays."""
        with self._lock:
            if header == f"Bearer {self._value}":
                self._value = None

    def __repr__(self) -> str:
        return "Token(…)"
