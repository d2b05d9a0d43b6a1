"""How much of a save or restore is done, for another thread to ask."""

from __future__ import annotations


class Progress:
    """Counts steps (bytes, rows) up to a total that was said before."""

    def __init__(self) -> None:
        self._done, self._total = 0, 0

    def begin(self, total: int | None) -> None:
        """Something is under way that takes about so many steps; None: nobody knows."""
        self._done, self._total = 0, total or 0

    def moved(self, steps: int) -> None:
        self._done += steps

    def share(self) -> float | None:
        """From 0 to 1; None where nothing is under way, or nobody knows how much it is."""
        total = self._total
        return min(1.0, self._done / total) if total else None
