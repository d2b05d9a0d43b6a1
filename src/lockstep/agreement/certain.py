"""What differs between the two sides for certain: it is looked at until it does, or no longer does.

As with suspects, a change on its way is no divergence. The source is asked, then whatever was on its way at
that moment is waited for, then the target is asked, and the source once more. Where the source's log has not
moved in between, what differs does. Where it has, a row may have come and gone meanwhile, and leave no trace:
so both sides must be seen the same six times in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, TypeVar

from lockstep.agreement.barrier import Barrier
from lockstep.agreement.fields import FieldDiff
from lockstep.agreement.report import Divergence, Findings
from lockstep.guard.door import Door
from lockstep.ports import Feed, Reader

_KIND = "invariant"
_ROUNDS = 12
_STEADY = 6

K = TypeVar("K", bound=bytes)


class Between:
    """The two sides of invariants. `barriers`: of every mapping that writes the target."""

    def __init__(self, reader: Reader, feed: Feed, door: Door, barriers: Sequence[Barrier]) -> None:
        self.reader, self.feed, self.door = reader, feed, door
        self._barriers = barriers

    def wait(self) -> str | None:
        """See `Barrier`."""
        return next((why for why in (barrier() for barrier in self._barriers) if why), None)


class Look(NamedTuple):
    """What was seen of one thing: what the source says of it, and what `both` sides say.

    `tell` makes its divergences, given what may still be on its way to it; None: both sides say the same.
    """

    source: object
    both: object
    tell: Callable[[str | None], Sequence[Divergence]] | None


def settle(
    between: Between,
    findings: Findings,
    reached: str,
    before: Mapping[K, object],
    look: Callable[[Sequence[K]], Mapping[K, Look]],
) -> list[K]:
    """Adds to the findings what differs for certain; returns what never came to rest.

    `before`: what the source said of what looked different, no earlier than its log was at `reached`. `look`
    looks again at some of it, at the target first: what the source means before and after is what the target
    should have held.
    """
    left = dict(before)
    seen: dict[K, list[object]] = {key: [] for key in left}
    found: dict[K, Sequence[Divergence]] = {}
    looks: Mapping[K, Look] = {}
    for _ in range(_ROUNDS):
        if not left:
            break
        waits = between.wait()
        looks, still_reached = look(list(left)), between.feed.reached()
        still: dict[K, object] = {}
        for key in left:
            source, both, tell = looks[key]
            if tell is None:
                findings.settled += 1
                continue
            seen[key].append(both)
            quiet = reached == still_reached or seen[key][-_STEADY:] == [both] * _STEADY
            if waits is not None or (left[key] == source and quiet):
                found[key] = tell(waits)
            else:
                still[key] = source
        left, reached = still, still_reached
    findings.moving += len(left)
    for key in left:
        findings.doubt(one.name for one in (looks[key].tell or _nothing)(None))
    for key in sorted(found):
        for divergence in found[key]:
            findings.add(divergence)
    return list(left)


def _nothing(_: str | None) -> Sequence[Divergence]:
    return ()


def divergence(
    subject: str,
    fields: tuple[FieldDiff, ...],
    said: Sequence[str],
    tolerance: Decimal,
    why: str,
    waits: str | None,
) -> Divergence:
    """Of an invariant: what was said of it, what is tolerated and why, and what may still be on its way."""
    causes = [*said]
    if why:  # which a tolerance always has
        causes.append(f"tolerated {tolerance:f}: {why}" if tolerance else why)
    if waits is not None:
        causes.append(f"{waits}: a change of it may be on its way")
    return Divergence(_KIND if waits is None else "unsettled", subject, None, fields, "; ".join(causes))


def restless(names: Sequence[str]) -> str:
    """What a person is told of what never came to rest."""
    return f"{', '.join(names)}: changed each time it was looked at, so nothing is said of it"
