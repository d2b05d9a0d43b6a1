"""Sends the requests of a batch: each is noted before it is sent, and settled once it has its answer.

At no time two requests are open that change one account: one that brings a subscription over changes both.
With other writers of the process it takes turns (`turns.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping

from lockstep.systems.zuora.accounts.reading import Several
from lockstep.systems.zuora.writing.asked import Asked, definite, number_of
from lockstep.systems.zuora.writing.moving import Moves
from lockstep.systems.zuora.writing.noted import Answer, Intent, Moved, Noted, key_of, note_of
from lockstep.systems.zuora.writing.turns import Turns
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
        moves: Moves,
        turns: Turns,
    ) -> None:
        self._turns = turns
        self._noted, self._several, self._deliver = noted, several, deliver
        self._asked, self._moves = asked, moves
        self._open: dict[str, Exception] = {}
        """By account number, why nobody can say what became of a request that changes it."""

    def close(self, accounts: Iterable[Key]) -> None:
        """Requests of earlier batches, or of another process, whose fate is open: nothing new is planned for
        an account before there is an answer."""
        some = list(accounts)
        open_ = self._noted.intents(list(dict.fromkeys([*some, *self._moves.movers(some)])))
        if open_:
            with self._turns.of({number for key, one in open_.items() for number in _touched(key, one)}):
                now = self._noted.intents(list(open_))  # whose turn it was may have had the answer
                self._close({key: one for key, one in now.items() if one.key == open_[key].key})

    def _close(self, open_: Mapping[Key, Intent]) -> None:
        answers = self._several.each(self._deliver, list(open_.values()))
        closed: dict[Key, Answer] = {}
        for (key, intent), error in zip(open_.items(), answers, strict=True):
            if error is not None and not definite(error):
                self._doubt(_touched(key, intent), error)
                continue
            closed[key] = Answer(intent, error is None)
        self._noted.close(closed)
        self._moves.arrived(_moved(closed))

    def send(self, some: Mapping[Key, Asked]) -> None:
        """The next request of each that changes what no other does at the time: noted, then sent."""
        touched = {number for one in some.values() for number in one.touched}
        others = {key_of(number) for number in touched} - self._asked.keys()
        opened = self._opened(others)
        if opened:
            self.close(opened)
        with self._turns.of(touched):
            going = self._apart(some, opened | self._opened(others))
            if going:
                self._send(going)
        if any(one.tries for one in going.values() if one.outcome is None):
            time.sleep(0.2)  # what holds an account's lock is another order, at work for a moment

    def _send(self, going: Mapping[Key, Asked]) -> None:
        made = {key: one.intend() for key, one in going.items()}
        self._noted.intend(
            {key: intent for key, (intent, _) in made.items()},
            {key: known for key, (_, known) in made.items()},
        )
        answers = self._several.each(self._deliver, [intent for intent, _ in made.values()])
        closed: dict[Key, Answer] = {}
        for (key, one), (intent, _), error in zip(going.items(), made.values(), answers, strict=True):
            if one.answered(error):
                closed[key] = Answer(intent, error is None)
            elif error is not None:
                self._doubt(_touched(key, intent), error)
        self._moves.arrived(_moved(closed))
        self.settle(closed)

    def _opened(self, others: Collection[Key]) -> set[Key]:
        return set(self._noted.intents(list(others))) if others else set()

    def _apart(self, some: Mapping[Key, Asked], opened: Collection[Key]) -> dict[Key, Asked]:
        """Those that may be sent at one time. Where an account of no change of the batch is touched, its own
        open request (`opened`) comes first, and the plan, which may have been made before, is made anew."""
        going: dict[Key, Asked] = {}
        taken: set[str] = set()
        for key, one in some.items():
            shut = next((number for number in one.touched if number in self._open), None)
            if shut is not None:
                one.doubt(self._open[shut])
            elif any(key_of(number) in opened for number in one.touched):
                one.requests = []
            elif not taken & one.touched:
                taken |= one.touched
                going[key] = one
        return going

    def _doubt(self, accounts: Iterable[str], error: Exception) -> None:
        for number in accounts:
            self._open[number] = error
            one = self._asked.get(key_of(number))
            if one is not None and one.outcome is None:
                one.doubt(error)

    def settle(self, closed: Mapping[Key, Answer] = {}) -> None:
        """These requests had their answers; what is done by now is noted so, and what was sent of a change
        that is not done: else the next one would take it for an edit by others. Where all is done but what
        waits, that is all."""
        done = {}
        sent: dict[Key, bytes | None] = {}
        for key, one in self._asked.items():
            if one.outcome is not None and one.outcome.status in _DONE and not one.settled:
                done[key] = one.done
                one.settled, one.sent = True, False  # all of it was sent: nothing less is noted after it
                continue
            if one.only_waits and one.account is not None and one.before != one.account:
                one.before, one.sent = one.account, True
            if one.sent:
                sent[key] = note_of(one.before)
                one.sent = False
        self._noted.settle(closed, done, sent)


def _touched(key: Key, intent: Intent) -> frozenset[str]:
    """The numbers of the accounts that a request changes."""
    return frozenset({number_of(key), *(one.account for one in intent.moves)})


def _moved(closed: Mapping[Key, Answer]) -> list[Moved]:
    """What came from other accounts with what is done."""
    return [one for answer in closed.values() if answer.done for one in answer.intent.moves]
