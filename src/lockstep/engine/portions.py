"""How many keys are read at once: a whole batch, or fewer where the source gives up on that many."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from lockstep.errors import DataError, TimedOut
from lockstep.values import Key

log = logging.getLogger("lockstep")

T = TypeVar("T")

ENOUGH = 20
"""Reads of fewer keys that went well, before more are read at once again."""


class Portions:
    """Remembers, for one mapping, how many keys its source can be asked for at once."""

    def __init__(self, mapping: str) -> None:
        self._mapping = mapping
        self._at_once: int | None = None  # None: a whole batch
        self._went_well = 0

    def read(
        self, wanted: Sequence[Key], read: Callable[[Sequence[Key]], dict[Key, T]]
    ) -> tuple[dict[Key, T], dict[Key, DataError]]:
        """What `read` answers for all keys, and which keys take too long even alone."""
        answers: dict[Key, T] = {}
        slow: dict[Key, DataError] = {}
        at = 0
        while at < len(wanted):
            some = wanted[at : at + self._at_once] if self._at_once else wanted[at:]
            try:
                answers |= read(some)
            except TimedOut as error:
                if len(some) > 1:
                    self._fewer(len(some) // 2, error)
                    continue
                slow[some[0]] = _too_slow(error)
            else:
                self._more(len(some))
            at += len(some)
        return answers, slow

    def _fewer(self, at_once: int, error: TimedOut) -> None:
        self._at_once, self._went_well = at_once, 0
        log.warning(
            "mapping %s: %s. Its keys are read %d at a time for now. An index that leads from a row to its "
            "related rows may be missing: `lockstep check` says which.",
            *(self._mapping, error, at_once),
        )

    def _more(self, read: int) -> None:
        if self._at_once is None or read < self._at_once:
            return
        self._went_well += 1
        if self._went_well >= ENOUGH:
            self._at_once, self._went_well = self._at_once * 2, 0


def _too_slow(error: TimedOut) -> DataError:
    return DataError(
        f"reading this key alone takes too long: {error}",
        "An index that leads from a row to its related rows may be missing: `lockstep check` names it. Else "
        "give the source more time (statement_timeout=SECONDS). Lockstep tries the key again by itself.",
    )
