"""A consumer at work: opens its generation of the target, then loops until stopped, in its own thread.

One that cannot go on stops alone and says why; its neighbours never notice.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import defaultdict
from functools import partial
from typing import Any

from lockstep.engine.asking import Asking
from lockstep.engine.assembled import assembled
from lockstep.engine.breaker import MostFail
from lockstep.engine.due import hint_due
from lockstep.engine.figures import Figures
from lockstep.engine.found import find
from lockstep.engine.lease import Lease
from lockstep.engine.loop import Counts, Loop
from lockstep.engine.loss import Loss
from lockstep.engine.noting import MappingNotes
from lockstep.engine.opening import door_to
from lockstep.engine.patience import Patience
from lockstep.engine.pulse import Pulse
from lockstep.engine.recode import Recode, Recoding, allowed
from lockstep.engine.retention import overtake, too_much
from lockstep.engine.succession import Replaced, Stays
from lockstep.engine.take import Taker
from lockstep.engine.target_watch import TargetWatch
from lockstep.engine.trying import Trying
from lockstep.errors import LeaseLost, LockstepError, StateError, SystemError_, TargetReplaced
from lockstep.guard.door import Door
from lockstep.guard.policy import HeldBack
from lockstep.limits import Guard
from lockstep.mapping import Mapping
from lockstep.ports import Reader
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import PARTITIONS, Lane

BATCH = 5_000
_REGULARLY = 5.0

_opening: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

log = logging.getLogger("lockstep")


class _Overtaken(Exception):
    """What this mapping waits with is to be replaced: see `retention`."""


class ConsumerThread(threading.Thread):
    """Works one mapping. `gauges` is what `status` shows of it. `guard`: instead of the mapping's.
    `succession`: says when another build is to be worked instead. `recoding`: finds out, before
    anything, whether the mapping means something else than the ledger says."""

    def __init__(
        self,
        mapping: Mapping,
        consumer: Consumer,
        store: Store,
        lease: Lease,
        reader: Reader,
        stop: threading.Event,
        *,
        claims: bool,
        once: threading.Event,
        guard: Guard | None = None,
        succession: Stays | None = None,
        recoding: Recoding | None = None,
    ) -> None:
        super().__init__(name=f"lockstep-{mapping.name}", daemon=True)
        self.mapping = mapping
        self.consumer = consumer
        self._store = store
        self._lease = lease
        self._reader = reader
        self._stop_event = stop
        self._claims = claims
        self._once = once
        self._guard = guard or mapping.guard
        self._wake = threading.Event()
        self._goal: int | None = None
        self.done = threading.Event()
        self.error: LockstepError | None = None
        self._figures = Figures()
        self._taker: Taker | None = None
        self._pulse = Pulse()
        self._overtaken: str | None = None
        self._succession = succession
        self._recoding = recoding
        self._recoded: Recode | None = None
        self._become(consumer)
        self._notes = MappingNotes(store, mapping.name, None if succession is not None else consumer.number)
        self._patience = Patience(
            mapping.name, stop, once, self._wake, self._pulse, self._notes, lambda: self._give_way()
        )

    @property
    def waiting(self) -> str | None:
        """What it waits for, in words."""
        return self._patience.waiting

    def _become(self, consumer: Consumer) -> None:
        """Works for this consumer from now on."""
        self.consumer = consumer
        self._taker = None
        self._asking = Asking(self._store, self._lease, consumer)
        self._watch = TargetWatch(self.mapping, consumer, self._store, self._lease)
        self._loss = Loss(self._store, self._lease, self._watch, self._asking)
        self._trying = Trying(self._store, self._lease, consumer, self._asking)

    def hold(self, why: LockstepError | None) -> None:
        """Stops the work, for a reason, until it is let go with None. What was taken is finished."""
        self._patience.hold(why)

    def wake(self) -> None:
        """Hints have come."""
        self._wake.set()

    def finish_at(self, origin: int) -> None:
        """Sets `done` once every hint that stems from journal offsets up to `origin` is settled."""
        self._goal = origin
        self._wake.set()

    @property
    def begun(self) -> bool:
        """Whether it has opened its target and takes hints."""
        return self._taker is not None

    @property
    def broken(self) -> str | None:
        """Why it tries no more for a while: most keys fail."""
        hold = self._asking.broken
        return None if hold is None else hold.reason

    def caught_up(self) -> bool:
        """Whether nothing that stems from the goal waits: another mapping may have hinted it since `done`."""
        if self.error is not None or self._taker is None:
            return True
        return all(self._taker.behind(lane, self._goal) == 0 for lane in Lane)

    def keep_in_bounds(self) -> None:
        """Lets the journal overtake this mapping where it has not been getting on for too long."""
        if self.is_alive() and not self.waiting:
            return
        why = too_much(self._store, self.consumer)
        if why is None:
            return
        if not self.is_alive():
            overtake(self._store, self._lease, self.consumer, self.mapping.root.table.name, why)
            return
        self._overtaken = why  # its own thread does it, between two tries
        self._wake.set()

    def run(self) -> None:
        lost: TargetReplaced | None = None
        try:
            while True:
                try:
                    if lost is not None and not self._waits_for_its_target(lost):
                        break
                    lost = None
                    if not self._knows_its_code():
                        break
                    self._work()
                    break
                except TargetReplaced as error:
                    if self._succession is None:  # whoever fills a build beside decides what becomes of it
                        raise
                    if self._once.is_set() or not self._watch.ours:
                        if not self._is_taken_care_of():
                            self._loss.ask(error)
                        raise
                    self._taker, lost = None, error
                except Replaced as replaced:
                    log.warning("mapping %s: %s, and is followed from now on", self.mapping.name, replaced)
                    if self._recoded is not None:  # deployed: what is followed now is by this code
                        self._asking.settled()
                    lost = self._recoded = self._recoding = None
                    self._become(replaced.heir)
                except _Overtaken as overtaken:
                    self._taker, self._overtaken = None, None
                    table = self.mapping.root.table.name
                    overtake(self._store, self._lease, self.consumer, table, str(overtaken))
        except LockstepError as error:
            self._stopped(error)
        except BaseException as error:  # a panic of a library in Rust is no Exception; nor is sys.exit()
            log.exception("mapping %s stopped by a defect of Lockstep", self.mapping.name)
            self._stopped(LockstepError.defect(error))
        finally:
            self.done.set()  # before what may fail: whoever waits for it would wait for ever
            self._notes.close()
            self._reader.close()

    def _stopped(self, error: LockstepError) -> None:
        self.error = error
        log.error("mapping %s stopped: %s. %s", self.mapping.name, error, error.remedy)
        reason = f"{error}. {error.remedy}".rstrip(". ") + "."
        if isinstance(error, LeaseLost):
            return  # the books are another's now, who works this mapping
        self._notes.stopped(error)
        with contextlib.suppress(LockstepError):  # the state store itself may be what failed
            self._say("stopped", reason)

    def _say(self, state: str, reason: str | None) -> None:
        """What others see of this mapping's state; not of one that another run works by now."""
        said = partial(self._store.generations.set_consumer, consumer=self.consumer.id)
        self._lease.under(lambda epoch: said(epoch, state=state, reason=reason))

    def _work(self) -> None:
        with contextlib.ExitStack() as opened:
            door = door_to(self.mapping.target, self.consumer.number, self._store, self._lease, self._guard)
            opened.callback(door.close)
            if self._patience.patiently(lambda: self._open_alone(door)) is None:
                return
            self._patience.patiently(
                partial(
                    find, self.mapping, self.consumer, self._store, self._lease, door, claims=self._claims
                )
            )
            self._loss.refill()
            loop = self._patience.patiently(lambda: self._loop(door))
            if loop is None:
                return
            opened.callback(loop.close)
            if self._patience.patiently(loop.recover) is None:
                return
            self._patience.patiently(lambda: self._say("running", None))
            seen = time.monotonic()
            while not self._stop_event.is_set():
                self._pulse.beat()
                if self._patience.held is not None:
                    self._finish(loop)
                if self._patience.holds():
                    self._pulse.waits()
                    continue
                if self._waits_for_a_person():
                    self._pulse.waits()
                    continue
                self._trying.tries(loop.breaker)
                try:
                    worked = self._patience.patiently(lambda: self._step(loop))
                except HeldBack as held:
                    self._asking.ask(held)
                    if self._once.is_set():  # it does not wait
                        raise
                    continue
                except MostFail as most:
                    self._trying.failed(most, loop.breaker)
                    if self._once.is_set():
                        raise
                    continue
                if worked is None:
                    break
                if self._watch.due:
                    self._patience.patiently(partial(self._watch.look, door))
                if time.monotonic() - seen >= _REGULARLY:
                    seen = time.monotonic()
                    self._succeed(loop)
                    self._patience.patiently(partial(self._regular, loop))
                    self._patience.patiently(partial(self._notes.count_stuck, self.consumer.id))
                if not worked:
                    self._patience.patiently(partial(self._idle, loop))
            self._finish(loop)
            self._notes.count_stuck(self.consumer.id, last=True)
            positions = self._require_taker().positions()
            self._lease.under(lambda epoch: self._store.ledger.place(epoch, self.consumer.id, positions))

    def _succeed(self, loop: Loop) -> None:
        """Finishes what is in flight where another build is to be worked."""
        try:
            self._patience.patiently(self._give_way)
        except Replaced:
            self._finish(loop)
            raise

    def _finish(self, loop: Loop) -> None:
        """Settles what is in flight, as nothing more is taken; what cannot be is found by its intent."""
        try:
            for counts in loop.drain():
                self._count(counts)
        except (SystemError_, StateError) as error:
            log.warning("mapping %s: %s. %s", self.mapping.name, error, error.remedy)
            self._void(loop)

    def _waits_for_a_person(self) -> bool:
        """Whether the guard holds what is next; then this waits a little, and the source is followed."""
        why = self._asking.waits_for()
        if why is None:
            return False
        self._give_way()
        self._patience.pause(why)
        return True

    def _knows_its_code(self) -> bool:
        """Whether what the mapping means is settled, and it may go on. False when stopped."""
        if self._recoding is not None:
            recoding = self._recoding
            found = self._patience.patiently(lambda: (recoding.find(self._reader),))
            if found is None:
                return False
            if found:  # else it is held by now, and cannot be read as it is
                (self._recoded,) = found
            self._recoding = None
        return self._recoded is None or self._may_recode(self._recoded)

    def _may_recode(self, recoded: Recode) -> bool:
        """Waits until a person has allowed that all is derived again by other code. False when stopped."""
        while not self._stop_event.is_set():
            self._pulse.beat()
            if allowed(self._store, self._lease, self._asking, self.consumer, recoded):
                self._recoded = self._patience.waiting = None
                return True
            if self._once.is_set() and recoded.held is not None:
                raise recoded.held
            self._pulse.waits()
            self._give_way()
            self._patience.pause(str(recoded.held))
        return False

    def _waits_for_its_target(self, lost: TargetReplaced) -> bool:
        """Waits until it is worth to look at the target again: it may be itself again, or somebody has
        allowed to fill it. False when stopped meanwhile."""
        if not self._is_taken_care_of():
            self._loss.ask(lost)
        while not self._stop_event.is_set():
            self._pulse.waits()
            if not self._waits_for_a_person():
                if not self._is_taken_care_of():
                    return True
                self._give_way()  # it goes on with the other, once nobody else works that
                self._patience.pause(f"another build takes its place: {lost}")
        return False

    def _is_taken_care_of(self) -> bool:
        """Whether another build takes the place of this one, or has: nobody needs to be asked about it."""
        one = self._succession  # a restore that ends between the two questions has replaced it
        return one is not None and (one.restoring(self.consumer) or one.replaced(self.consumer))

    def _give_way(self) -> None:
        """Begins afresh once the journal is to overtake what this waits with."""
        if self._overtaken is not None:
            raise _Overtaken(self._overtaken)
        if self._succession is not None:
            self._succession.look(self.consumer)

    def _open_alone(self, door: Door) -> Consumer:
        """Mappings of one target open it one after another: only the first of them makes it."""
        with _opening[self.consumer.target]:
            self.consumer = self._watch.open(door, refill=self._asking.refilling is not None)
        return self.consumer

    def _loop(self, door: Door) -> Loop:
        self._taker = Taker(
            self.consumer.id,
            self.mapping.source.name,
            self.mapping.root,
            self._store.journal,
            self._store.ledger,
            self._reader,
            self._store.ledger.positions(self.consumer.id),
            PARTITIONS,
            BATCH,
        )
        return assembled(
            self.mapping,
            self.consumer,
            self._store,
            self._lease,
            self._reader,
            self._taker,
            door,
            self._notes,
            claims=self._claims,
            arrived=self._wake,
        )

    def _require_taker(self) -> Taker:
        assert self._taker is not None
        return self._taker

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

    def _void(self, loop: Loop) -> None:
        try:
            loop.abandon()
        except LockstepError as error:  # the loop does it before its next step, or the next start does
            log.warning("mapping %s: %s", self.mapping.name, error)

    def _idle(self, loop: Loop) -> None:
        """Nothing was takeable: what is due comes now; else wait for hints."""
        taker = self._require_taker()
        if taker.waits_for is not None:
            self._pulse.waits()
        else:
            self._pulse.progress()
            self._lease.under(partial(self._store.backfills.finish, consumer=self.consumer.id))
            if not loop.breaker.probing or self._once.is_set() or not self._trying.probe(loop):
                self._asking.settled()
            self._watch.refilled()
        self._regular(loop)
        if self._goal is not None and self.caught_up():
            self.done.set()
        self._patience.idle(0.02 if taker.waits_for else None)

    def _regular(self, loop: Loop) -> None:
        """Hints what has come due: retries of stuck keys, and dates that mappings asked about. A run that is
        to end (`once`) works them first: they were due when it looked."""
        hint_due(loop, self._store, self._lease, self.consumer.id)

    def _count(self, counts: Counts) -> None:
        self._pulse.progress()
        self._notes.failed(counts.failures)
        self._figures.count(counts)

    def _state(self) -> str:
        if self.error:
            return "stopped"
        if self._asking.held:
            return "held"
        return "waiting" if self.waiting else "running"

    def gauges(self) -> dict[str, Any]:
        """What `status` shows of this mapping."""
        taker = self._taker
        return {
            "state": self._state(),
            "reason": str(self.error or self.waiting or (taker.waits_for if taker else None) or ""),
            "generation": self.consumer.number,
            **self._pulse.gauges(),
            **self._figures.gauges(),
        }
