"""Bursts: minutes in which far more was changed or removed than is usual for a target. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence

from msgspec import Struct

UPDATES = 1_000
REMOVES = 100
"""In a minute: fewer are never a burst."""

BEYOND = 5
"""Times as many as usual are a burst."""

APART = 5
"""Minutes without a burst, after which another one is another."""

USUAL = 0.9
"""The share of the busy minutes before that had no more: what is usual."""


class Burst(Struct, frozen=True):
    """A burst, from a minute since the epoch on. `usual_…`: in a minute, before it."""

    minute: int
    minutes: int
    updates: int
    removes: int
    usual_updates: int
    usual_removes: int


class _Usual:
    """What was done in the minutes before in which anything was."""

    def __init__(self) -> None:
        self._sorted: list[int] = []

    def add(self, count: int) -> None:
        if count:
            bisect.insort(self._sorted, count)

    def __call__(self) -> int:
        known = self._sorted
        return known[min(int(len(known) * USUAL), len(known) - 1)] if known else 0


def bursts(minutes: Sequence[tuple[int, int, int]]) -> Iterator[Burst]:
    """The bursts of one target. `minutes`: (minute, updates, removes), in order, without the idle ones."""
    updates, removes = _Usual(), _Usual()
    inside: list[tuple[int, int, int]] = []
    for minute in minutes:
        if inside and minute[0] - inside[-1][0] > APART:
            yield _burst(inside, updates(), removes())
            _learn(inside, updates, removes)
            inside = []
        much = minute[1] >= max(UPDATES, BEYOND * updates()) or minute[2] >= max(REMOVES, BEYOND * removes())
        if much:
            inside.append(minute)
        else:
            _learn([minute], updates, removes)
    if inside:
        yield _burst(inside, updates(), removes())


def _learn(minutes: Sequence[tuple[int, int, int]], updates: _Usual, removes: _Usual) -> None:
    """What has been often enough is usual, whatever it was called at first."""
    for _, changed, removed in minutes:
        updates.add(changed)
        removes.add(removed)


def _burst(minutes: Sequence[tuple[int, int, int]], updates: int, removes: int) -> Burst:
    first, last = minutes[0][0], minutes[-1][0]
    changed, removed = (sum(minute[at] for minute in minutes) for at in (1, 2))
    return Burst(first, last - first + 1, changed, removed, updates, removes)
