"""The policies that hold by default. Each is a sentence a person understands at night."""

from __future__ import annotations

from collections.abc import Callable

from lockstep.guard.policy import GO, Policy, Verdict
from lockstep.limits import REFILL, Guard, Numbers

FEW = 20
"""Removals, with those of the window, from which on it is worth to count the source."""

TURNOVER = 2
"""So many times the usual removals are no reason to ask, up to half of the records."""

MANY_UPDATES = 10_000
"""Updates in a window that are never held."""


class EmptySource:
    """A source that suddenly reads empty, or far smaller, deletes nothing: a TRUNCATE, the wrong database, a
    view that returns nothing, a policy that hides rows."""

    name = "source-emptied"

    def judge(self, numbers: Numbers, guard: Guard) -> Verdict:
        source, known = numbers.source, numbers.known
        if not numbers.removes or source is None or known < FEW:
            return GO
        if source > 0 and (known < guard.free or 2 * source >= known):
            return GO
        seen = "reads empty" if source == 0 else f"holds {source:,} rows"
        return Verdict(
            False,
            f"the source {seen}, where {known:,} were known: {numbers.waiting:,} records would be removed",
            ("remove",),
            numbers.waiting,
        )


class Removals:
    """Removals beyond a number and a share, those counted that happened lately and those that wait; and
    beyond what is usual, as a target with turnover removes much each day."""

    name = "removals"

    def judge(self, numbers: Numbers, guard: Guard) -> Verdict:
        waiting = max(numbers.removes, numbers.waiting)
        total = numbers.window_removes + waiting
        if not numbers.removes or total <= guard.free:
            return GO
        if total <= guard.share * numbers.before and total <= guard.most:
            return GO
        turnover = TURNOVER * (numbers.usual_removes or 0)
        if total <= min(turnover, numbers.before / 2, guard.most):
            return GO
        lately = f", with {numbers.window_removes:,} of late" if numbers.window_removes else ""
        share = 100 * total / max(numbers.before, 1)
        return Verdict(
            False,
            f"{waiting:,} records would be removed{lately}: {share:.0f} % of {numbers.before:,}, and a "
            f"person is asked beyond {_limit(guard, numbers.before)}",
            ("remove",),
            waiting,
        )


def _limit(guard: Guard, records: int) -> str:
    most = min(max(guard.free, int(guard.share * records)), guard.most)
    minutes = guard.window / 60
    return f"{most:,} in {minutes:.0f} min"


class MassUpdate:
    """Most records changed within a window, and far more than ever lately. Passes that somebody asked for
    are not counted; and with less than a day of history nothing is usual yet."""

    name = "mass-update"

    def judge(self, numbers: Numbers, guard: Guard) -> Verdict:
        total = numbers.window_updates + numbers.updates
        if not numbers.updates or total <= MANY_UPDATES or numbers.usual is None:
            return GO
        if 2 * total <= numbers.known or total <= guard.beyond * numbers.usual:
            return GO
        return Verdict(
            False,
            f"{total:,} records were or would be changed within {guard.window / 60:.0f} min, of "
            f"{numbers.known:,}; the most in such a time of the last week was {numbers.usual:,}",
            ("update",),
            numbers.updates,
        )


def emptied(owed: int, held: int) -> bool:
    """Whether a target that should hold `owed` records was emptied: none are left, or under two thirds."""
    return (held == 0 and owed >= FEW) or (owed >= 100 and 3 * held < 2 * owed)


class EmptyTarget:
    """A target that is suddenly empty, or far smaller, is not refilled row by row: it is for a person to say
    whether it is restored."""

    name = "target-emptied"

    def judge(self, numbers: Numbers, guard: Guard) -> Verdict:
        if not numbers.refills or numbers.target is None or not emptied(numbers.owed, numbers.target):
            return GO
        missing = numbers.owed - numbers.target
        return Verdict(
            False,
            f"the target holds {numbers.target:,} records, where {numbers.owed:,} were known: it was emptied",
            (REFILL,),
            missing,
        )


class ChangedMapping:
    """Records that are as they were in the source mean something else than was written: the code has changed.
    Few are derived again in place."""

    name = "mapping-changed"

    def judge(self, numbers: Numbers, guard: Guard) -> Verdict:
        if not numbers.failed or numbers.known < guard.in_place:
            return GO
        said = f"{numbers.failed:,} of {numbers.tried:,} keys that are as they were mean something else now"
        return Verdict(False, f"the code has changed: {said}", expected=numbers.known)


ENOUGH = 100
"""Keys that must have been tried before their failures say something of all."""


class ErrorShare:
    """Most keys of late failed: a mapping that was changed and raises, data that is not as it was."""

    name = "error-share"

    def __init__(self, enough: int = ENOUGH) -> None:
        self._enough = enough

    def judge(self, numbers: Numbers, guard: Guard) -> Verdict:
        if numbers.tried < self._enough or 2 * numbers.failed <= numbers.tried:
            return GO
        return Verdict(False, f"{numbers.failed:,} of the last {numbers.tried:,} keys failed")


class Own:
    """A policy of the user's own. It holds all kinds of change that the batch has."""

    def __init__(self, function: Callable[[Numbers], str | None]) -> None:
        self.name = getattr(function, "__name__", "own")
        self._function = function

    def judge(self, numbers: Numbers, guard: Guard) -> Verdict:
        reason = self._function(numbers)
        if reason is None:
            return GO
        removes = max(numbers.removes, numbers.waiting) if numbers.removes else 0
        kinds = {"remove": removes, "update": numbers.updates, REFILL: numbers.refills}
        return Verdict(False, reason, tuple(kind for kind in kinds if kinds[kind]), sum(kinds.values()))


class Closed:
    """The policy of who only looks: nothing passes."""

    name = "closed"

    def judge(self, numbers: Numbers, guard: Guard) -> Verdict:
        return Verdict(False, "this door is for looking")


POLICIES: tuple[Policy, ...] = (EmptySource(), EmptyTarget(), Removals(), MassUpdate())
"""What holds by default, the most telling first."""
