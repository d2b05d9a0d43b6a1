"""How many keys are read at once: a whole batch, or fewer where the source gives up on that many, or where
their rows are more than may be held in memory."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from lockstep.errors import DataError, TimedOut, TooMuch
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

    def some(
        self, wanted: Sequence[Key], read: Callable[[Sequence[Key]], dict[Key, T]]
    ) -> tuple[dict[Key, T], dict[Key, DataError]]:
        """What `read` answers for the first keys, as many as can be read at once; or, if it is the first one
        alone that cannot be, why."""
        while True:
            first = wanted[: self._at_once] if self._at_once else wanted
            try:
                answers = read(first)
            except (TimedOut, TooMuch) as error:
                if len(first) <= 1:
                    return {}, {first[0]: _alone(error)}
                self._fewer(len(first) // 2, error)
            else:
                self._more(len(first))
                return answers, {}

    def _fewer(self, at_once: int, error: TimedOut | TooMuch) -> None:
        self._at_once, self._went_well = at_once, 0
        if isinstance(error, TooMuch):  # nothing to mend: fewer at a time are as good
            log.info("mapping %s: %s: its keys are read %d at a time", self._mapping, error, at_once)
            return
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


def _alone(error: TimedOut | TooMuch) -> DataError:
    if isinstance(error, TooMuch):
        return DataError(
            f"all that hangs on this key is more than may be held at once: {error}",
            "Leave its largest relation out of the shape, or make a record of each related row instead.",
        )
    return DataError(
        f"reading this key alone takes too long: {error}",
        "An index that leads from a row to its related rows may be missing: `lockstep check` names it. Else "
        "give the source more time (statement_timeout=SECONDS). Lockstep tries the key again by itself.",
    )
