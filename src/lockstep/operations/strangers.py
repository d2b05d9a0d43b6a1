"""Removes records of a target that no mapping wrote: only when a person asks, and no run is at work.

They count with the removals that a run makes: each batch is judged and counted before it is written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial

from lockstep.declaration.mapping import Mapping
from lockstep.engine.lease import Lease
from lockstep.engine.writing.judged import judge_strangers
from lockstep.engine.writing.opening import door_to
from lockstep.guard.door import Door, Plan
from lockstep.guard.policy import HeldBack
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Change, Fingerprint, Held, Key, Meta, Status, Version

_AT_ONCE = 1_000


def held_back(mapping: Mapping, store: Store, consumer: Consumer, wanted: Sequence[Key]) -> str | None:
    """Why the mapping's guard would not let all of these go at once; None: it would."""
    if not wanted:
        return None
    with contextlib.closing(door_to(mapping.target, consumer.number, store, guard=mapping.guard)) as door:
        judged = partial(judge_strangers, door, len(wanted), door.contents().records)
        try:
            store.reservations.ask(consumer.generation, consumer.id, judged, door.guard.window)
        except HeldBack as held:
            return held.verdict.reason
    return None


def remove(
    mapping: Mapping,
    store: Store,
    lease: Lease,
    consumer: Consumer,
    wanted: Sequence[Key],
    known: Sequence[str],
) -> Iterator[tuple[Key, str]]:
    """Removes them through the guarded door; those that were left, each with the reason.

    Each is read before: what carries the metadata of a mapping in `known` by now is nobody's stranger.
    """
    if not wanted:
        return
    opened = door_to(mapping.target, consumer.number, store, lease, mapping.guard)
    with contextlib.closing(opened) as door:
        contents = door.contents()
        lease.rise_above(contents.highest)
        records = contents.records
        for start in range(0, len(wanted), _AT_ONCE):
            held = door.read(wanted[start : start + _AT_ONCE])
            strangers = [one for one in held.values() if one.meta is None or one.meta.mapping not in known]
            yield from (
                (key, "Lockstep writes it by now") for key in held.keys() - {s.key for s in strangers}
            )
            version = lease.next_version()
            count = len(strangers)

            def reserve(epoch: int, count: int = count, known: int = records) -> None:
                store.reservations.reserve(
                    epoch,
                    consumer.generation,
                    consumer.id,
                    partial(judge_strangers, door, count, known),
                    door.guard.window,
                )

            try:
                lease.under(reserve)
            except HeldBack as held_back:
                yield from ((one.key, held_back.verdict.reason) for one in strangers)
                continue
            door.admit(version)
            records -= count
            yield from _removed(mapping, consumer, door, version, strangers)


def _removed(
    mapping: Mapping, consumer: Consumer, door: Door, version: Version, strangers: Sequence[Held]
) -> Iterator[tuple[Key, str]]:
    changes = [
        Change(one.key, None, Meta(mapping.name, one.key, Fingerprint(0), 0, version)) for one in strangers
    ]
    outcomes = door.write(Plan(mapping.name, consumer.number, changes)) if changes else []
    for change, outcome in zip(changes, outcomes, strict=True):
        if outcome.status not in (Status.APPLIED, Status.UNCHANGED):
            yield change.key, outcome.reason or f"the target says {outcome.status.value}"
