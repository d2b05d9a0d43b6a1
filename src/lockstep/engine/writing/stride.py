"""How many keys are derived and written together: all that a target takes, or what it does in some seconds.

The ledger learns of a write when all of it is answered, and what a crash cuts short is compared with the
target anew. So where each change takes long, a run begins with few: one that is killed every few seconds gets
on by those, while with many it would do the same ones over for ever.
"""

from __future__ import annotations

FIRST = 8
"""Changes of the first write of a run to a target that takes portions."""

_SHORT = 2.0
_LONG = 5.0
"""Seconds: a write that took less than the one is followed by one of twice as many changes; one that took
more than the other, by half as many."""


class Stride:
    """Of one consumer. `most`: as many as are ever worked together; `portion`: what its target takes at
    once, where that is slow."""

    def __init__(self, most: int, portion: int | None) -> None:
        self._most = min(most, portion or most)
        self.keys = self._most if portion is None else min(FIRST, self._most)
        """Of the next write."""
        self._first = self.keys

    def took(self, keys: int, seconds: float) -> None:
        """So many were read and written in so long."""
        if seconds < _SHORT and keys >= self.keys:
            self.keys = min(2 * self.keys, self._most)
        elif seconds > _LONG and keys <= self.keys:
            self.keys = max(self.keys // 2, self._first)
