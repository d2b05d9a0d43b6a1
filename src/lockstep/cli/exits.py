"""Exit codes: what a script may rely on."""

from __future__ import annotations

from lockstep.errors import (
    Cancelled,
    CheckFailed,
    DataError,
    DeclarationError,
    Declined,
    Disagreement,
    MappingStopped,
    NothingYet,
    PlanUnreadable,
    StateInUse,
    TargetReplaced,
    UsageError,
)
from lockstep.guard.policy import HeldBack

DONE = 0
NO = 1
WRONG = 2
FAILED = 3
IN_USE = 4
INTERRUPTED = 130

MEANINGS = {
    DONE: "done; in agreement; a plan is allowed",
    NO: "the answer is no: a check blocks, a divergence was found, a mapping stopped or is held, a target is "
    "gone or is another one, a plan is refused or held, or what was asked for is not done as things stand",
    WRONG: "wrong usage (also a name, key or number that does not exist, or something that was never run, "
    "checked or saved), a wrong declaration in the pipeline file, or a plan that cannot be read",
    FAILED: "a system or the state store failed, or Lockstep itself",
    IN_USE: "another run holds the state",
    INTERRUPTED: "interrupted, or nobody reads the output any more",
}


def code_of(error: Exception) -> int:
    """The exit code of an error. A defect is a failure: 1 would say that the answer is no."""
    if isinstance(error, StateInUse):
        return IN_USE
    if isinstance(error, Cancelled):
        return INTERRUPTED
    if isinstance(error, _ANSWERS):
        return NO
    if isinstance(error, _SLIPS):
        return WRONG
    return FAILED


_ANSWERS = (CheckFailed, Declined, Disagreement, HeldBack, MappingStopped, TargetReplaced)
_SLIPS = (DataError, DeclarationError, NothingYet, PlanUnreadable, UsageError)
"""A DataError that a command ends with is a mistyped key."""
