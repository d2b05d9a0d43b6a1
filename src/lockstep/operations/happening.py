"""What a timeline is made of: what happened, by kind, and which kinds are signs that something is wrong."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from lockstep.state.events import Kind, Meaning


class Told(Meaning):
    """Kinds of what tables of their own tell. The others are `state.events.Kind`."""

    RUN_BEGAN = "run-began", "a run started"
    RUN_ENDED = "run-ended", "it stopped by itself, or was asked to"
    RUN_DIED = "run-died", "it was killed, or its machine went down; says when it was last seen"
    HELD = "held", "the guard holds changes until a person has decided"
    APPROVED = "approved", "a person allowed what was held, or so much of it"
    REJECTED = "rejected", "a person said that it must not happen"
    RELEASED = "released", "nothing asks any longer for what was held or allowed, or it was used up"
    CHECK_AGREED = "check-agreed", "a check showed that both sides agree"
    CHECK_DIFFERED = "check-differed", "a check found divergences"
    CHECK_CANCELLED = "check-cancelled", "a check was ended early: it proves nothing"
    ACCEPTED = "accepted", "a person let a divergence be"
    PASS_BEGAN = "pass-began", "all keys are derived, and why"
    PASS_ENDED = "pass-ended", "they were derived, or another pass took over"
    BUILD_MADE = "build-made", "a build of a target was begun"
    BURST = "burst", "far more was changed or removed in a minute than is usual"
    STILL_STUCK = "still-stuck", "keys became stuck, for this reason, and are to this day"
    SNAPSHOT_BEGAN = "snapshot-began", "saving a state began, and never came to an end"
    DRILL_BEGAN = "drill-began", "a rehearsal began"


class Happening(Struct, frozen=True):
    """Something that happened.

    subject  a mapping, a source, a target or a run; empty for the machine
    who      the person whose doing it was, `why` in their words
    seconds  how long it had lasted, for what is over; how long it lasted, for what is told as a whole
    numbers  what it was judged by, or came to
    """

    happened_at: float
    kind: str
    subject: str
    text: str
    who: str | None = None
    why: str | None = None
    seconds: float | None = None
    numbers: dict[str, Any] | None = None


ILL: frozenset[str] = frozenset(
    {
        Kind.MAPPING_STOPPED,
        Kind.MAPPING_WAITS,
        Kind.MAPPING_HELD,
        Kind.STUCK,
        Kind.SOURCE_WAITS,
        Kind.SOURCE_STOPPED,
        Kind.SOURCE_HOLE,
        Kind.TARGET_GONE,
        Kind.TARGET_REPLACED,
        Kind.TARGET_EMPTIED,
        Kind.RUN_LOST_LEASE,
        Kind.SNAPSHOT_FAILED,
        Kind.RESTORE_FAILED,
        Kind.DEPLOY_FAILED,
        Kind.DRILL_FAILED,
        Kind.NOT_KEPT,
        Kind.REPAIR_GIVEN_UP,
        Told.RUN_DIED,
        Told.HELD,
        Told.CHECK_DIFFERED,
        Told.BURST,
        Told.STILL_STUCK,
    }
)
"""Kinds that are signs that something is wrong."""

WELL: frozenset[str] = frozenset(
    {
        Told.CHECK_AGREED,
        Kind.MAPPING_GOES_ON,
        Kind.SOURCE_GOES_ON,
        Kind.RESTORE_DONE,
        Kind.DRILL_PASSED,
    }
)
"""Kinds that are signs that it is right again."""


def ill(one: Happening) -> bool:
    """Whether it is a sign that something is wrong. Fewer stuck keys than before are none."""
    if one.kind == Kind.STUCK and one.numbers is not None:
        return bool(one.numbers["stuck"] > one.numbers["before"])
    return one.kind in ILL
