"""holds, approve, reject: what the guard holds, and a person's word about it. Reads the state store alone."""

from __future__ import annotations

import time
from typing import Any

from msgspec import Struct

from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.forms import keys
from lockstep.operations.opened import existing
from lockstep.operations.reason import require_reason
from lockstep.place import Place
from lockstep.state.holds import Hold

ALLOWED = 86_400.0
"""Seconds for which an approval is good, where nobody says otherwise."""


class Held(Struct, frozen=True):
    """What is held, or was. See `state.holds.Hold`; `keys` are some of the source keys, as people read them.

    preview what the target said would follow of some of it, in lines
    state   open, rejected, approved (`used` of at most `most` changes, until `until_at`), closed
    build   of which build that is not the live one: its number, and whether it is kept, building, retired
    """

    id: int
    mapping: str
    policy: str
    reason: str
    kinds: tuple[str, ...]
    expected: int
    keys: tuple[str, ...]
    numbers: dict[str, Any]
    state: str
    opened_at: float
    seen_at: float
    decided_at: float | None
    decided_by: str | None
    why: str | None
    most: int | None
    until_at: float | None
    used: int
    closed_at: float | None
    preview: tuple[str, ...] = ()
    build: tuple[int, str] | None = None

    @property
    def holding(self) -> bool:
        """Whether it holds something of a build that is live, or is to be."""
        return self.state in ("open", "rejected") and (self.build is None or self.build[1] != "kept")


def holds(state: Place | Pipeline, *, closed: bool = False) -> list[Held]:
    """What stands, of all builds, the newest first; with `closed` also what was. Raises StateError if nothing
    ever ran."""
    with existing(state) as store:
        beside = store.holds.beside()
        return [held(one, beside.get(one.id)) for one in store.holds.all(closed=closed, kept=True)]


def approve(
    state: Place | Pipeline,
    number: int,
    *,
    why: str,
    by: str,
    most: int | None = None,
    within: float = ALLOWED,
) -> Held:
    """Allows what a hold holds: at most `most` changes of its kinds (as many as it expects), for `within`
    seconds. What runs is derived afresh and must fit that; the rest is held anew.

    Raises UsageError when there is no such hold, or it was decided before.
    """
    require_reason(why)
    with existing(state, Access.CHANGE) as store:
        known = store.holds.get(number)
        expected = known.expected if known is not None else 0
        allowed = max(expected, 1) if most is None else most
        return held(store.holds.decide(number, "approved", by, why, allowed, time.time() + within))


def reject(state: Place | Pipeline, number: int, *, why: str, by: str) -> Held:
    """Says that what a hold holds must not happen. It stays held until the source no longer asks for it.

    Raises UsageError as `approve` does.
    """
    require_reason(why)
    with existing(state, Access.CHANGE) as store:
        return held(store.holds.decide(number, "rejected", by, why))


def held(one: Hold, build: tuple[int, str] | None = None) -> Held:
    """A hold, as people read it."""
    return Held(
        one.id,
        one.mapping,
        one.policy,
        one.reason,
        one.kinds,
        one.expected,
        tuple(keys.text(key) for key in sorted(one.keys)[:20]),
        one.numbers,
        one.state,
        one.opened_at,
        one.seen_at,
        one.decided_at,
        one.decided_by,
        one.why,
        one.most,
        one.until,
        one.used,
        one.closed_at,
        one.preview,
        build,
    )
