"""What a source keeps of its log because of us: shown, and warned about before it hurts."""

from __future__ import annotations

import logging
from typing import Any

from lockstep.ports import FeedLag

log = logging.getLogger("lockstep")

MUCH = 10 << 30
"""Bytes that are said to be much, where the source sets no limit."""

_REMEDY = (
    "Acknowledged is what the journal holds durably: see why that does not advance (`lockstep status`). "
    "Once the log is given up or its disk is full, everything must be compared again."
)


class Kept:
    """The last look at it, and what was said about it already."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._said = 0
        self._holder: str | None = None
        self._gauges: dict[str, Any] = {}

    def look(self, lag: FeedLag) -> None:
        """Notes it. Says it as a warning, once at each step that is worse than the last, and when it comes to
        light who holds it."""
        level, words = _level(lag)
        holder = lag.held_by if level else None
        if level > self._said or (holder is not None and self._holder is None):
            log.warning("source %s: %s. %s", self._source, words, _remedy(lag))
        self._said, self._holder = level, holder
        self._gauges = {
            "retained": lag.retained,
            "retained_unit": lag.unit,
            "behind": lag.behind,
            "room": lag.room,
            **({"warning": words, "remedy": _remedy(lag)} if words else {}),
        }

    def gauges(self) -> dict[str, Any]:
        return self._gauges


def _level(lag: FeedLag) -> tuple[int, str]:
    """How bad it is, from 0, and in words."""
    if lag.retained is None or lag.unit != "bytes":
        return 0, ""
    kept = f"the server keeps {size(lag.retained)} of its log for us"
    if lag.room is None:
        steps = 0
        while lag.retained >= MUCH << steps:
            steps += 1
        return steps, f"{kept}, and sets no limit to it: its disk is the limit" if steps else ""
    share = lag.retained / max(lag.retained + max(lag.room, 0), 1)
    level = sum(share >= limit for limit in (0.5, 0.75, 0.9))
    words = f"{kept}, and gives us up after {size(max(lag.room, 0))} more (max_slot_wal_keep_size)"
    return level, words if level else ""


def _remedy(lag: FeedLag) -> str:
    if lag.held_by is None:
        return _REMEDY
    return (
        f"We have acknowledged nearly all of it; it is kept for {lag.held_by}. End that session or "
        "transaction if nobody needs it."
    )


def size(octets: float) -> str:
    """So many bytes, as people read them."""
    for unit in ("B", "kB", "MB"):
        if octets < 1000:
            return f"{octets:.0f} {unit}"
        octets /= 1000
    return f"{octets:,.1f} GB"
