"""Faults on request: rules that say which requests are met by what, how often, or with which probability."""

from __future__ import annotations

import random
import re
import threading

import msgspec

KINDS = {
    "429": "refused for the rate limit, with Retry-After; nothing is done",
    "concurrent": "refused for too many requests at once (category 70), with Retry-After; nothing is done",
    "lock": "success: false with category 50 under HTTP 200; nothing is done, and the failure is kept",
    "500": "an internal error; nothing is done, nothing is kept",
    "503": "the gateway has no server; nothing is done",
    "timeout": "504; and what was asked for is done, `after` seconds later",
    "timeout_lost": "504; and nothing is ever done",
    "cut": "what was asked for is done, and the connection ends within the answer",
    "token": "the token has expired: 401",
    "callout_lost": "a callout is never sent, and is not in the history",
    "callout_doubled": "a callout is sent twice",
    "callout_late": "a callout is sent `after` seconds later",
}


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which requests, and what they meet. `path` is a regular expression that must match the whole path."""

    kind: str
    method: str = ".*"
    path: str = ".*"
    times: int | None = None
    """So often, then no more; None is for ever."""
    skip: int = 0
    """So many requests that fit are spared first."""
    probability: float = 1.0
    after: float = 0.0
    """Seconds; also of Retry-After."""


class Faults:
    """The rules that hold. The first that fits a request is the one it meets."""

    def __init__(self) -> None:
        self._rules: list[Fault] = []
        self._random = random.Random(0)
        self._lock = threading.Lock()

    def set(self, rules: list[Fault], seed: int = 0) -> None:
        """These rules and no others. Raises ValueError where one has no meaning."""
        for one in rules:
            if one.kind not in KINDS:
                raise ValueError(f"there is no fault {one.kind!r}; there are {', '.join(KINDS)}")
            re.compile(one.path)
            re.compile(one.method)
        with self._lock:
            self._rules, self._random = rules, random.Random(seed)

    def met(self, method: str, path: str, *, callouts: bool = False) -> Fault | None:
        """The fault this request, or the callout to this path, meets; it is used up by that."""
        with self._lock:
            for one in self._rules:
                if one.kind.startswith("callout") != callouts or one.times == 0:
                    continue
                if not re.fullmatch(one.method, method) or not re.fullmatch(one.path, path):
                    continue
                if one.skip > 0:
                    one.skip -= 1
                    continue
                if self._random.random() >= one.probability:
                    continue
                if one.times is not None:
                    one.times -= 1
                return one
        return None
