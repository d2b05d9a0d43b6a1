"""The errors, as a tree.

LockstepError                 every error a person may meet; has a `remedy`
├── DeclarationError          the pipeline file is wrong; found at import
├── UsageError                what was asked for is not there, or says nothing
├── PlanUnreadable            a plan of other automation cannot be judged
├── CheckFailed               `check` found something that blocks
├── StateError                the state store cannot be used
│   ├── NothingYet            what was asked about was never run, filled, checked or saved
│   ├── StateInUse            another `run` holds it
│   ├── StateUnreachable      it does not answer; automation may retry
│   └── LeaseLost             another worker has drawn a newer epoch
├── SystemError_              a source or target does not do what is asked
│   ├── Unreachable           no answer; automation may retry
│   │   └── TimedOut          it gave up on a statement that took too long: less at once may do
│   ├── TooMuch               more than may be held at once: less at once will do
│   ├── CannotSum             it does not sum what it holds by itself: it is read instead
│   ├── Refused               it answered no: privileges, wrong settings
│   │   └── Declined          Lockstep answered no for it: what was asked for would do harm as things stand
│   └── TargetReplaced        the target is not the one that the ledger speaks of
├── Cancelled                 a check, or a build, was stopped before its end
├── Disagreement              a build does not agree with its source, so it was not made live
├── DataError                 one record cannot be read, derived or written; its key is stuck
└── MappingStopped            too many keys of one mapping fail

`retriable` says whether automation may simply try again.
"""

from __future__ import annotations

from typing import ClassVar


class LockstepError(Exception):
    """An error with a cause and a mend. `remedy` is what a person does next."""

    retriable: ClassVar[bool] = False
    remedy: str

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    @classmethod
    def defect(cls, error: BaseException) -> LockstepError:
        """What nobody has foreseen, as an error that a person may meet."""
        return LockstepError(
            f"a defect of Lockstep: {type(error).__name__}: {error}",
            "Please report it with the trace in the log. What does not need what failed goes on.",
        )


class DeclarationError(LockstepError):
    """A model, shape, mapping or pipeline is declared in a way that has no one meaning."""


class UsageError(LockstepError):
    """What was asked for is not there, or says nothing: a mistyped name, number, query. Nothing was done."""


class PlanUnreadable(LockstepError):
    """A plan of other automation is not in a form that can be judged. Nothing is allowed by guessing."""


class CheckFailed(LockstepError):
    """Something found before the start would make it go wrong."""


class Cancelled(LockstepError):
    """Somebody, or the end of the run, stopped a check or a build before its end."""


class StateError(LockstepError):
    """The state store cannot be used."""


class NothingYet(StateError):
    """What was asked about was never run, filled, checked or saved. Nothing was done."""


class StateUnreachable(StateError):
    """The state store does not answer, or stopped answering half-way."""

    retriable = True


class StateInUse(StateError):
    """Another process runs this pipeline on the same state."""


class LeaseLost(StateError):
    """A newer epoch exists, so this worker must not write any more."""


class Disagreement(LockstepError):
    """A build of a target was filled and does not agree with its source: it does not become the live one."""


class SystemError_(LockstepError):
    """A source or a target does not do what is asked of it."""


class Unreachable(SystemError_):
    """A system does not answer, or stopped answering half-way."""

    retriable = True


class TimedOut(Unreachable):
    """A system gave up on what was asked, as it took too long. Asking for less at once may do."""


class TooMuch(SystemError_):
    """What was asked for is more than may be held in memory at once. Asking for less at once will do."""


class CannotSum(SystemError_):
    """A system does not sum by itself what it is asked to: whoever wants sums reads it instead."""


class Refused(SystemError_):
    """A system answered, and the answer is no."""


class Declined(Refused):
    """What was asked for was not done, as it would do harm, or nothing, as things stand."""


class TargetReplaced(SystemError_):
    """The target is missing, or it is another one than the ledger speaks of."""


class DataError(LockstepError):
    """One record cannot be read, derived or written. Never stops another."""


class MappingStopped(LockstepError):
    """Most keys of a mapping fail, so it stops before it does harm."""
