"""Doubt: writes of which nobody knows what became are sent again, in ever smaller parts, until it is clear
whose fault it is.

A target that answers for nobody is at fault itself: nothing is settled, no key is stuck, the mapping waits. A
record that stays without an answer even alone, where the target answers for others, is at fault itself.
Sending again is safe: the same change twice is as once, and while the lease holds nobody else writes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from lockstep.errors import Unreachable
from lockstep.values import Change, Key, Outcome, Status

_SILENT_PARTS = 16
"""Parts in a row that may stay without any answer: enough to come from a whole batch to one record."""

_SILENT_SECONDS = 300.0

_ALONE = 3
"""Times that a change is sent alone without an answer before it is taken to be at fault."""


def resolved(
    send: Callable[[Sequence[Change]], list[Outcome]], changes: Sequence[Change], outcomes: Sequence[Outcome]
) -> list[Outcome]:
    """The outcomes, unknown only where a change stayed so alone.

    Raises Unreachable when the target answers for none of several changes.
    """
    found = list(outcomes)
    first = _again(range(len(changes)), changes, found)
    answered = any(outcome.status is not Status.UNKNOWN for outcome in outcomes)
    waiting = [first] if answered else _halves(first)
    silent, since, tries = 0, time.monotonic(), 1
    while waiting:
        part = waiting.pop()
        for place, outcome in zip(part, send([changes[place] for place in part]), strict=True):
            found[place] = outcome
        if all(found[place].status is Status.UNKNOWN for place in part):
            silent += 1
        else:
            answered, silent, since = True, 0, time.monotonic()
        if len(part) == 1 and found[part[0]].status is Status.UNKNOWN and tries < _ALONE:
            tries += 1
            waiting.append(part)  # a bad line fails now and then, a bad record each time
            continue
        tries = 1
        if silent > _SILENT_PARTS or (silent and time.monotonic() - since > _SILENT_SECONDS):
            raise silence(changes, found)
        left = _again(part, changes, found)
        if len(part) > 1 and left:
            waiting += _halves(left)
    if not answered and len(changes) > 1:
        raise silence(changes, found)
    for place in [place for place in first if found[place].status is Status.UNKNOWN]:
        # The target may have come back only after it was accused: now others have been answered.
        same = [later for later in first if later >= place and changes[later].key == changes[place].key]
        for later, outcome in zip(same, send([changes[later] for later in same]), strict=True):
            found[later] = outcome
    return found


def silence(changes: Sequence[Change], outcomes: Sequence[Outcome]) -> Unreachable:
    """The error for a target that answers for nobody."""
    reason = next((one.reason for one in outcomes if one.status is Status.UNKNOWN), None)
    return Unreachable(
        f"the target did not say what became of {len(changes):,} writes: {reason}",
        "They are read back and written again once it answers.",
    )


def _halves(part: list[int]) -> list[list[int]]:
    """Two parts, the earlier one last: it is popped first."""
    middle = len(part) // 2
    return [half for half in (part[middle:], part[:middle]) if half]


def _again(part: Sequence[int], changes: Sequence[Change], outcomes: Sequence[Outcome]) -> list[int]:
    """What to send again, in order: the unknown ones, and what came after one of them for the same key."""
    doubtful: set[Key] = set()
    left = []
    for place in part:
        if outcomes[place].status is Status.UNKNOWN:
            doubtful.add(changes[place].key)
        if changes[place].key in doubtful:
            left.append(place)
    return left
