"""Sends the requests of a batch: each is noted before it is sent, and settled once it has its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from lockstep.systems.zuora.asked import Asked, definite
from lockstep.systems.zuora.noted import Intent, Known, Noted
from lockstep.systems.zuora.reading import Several
from lockstep.values import Key, Status

_DONE = (Status.APPLIED, Status.UNCHANGED)


class Sending:
    """Of one batch. `deliver`: sends a request until there is a definite answer; its error, or None."""

    def __init__(
        self,
        noted: Noted,
        several: Several,
        deliver: Callable[[Intent], Exception | None],
        asked: Mapping[Key, Asked],
    ) -> None:
        self._noted, self._several, self._deliver = noted, several, deliver
        self._asked = asked

    def close(self) -> None:
        """Requests of earlier batches, or of another process, whose fate is open: nothing new is planned for
        an account before there is an answer."""
        open_ = self._noted.intents(list(self._asked))
        if not open_:
            return
        answers = self._several.each(self._deliver, list(open_.values()))
        closed: list[Key] = []
        done: dict[Key, tuple[Known, bytes | None]] = {}
        for (key, intent), error in zip(open_.items(), answers, strict=True):
            if error is not None and not definite(error):
                self._asked[key].doubt(error)
                continue
            closed.append(key)
            if error is None and intent.last:
                done[key] = (intent.known, intent.account)
        self._noted.settle(closed, done)

    def send(self, some: Mapping[Key, Asked]) -> None:
        """The next request of each: noted, then sent."""
        if not some:
            return
        made = {key: one.intend() for key, one in some.items()}
        self._noted.intend(
            {key: intent for key, (intent, _) in made.items()},
            {key: known for key, (_, known) in made.items()},
        )
        answers = self._several.each(self._deliver, [intent for intent, _ in made.values()])
        self.settle(
            [key for (key, one), error in zip(some.items(), answers, strict=True) if one.answered(error)]
        )
        if any(one.tries for one in some.values() if one.outcome is None):
            time.sleep(0.2)  # what holds an account's lock is another order, at work for a moment

    def settle(self, closed: Sequence[Key] = ()) -> None:
        """These requests had their answers; what is done by now is noted so."""
        done = {}
        for key, one in self._asked.items():
            if one.outcome is not None and one.outcome.status in _DONE and not one.settled:
                done[key] = one.done
                one.settled = True
        self._noted.settle(closed, done)
