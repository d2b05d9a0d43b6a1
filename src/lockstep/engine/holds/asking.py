"""Asking: what the guard holds of one mapping, until a person has decided or nothing asks for it any more."""

from __future__ import annotations

import logging
import time

from msgspec.structs import replace

from lockstep.engine.lease import Lease
from lockstep.errors import LockstepError
from lockstep.guard.policies import ErrorShare
from lockstep.guard.policy import HeldBack
from lockstep.guard.telling import tell
from lockstep.limits import REFILL
from lockstep.state.generations import Consumer
from lockstep.state.holds import Hold
from lockstep.state.store import Store

LOOK_AGAIN = 15.0
"""Seconds after which it is looked whether the guard would still hold what it held: the source may be as it
was again."""

log = logging.getLogger("lockstep")


class Asking:
    """The holds of one consumer. They survive restarts, as they lie in the state store."""

    def __init__(self, store: Store, lease: Lease, consumer: Consumer) -> None:
        self._store = store
        self._lease = lease
        self._consumer = consumer
        self._holds = store.holds.of(consumer.id)
        self._look_again = 0.0

    @property
    def held(self) -> bool:
        """Whether something is held and nobody has allowed it."""
        return any(hold.state != "approved" for hold in self._holds)

    @property
    def refilling(self) -> Hold | None:
        """The allowance to write anew what the target has lost, where a person has given one."""
        return next((one for one in self._holds if one.state == "approved" and REFILL in one.kinds), None)

    def stands(self, policy: str) -> Hold | None:
        """What stands by a policy, as a person may have decided meanwhile."""
        self._holds = self._store.holds.of(self._consumer.id)
        return next((one for one in self._holds if one.policy == policy), None)

    @property
    def broken(self) -> Hold | None:
        """What is held because most keys fail, whatever a person has said to it."""
        return next((one for one in self._holds if one.policy == ErrorShare.name), None)

    def ask(self, held: HeldBack, after: float | None = None) -> bool:
        """A person is asked, once: whether this was the first time, or what is held is another thing now. It
        is looked `after` so many seconds whether it would still be held."""
        verdict, before = held.verdict, {hold.id: hold.policy for hold in self._holds}
        hold = self._lease.under(
            lambda epoch: self._store.holds.open(
                epoch,
                self._consumer.id,
                self._consumer.mapping,
                held.policy,
                verdict.reason,
                verdict.kinds,
                held.keys,
                verdict.expected,
                held.numbers._asdict(),
                held.beyond,
            )
        )
        self._holds = self._store.holds.of(self._consumer.id)
        self._look_again = time.monotonic() + (LOOK_AGAIN if after is None else after)
        if hold.id not in before:
            log.warning("mapping %s is %s. %s", self._consumer.mapping, held, held.remedy)
            tell(self._previewed(hold, held))
        return before.get(hold.id) != hold.policy

    def _previewed(self, hold: Hold, held: HeldBack) -> Hold:
        """With what the target says would follow, for whoever decides. That it cannot say it is said too: the
        hold stands all the same."""
        try:
            lines = tuple(held.preview())
        except LockstepError as error:
            lines = (f"what would follow cannot be said: {error}. {error.remedy}",)
        if not lines:
            return hold
        self._lease.under(lambda epoch: self._store.holds.preview(epoch, hold.id, lines))
        return replace(hold, preview=lines)

    def waits_for(self) -> str | None:
        """Why nothing may be tried now, in words; looks whether somebody has decided meanwhile."""
        if not self.held:
            return None
        self._holds = self._store.holds.of(self._consumer.id)
        if not self.held:
            return None
        hold = next(hold for hold in self._holds if hold.state != "approved")
        for_good = hold.state == "rejected" and hold.policy == ErrorShare.name
        if time.monotonic() >= self._look_again and not for_good:
            return None
        return f"hold {hold.id} ({hold.policy}): {hold.reason}"

    def settled(self, only: Hold | None = None) -> None:
        """All was worked, or `only` this: nothing asks any more for what was held, or allowed."""
        over = self._holds if only is None else [only]
        if not over:
            return
        ids = [hold.id for hold in over]
        self._lease.under(lambda epoch: self._store.holds.close(epoch, self._consumer.id, ids))
        numbers = ", ".join(map(str, ids))
        log.info("mapping %s: what the guard held is settled (hold %s)", self._consumer.mapping, numbers)
        self._holds = [hold for hold in self._holds if hold.id not in ids]
