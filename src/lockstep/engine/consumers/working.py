"""A consumer's work on one target: opened, found, recovered, then batch after batch until it is stopped."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial

from lockstep.engine.consumers.assembled import assembled
from lockstep.engine.consumers.due import hint_due
from lockstep.engine.consumers.figures import Figures
from lockstep.engine.consumers.found import find
from lockstep.engine.consumers.given import Given
from lockstep.engine.consumers.loop import Counts, Loop
from lockstep.engine.consumers.patience import Patience
from lockstep.engine.consumers.questions import Questions
from lockstep.engine.consumers.succession import Replaced
from lockstep.engine.hints.take import Taker
from lockstep.engine.holds.breaker import MostFail
from lockstep.engine.noting import MappingNotes
from lockstep.engine.pulse import Pulse
from lockstep.engine.writing.opening import door_to
from lockstep.errors import LockstepError, StateError, SystemError_
from lockstep.guard.door import Door
from lockstep.guard.policy import HeldBack
from lockstep.state.generations import Consumer
from lockstep.values import PARTITIONS

BATCH = 5_000
_REGULARLY = 5.0

_opening: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

log = logging.getLogger("lockstep")


class Working:
    """One try of a consumer at its work. `arrived`: set when hints have come. `at_rest` is called whenever
    nothing is takeable."""

    def __init__(
        self,
        given: Given,
        questions: Questions,
        patience: Patience,
        pulse: Pulse,
        notes: MappingNotes,
        figures: Figures,
        arrived: threading.Event,
        at_rest: Callable[[], None],
    ) -> None:
        self._given = given
        self._questions = questions
        self._patience = patience
        self._pulse = pulse
        self._notes = notes
        self._figures = figures
        self._arrived = arrived
        self._at_rest = at_rest
        self.taker: Taker | None = None

    def work(self) -> None:
        """Works until stopped. Raises what ends this try: TargetReplaced, Replaced, LeaseLost, a defect; and
        HeldBack or MostFail where it is to end by itself."""
        with contextlib.ExitStack() as opened:
            given, consumer = self._given, self._consumer
            door = door_to(given.mapping.target, consumer.number, given.store, given.lease, given.guard)
            opened.callback(door.close)
            loop = self._patience.patiently(lambda: self._opened(door))
            if loop is None:
                return
            opened.callback(loop.close)
            if self._patience.patiently(loop.recover) is None:
                return
            self._go_on(loop, door)
            self._end(loop)

    @property
    def _consumer(self) -> Consumer:
        return self._questions.watch.consumer

    def _opened(self, door: Door) -> Loop:
        """Opens the target, and puts the loop together that works it. Each step is safe to be done again, and
        is: where one is not answered the whole is tried anew."""
        given, questions = self._given, self._questions
        with _opening[self._consumer.target]:  # only the first mapping of a target makes it
            questions.watch.open(door, refill=questions.asking.refilling is not None)
        find(given.mapping, self._consumer, given.store, given.lease, door, claims=given.claims)
        questions.loss.refill()
        return self._loop(door)

    def _loop(self, door: Door) -> Loop:
        given, consumer, store = self._given, self._consumer, self._given.store
        self.taker = Taker(
            consumer.id,
            given.mapping.source.name,
            given.mapping.root,
            store.journal,
            store.ledger,
            given.reader,
            store.positions.of(consumer.id),
            PARTITIONS,
            BATCH,
            door.portion,
        )
        return assembled(given, consumer, self.taker, door, self._notes, self._arrived)

    def _go_on(self, loop: Loop, door: Door) -> None:
        """Batch after batch until stopped. What a system does not answer is left where the mapping is held
        meanwhile: it comes again once that is let go."""
        given, patience, asking = self._given, self._patience, self._questions.asking
        trying, watch = self._questions.trying, self._questions.watch
        seen = time.monotonic()
        while not given.stop.is_set():
            self._pulse.beat()
            if patience.held is not None:
                self._finish(loop)
            if patience.holds() or self._questions.waits_for_a_person():
                continue
            trying.tries(loop.breaker)
            try:
                worked = patience.unless_held(lambda: self._step(loop))
            except HeldBack as held:
                asking.ask(held)
                if given.once.is_set():  # it does not wait
                    raise
                continue
            except MostFail as most:
                trying.failed(most, loop.breaker)
                if given.once.is_set():
                    raise
                continue
            if worked is None:
                continue
            if watch.due:
                patience.unless_held(partial(watch.look, door))
            if time.monotonic() - seen >= _REGULARLY:
                seen = time.monotonic()
                self._succeed(loop)
                patience.unless_held(partial(self._regular, loop))
                patience.unless_held(partial(self._notes.count_stuck, self._consumer.id))
            if not worked:
                patience.unless_held(partial(self._idle, loop))

    def _step(self, loop: Loop) -> bool:
        try:
            counts = loop.step()
        except BaseException:
            self._void(loop)
            raise
        if counts is None:
            return False
        self._count(counts)
        return True

    def _succeed(self, loop: Loop) -> None:
        """Finishes what is in flight where another build is to be worked."""
        try:
            self._patience.unless_held(self._patience.give_way)
        except Replaced:
            self._finish(loop)
            raise

    def _regular(self, loop: Loop) -> None:
        """Hints what has come due: retries of stuck keys, and dates that mappings asked about. A run that is
        to end (`once`) works them first: they were due when it looked."""
        hint_due(loop, self._given.store, self._given.lease, self._consumer.id)

    def _idle(self, loop: Loop) -> None:
        """Nothing was takeable: what is due comes now; else wait for hints."""
        given, questions = self._given, self._questions
        waits_for = None if self.taker is None else self.taker.waits_for
        if waits_for is not None:
            self._pulse.waits()
        else:
            self._pulse.progress()
            given.lease.under(partial(given.store.backfills.finish, consumer=self._consumer.id))
            if not loop.breaker.probing or given.once.is_set() or not questions.trying.probe(loop):
                questions.asking.settled()
            questions.watch.refilled()
        self._regular(loop)
        self._at_rest()
        self._patience.idle(0.02 if waits_for else None)

    def _end(self, loop: Loop) -> None:
        """Settles all that was taken, and says where every partition stands."""
        self._finish(loop)
        self._notes.count_stuck(self._consumer.id, last=True)
        if self.taker is not None:
            place = partial(self._given.store.positions.place, consumer=self._consumer.id)
            positions = self.taker.positions()
            self._given.lease.under(lambda epoch: place(epoch, positions=positions))

    def _finish(self, loop: Loop) -> None:
        """Settles what is in flight, as nothing more is taken; what cannot be is found by its intent."""
        try:
            for counts in loop.drain():
                self._count(counts)
        except (SystemError_, StateError) as error:
            log.warning("mapping %s: %s. %s", self._given.mapping.name, error, error.remedy)
            self._void(loop)

    def _void(self, loop: Loop) -> None:
        try:
            loop.abandon()
        except LockstepError as error:  # the loop does it before its next step, or the next start does
            log.warning("mapping %s: %s", self._given.mapping.name, error)

    def _count(self, counts: Counts) -> None:
        self._pulse.progress()
        self._notes.failed(counts.failures)
        self._figures.count(counts)
