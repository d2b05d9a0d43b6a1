"""How a mapping's thread waits: for systems that do not answer, while it is held, for what comes next."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from lockstep.engine.noting import MappingNotes
from lockstep.engine.pulse import Pulse
from lockstep.errors import LeaseLost, LockstepError, StateError, StateInUse, SystemError_, TargetReplaced

_IDLE = 0.2
_LONGEST_WAIT = 15.0
_PATIENCE = 10.0

T = TypeVar("T")

log = logging.getLogger("lockstep")


class Patience:
    """Waits, and says for what (`waiting`). `held`: why it is held by others. `give_way` is asked in every
    wait, and raises where another build is to be worked, or the journal overtakes what this waits with."""

    def __init__(
        self,
        name: str,
        stop: threading.Event,
        once: threading.Event,
        wake: threading.Event,
        pulse: Pulse,
        notes: MappingNotes,
        give_way: Callable[[], None],
    ) -> None:
        self._name, self._stop, self._once, self._wake = name, stop, once, wake
        self._pulse, self._notes, self.give_way = pulse, notes, give_way
        self.waiting: str | None = None
        self.held: LockstepError | None = None

    def hold(self, why: LockstepError | None) -> None:
        """Holds it for a reason, until it is let go with None."""
        if why is not None and str(why) != str(self.held):
            log.warning("mapping %s is held: %s. %s", self._name, why, why.remedy)
        self._notes.held(why)
        self.held = why
        self._wake.set()

    def holds(self) -> bool:
        """Whether it is held; then this waits a little. A run that is to end by itself does not wait."""
        held = self.held
        if held is None:
            return False
        self.give_way()
        if self._once.is_set():
            raise held
        self.pause(f"{held}. {held.remedy}")
        return True

    def pause(self, why: str) -> None:
        """Waits a little, for a reason."""
        self._pulse.waits()
        self.waiting = why
        self.idle()

    def idle(self, seconds: float | None = None) -> None:
        """Waits a little, or until it is woken."""
        self._wake.wait(_IDLE if seconds is None else seconds)
        self._wake.clear()

    def patiently(self, action: Callable[[], T]) -> T | None:
        """Does it, again and again while a system does not answer, held or not; None when stopped meanwhile.

        A run that is to end by itself (`once`) does not wait for ever.
        """
        return self._tried(action, lambda: False)

    def unless_held(self, action: Callable[[], T]) -> T | None:
        """The same, and None too where the mapping is held while a system does not answer: then it is not for
        now. For what comes again by itself."""
        return self._tried(action, lambda: self.held is not None and not self._once.is_set())

    def _tried(self, action: Callable[[], T], is_left: Callable[[], bool]) -> T | None:
        wait = 0.1
        begun = time.monotonic()
        while True:
            try:
                answer = action()
                self.waiting = None
                self._notes.well()
                return answer
            except (TargetReplaced, StateInUse, LeaseLost):
                raise
            except (SystemError_, StateError) as error:
                waited = time.monotonic() - begun
                if self._once.is_set() and (not error.retriable or waited > _PATIENCE):
                    raise
                if is_left():
                    return None
                if self.waiting is None:
                    log.warning("mapping %s waits: %s. %s", self._name, error, error.remedy)
                self.waiting = str(error)
                self._notes.waits(error)
                self._pulse.waits()
                self.give_way()
                wait = min(wait * 2, _LONGEST_WAIT)
                if self._stop.wait(wait):
                    return None
