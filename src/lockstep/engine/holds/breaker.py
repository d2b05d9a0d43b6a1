"""The circuit breaker of one mapping: when most keys fail it opens, so that no more are spoilt.

After a while a small part is let through (half-open): where that goes well it is closed again, by itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from lockstep.errors import MappingStopped
from lockstep.forms import keys
from lockstep.guard.policies import ENOUGH, ErrorShare
from lockstep.guard.policy import HeldBack
from lockstep.limits import Guard, Numbers
from lockstep.state.rows import Failure
from lockstep.values import Key

PROBE = 100
"""Keys that are let through when it is half open."""

FIRST_WAIT, LONGEST_WAIT = 15.0, 300.0
"""Seconds until it is half open; twice as many each time that it opens again."""

_WINDOW = 5_000
_OF_OLD = ("retry", "claim")
"""Reasons of keys that have failed before: they say nothing new."""


class MostFail(MappingStopped):
    """Most keys of a mapping fail. `held`: what a person is shown."""

    def __init__(self, mapping: str, held: HeldBack) -> None:
        super().__init__(
            f"{mapping}: {held.verdict.reason}",
            f"See why with `lockstep stuck {mapping}`, and mend it. Other mappings go on; nothing is lost.",
        )
        self.held = held


class Breaker:
    """Counts what fails, and says how much may be tried."""

    def __init__(self, mapping: str, guard: Guard) -> None:
        self._mapping = mapping
        self._guard = guard
        self._recent: deque[bool] = deque(maxlen=_WINDOW)
        self._wait = FIRST_WAIT
        self._failure: Failure | None = None
        self.probing = False

    @property
    def wait(self) -> float:
        """Seconds until it is worth to try again."""
        return self._wait

    def half_open(self) -> None:
        """A small part is let through, and judged by itself."""
        self._recent.clear()
        self.probing = True

    def some(self, wanted: list[Key]) -> tuple[list[Key], list[Key]]:
        """Those of some keys that are tried now, spread over all of them; and the others."""
        if not self.probing or len(wanted) <= PROBE:
            return wanted, []
        tried = set(wanted[:: -(-len(wanted) // PROBE)])
        return [key for key in wanted if key in tried], [key for key in wanted if key not in tried]

    def settled(self, tried: Sequence[tuple[Key, str]], failures: Sequence[Failure]) -> None:
        """What became of some keys, each with the reason of its hint. Those that only wait do not fail."""
        failures = [one for one in failures if one.again is None]
        failed = {failure.key for failure in failures}
        self._failure = failures[0] if failures else self._failure
        self._recent.extend(key in failed for key, reason in tried if self.probing or reason not in _OF_OLD)

    def judge(self, failures: int) -> None:
        """Raises MostFail when it opens. A part that was let through and went well closes it."""
        numbers = Numbers(tried=len(self._recent), failed=sum(self._recent))
        probed = self.probing and numbers.tried > 0
        if not failures and not probed:
            return
        verdict = ErrorShare(1 if probed else ENOUGH).judge(numbers, self._guard)
        if probed:
            self.probing = False
            self._wait = FIRST_WAIT if verdict.go else min(2 * self._wait, LONGEST_WAIT)
        if verdict.go:
            return
        such = self._failure
        if such is not None:
            text = (
                f"{verdict.reason}, such as key {keys.text(such.key)}: {such.error} "
                f"(`lockstep stuck {self._mapping}` shows them)"
            )
            verdict = verdict._replace(reason=text)
        raise MostFail(self._mapping, HeldBack(ErrorShare.name, verdict, numbers))
