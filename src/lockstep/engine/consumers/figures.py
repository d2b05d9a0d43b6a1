"""What a consumer has done, as figures that `status` shows."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from lockstep.engine.consumers.loop import Counts
from lockstep.values import Status


class Figures:
    """Outcomes and keys since the start; the rate of the last ten seconds; lags of late."""

    def __init__(self) -> None:
        self._totals = dict.fromkeys(Status, 0)
        self.keys = 0
        self._lags: deque[float] = deque(maxlen=200)
        self._rates: deque[tuple[float, int]] = deque(maxlen=50)
        self._settled_at: float | None = None

    def count(self, counts: Counts) -> None:
        """A batch was settled."""
        self._settled_at = time.time()
        for status, number in counts.outcomes.items():
            self._totals[status] += number
        self.keys += counts.keys
        self._rates.append((time.monotonic(), counts.keys))
        if counts.lag is not None:
            self._lags.append(counts.lag)

    def gauges(self) -> dict[str, Any]:
        lags = sorted(self._lags)
        now = time.monotonic()
        recent = [(at, number) for at, number in self._rates if now - at < 10]
        span = now - recent[0][0] if recent else 0
        return {
            "settled": self._settled_at,
            "keys": self.keys,
            "keys_per_second": round(sum(number for _, number in recent) / span) if span > 0.05 else 0,
            "lag_p50": round(lags[len(lags) // 2], 4) if lags else None,
            "lag_p99": round(lags[int(len(lags) * 0.99)], 4) if lags else None,
            **{status.value: number for status, number in self._totals.items()},
        }
