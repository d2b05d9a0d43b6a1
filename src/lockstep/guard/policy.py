"""What a policy is given, and what it answers. Values only: a policy is a pure function of numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from lockstep.errors import LockstepError
from lockstep.limits import Guard, Numbers
from lockstep.values import Key


class Verdict(NamedTuple):
    """Go, or hold, with a reason that a person understands.

    `kinds`: of changes that are held: "remove", "update", "refill". `expected`: how many would follow if
    they went.
    """

    go: bool
    reason: str = ""
    kinds: tuple[str, ...] = ()
    expected: int = 0


GO = Verdict(True)


class Policy(Protocol):
    """Judges a batch by its numbers alone, so that it can be tested and explained."""

    name: str

    def judge(self, numbers: Numbers, guard: Guard) -> Verdict: ...


class HeldBack(LockstepError):
    """A policy holds a batch; nothing of it was written. `keys`: some of the source keys it is about;
    `beyond`: the approvals that it does not fit; `preview` asks what would follow of some of it, in words."""

    beyond: tuple[int, ...] = ()
    preview: Callable[[], Sequence[str]] = staticmethod(tuple)

    def __init__(
        self, policy: str, verdict: Verdict, numbers: Numbers | None = None, keys: tuple[Key, ...] = ()
    ) -> None:
        super().__init__(
            f"held by the guard ({policy}): {verdict.reason}",
            "Nothing of it was written. See `lockstep holds`, then `lockstep approve` or `reject` it.",
        )
        self.policy = policy
        self.verdict = verdict
        self.numbers = numbers or Numbers()
        self.keys = keys
