"""Exit codes: what a script may rely on."""

from __future__ import annotations

from lockstep.errors import (
    Cancelled,
    CheckFailed,
    DataError,
    DeclarationError,
    MappingStopped,
    PlanUnreadable,
    StateInUse,
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
    NO: "the answer is no: a check blocks, a divergence was found, a mapping stopped or "
    "is held, a plan is refused or held",
    WRONG: "wrong usage (also a name, key or number that there is not), a wrong declaration in the pipeline "
    "file, or a plan that cannot be read",
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
    if isinstance(error, CheckFailed | HeldBack | MappingStopped):
        return NO
    if isinstance(
        error, UsageError | DeclarationError | DataError | PlanUnreadable
    ):  # DataError: a mistyped key
        return WRONG
    return FAILED
