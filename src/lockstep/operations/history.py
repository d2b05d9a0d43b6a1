"""history: what happened, in order, from all that was recorded. Never imports the pipeline."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

from lockstep.declaration.pipeline import Pipeline
from lockstep.errors import DeclarationError, UsageError
from lockstep.operations.happening import Happening
from lockstep.operations.opened import existing
from lockstep.operations.summary import Summary, summary
from lockstep.operations.told import told
from lockstep.place import Place
from lockstep.state import events
from lockstep.state.events import Kind
from lockstep.state.recorded import Follows

DAY = 86_400.0


class History(Struct, frozen=True):
    """What happened from one time to another. `notes`: what a reader must know of how it is told."""

    since_at: float
    until_at: float
    mapping: str | None
    happenings: tuple[Happening, ...]
    summary: Summary
    notes: tuple[str, ...]


def history(
    state: Place | Pipeline,
    *,
    since: float | None = None,
    until: float | None = None,
    mapping: str | None = None,
) -> History:
    """What happened, the oldest first. `since`, `until`: seconds since the epoch; a day ago, and now.

    `mapping`: only what is of it, of its source and target, and of runs. Raises StateError where nothing ever
    ran, UsageError where no run knows the mapping, or there is no time between the two.
    """
    for name, given in (("since", since), ("until", until)):
        if given is not None and not isinstance(given, int | float):
            raise DeclarationError(
                f"{name}={given!r} is no moment", "Give seconds since the epoch: time.time() - 7_200."
            )
    now = time.time()
    after = now - DAY if since is None else since
    before = now if until is None else until
    if before < after:
        raise UsageError(
            "it ends before it begins" if until is not None else "that has not been yet",
            "Name a --since that is over, and an --until that is later.",
        )
    with existing(state) as store:
        follows = store.recorded.follows()
        if mapping is not None and mapping not in {one.mapping for one in follows}:
            known = ", ".join(sorted({one.mapping for one in follows})) or "none"
            raise UsageError(f"no run knows a mapping {mapping!r} (known: {known})", "Name one of these.")
        found = list(told(store, after, before))
    concerned = _concerned(follows)
    if mapping is not None:
        found = [one for one in found if _is_of(mapping, one, concerned)]
    happenings = sorted(
        (one for one in found if after <= one.happened_at <= before), key=lambda one: one.happened_at
    )
    subjects = {name: names for name, names in concerned.items() if mapping is None}
    if mapping is not None:
        subjects = {one.subject: {mapping} for one in happenings} | {mapping: {mapping}}
    return History(
        after,
        before,
        mapping,
        tuple(happenings),
        summary(happenings, subjects),
        _notes(happenings, after, now),
    )


def _concerned(follows: Sequence[Follows]) -> dict[str, set[str]]:
    """The mappings that a mapping, a source or a target is about."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for one in follows:
        for name in (one.mapping, one.source, one.target):
            found[name].add(one.mapping)
    return dict(found)


def _is_of(mapping: str, one: Happening, concerned: dict[str, set[str]]) -> bool:
    """Runs, and what is of the machine, are of every mapping."""
    return mapping in concerned.get(one.subject, {mapping})


def _notes(happenings: Sequence[Happening], after: float, now: float) -> tuple[str, ...]:
    found = []
    if after < now - events.KEPT:
        days = events.KEPT / DAY
        found.append(
            f"faults, and who asked for what, are kept for {days:.0f} days: what is older lacks them"
        )
    if any(one.kind == Kind.CLOCK_JUMPED for one in happenings):
        found.append("the clock was set: what is told around that time may be out of order")
    if any(one.kind == Kind.NOT_KEPT for one in happenings):
        found.append("the state store did not answer for a while: some of what happened is missing")
    return tuple(found)
