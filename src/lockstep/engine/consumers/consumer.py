"""A consumer's thread: it works one mapping until it is stopped, and begins its work afresh where the target
was lost, another build is to be worked, or the journal overtook it.

One that cannot go on stops alone and says why; its neighbours never notice.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from functools import partial
from typing import Any

from lockstep.declaration.mapping import Mapping
from lockstep.engine.consumers.figures import Figures
from lockstep.engine.consumers.given import Given
from lockstep.engine.consumers.patience import Patience
from lockstep.engine.consumers.questions import Questions
from lockstep.engine.consumers.retention import overtake, too_much
from lockstep.engine.consumers.succession import Replaced
from lockstep.engine.consumers.working import Working
from lockstep.engine.hints.take import Taker
from lockstep.engine.holds.recode import Recoding
from lockstep.engine.noting import MappingNotes
from lockstep.engine.pulse import Pulse
from lockstep.errors import LeaseLost, LockstepError, TargetReplaced
from lockstep.state.generations import Consumer
from lockstep.values import Lane

log = logging.getLogger("lockstep")


class _Overtaken(Exception):
    """What this mapping waits with is to be replaced: see `retention`."""


class ConsumerThread(threading.Thread):
    """Works one mapping. `gauges` is what `status` shows of it. `recoding`: finds out, before anything,
    whether the mapping means something else than the ledger says."""

    def __init__(self, given: Given, consumer: Consumer, recoding: Recoding | None = None) -> None:
        super().__init__(name=f"lockstep-{given.mapping.name}", daemon=True)
        self._given = given
        self._wake = threading.Event()
        self._goal: int | None = None
        self.done = threading.Event()
        self.error: LockstepError | None = None
        self._figures = Figures()
        self._pulse = Pulse()
        self._overtaken: str | None = None
        beside = consumer.number if given.succession is None else None
        self._notes = MappingNotes(given.store, given.mapping.name, beside)
        self._patience = Patience(
            *(given.mapping.name, given.stop, given.once, self._wake),
            *(self._pulse, self._notes, self._give_way),
        )
        self._questions = Questions(given, consumer, self._patience, self._pulse, recoding)
        self._working: Working | None = None

    @property
    def mapping(self) -> Mapping:
        return self._given.mapping

    @property
    def consumer(self) -> Consumer:
        """Whom it works: another one, once it follows a build that took its place."""
        return self._questions.watch.consumer

    @property
    def waiting(self) -> str | None:
        """What it waits for, in words."""
        return self._patience.waiting

    @property
    def _taker(self) -> Taker | None:
        working = self._working  # other threads ask too
        return None if working is None else working.taker

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
        hold = self._questions.asking.broken
        return None if hold is None else hold.reason

    def caught_up(self) -> bool:
        """Whether nothing that stems from the goal waits: another mapping may have hinted it since `done`."""
        taker = self._taker
        if self.error is not None or taker is None:
            return True
        return all(taker.behind(lane, self._goal) == 0 for lane in Lane)

    def keep_in_bounds(self) -> None:
        """Lets the journal overtake this mapping where it has not been getting on for too long."""
        if self.is_alive() and not self.waiting:
            return
        why = too_much(self._given.store, self.consumer)
        if why is None:
            return
        if not self.is_alive():
            self._overtake(why)
            return
        self._overtaken = why  # its own thread does it, between two tries
        self._wake.set()

    def run(self) -> None:
        try:
            self._work_and_begin_afresh()
        except LockstepError as error:
            self._stopped(error)
        except BaseException as error:  # a panic of a library in Rust is no Exception; nor is sys.exit()
            log.exception("mapping %s stopped by a defect of Lockstep", self.mapping.name)
            self._stopped(LockstepError.defect(error))
        finally:
            self.done.set()  # before what may fail: whoever waits for it would wait for ever
            self._notes.close()
            self._given.reader.close()

    def _work_and_begin_afresh(self) -> None:
        """Returns once stopped."""
        lost: TargetReplaced | None = None
        while True:
            try:
                if self.consumer.state != "running":
                    self._patience.patiently(self._say_running)
                if lost is not None and not self._questions.target_is_worth_a_look(lost):
                    return
                lost = None
                if not self._questions.code_is_settled():
                    return
                self._work()
                return
            except TargetReplaced as error:
                if self._given.succession is None:  # whoever fills a build beside decides what becomes of it
                    raise
                if self._given.once.is_set() or not self._questions.watch.ours:
                    self._questions.ask_of_loss(error)
                    raise
                lost = error
            except Replaced as replaced:
                log.warning("mapping %s: %s, and is followed from now on", self.mapping.name, replaced)
                self._questions.replaced()
                self._questions = Questions(self._given, replaced.heir, self._patience, self._pulse)
                lost = None
            except _Overtaken as overtaken:
                self._overtaken = None
                self._overtake(str(overtaken))
            self._working = None

    @property
    def derived(self) -> int:
        """Keys that it has derived and settled since its start."""
        return self._figures.keys

    def _say_running(self) -> None:
        """What stopped it in another run is over, though this one may have to wait for the same."""
        said = partial(self._given.store.generations.set_consumer, consumer=self.consumer.id)
        self._given.lease.under(lambda epoch: said(epoch, state="running", reason=None))

    def _work(self) -> None:
        self._working = Working(
            *(self._given, self._questions, self._patience, self._pulse),
            *(self._notes, self._figures, self._wake, self._at_rest),
        )
        self._working.work()

    def _at_rest(self) -> None:
        """Nothing was takeable."""
        if self._goal is not None and self.caught_up():
            self.done.set()

    def _give_way(self) -> None:
        """Begins afresh where the journal is to overtake what this waits with, or another build to be
        worked: raises so. Asked in every wait."""
        if self._overtaken is not None:
            raise _Overtaken(self._overtaken)
        if self._given.succession is not None:
            self._given.succession.look(self.consumer)

    def _overtake(self, why: str) -> None:
        overtake(self._given.store, self._given.lease, self.consumer, self.mapping.root.table.name, why)

    def _stopped(self, error: LockstepError) -> None:
        self.error = error
        log.error("mapping %s stopped: %s. %s", self.mapping.name, error, error.remedy)
        reason = f"{error}. {error.remedy}".rstrip(". ") + "."
        if isinstance(error, LeaseLost):
            return  # the books are another's now, who works this mapping
        self._notes.stopped(error)
        said = partial(self._given.store.generations.set_consumer, consumer=self.consumer.id)
        with contextlib.suppress(LockstepError):  # the state store itself may be what failed
            self._given.lease.under(lambda epoch: said(epoch, state="stopped", reason=reason))

    def _state(self) -> str:
        if self.error:
            return "stopped"
        if self._questions.asking.held:
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
