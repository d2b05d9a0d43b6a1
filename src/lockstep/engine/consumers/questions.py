"""What one consumer asks a person, and how its thread waits for the answer: whether what the guard holds may
be written, whether other code may derive all again, what is to become of a target that was lost.
"""

from __future__ import annotations

from lockstep.engine.consumers.given import Given
from lockstep.engine.consumers.patience import Patience
from lockstep.engine.consumers.trying import Trying
from lockstep.engine.holds.asking import Asking
from lockstep.engine.holds.loss import Loss
from lockstep.engine.holds.recode import Recode, Recoding, allowed
from lockstep.engine.holds.target_watch import TargetWatch
from lockstep.engine.pulse import Pulse
from lockstep.errors import TargetReplaced
from lockstep.state.generations import Consumer


class Questions:
    """The questions of one consumer. `recoding`: finds out, before anything, whether the mapping means
    something else than the ledger says."""

    def __init__(
        self,
        given: Given,
        consumer: Consumer,
        patience: Patience,
        pulse: Pulse,
        recoding: Recoding | None = None,
    ) -> None:
        self._given = given
        self._patience = patience
        self._pulse = pulse
        self._recoding = recoding
        self._recoded: Recode | None = None
        self.asking = Asking(given.store, given.lease, consumer)
        self.watch = TargetWatch(given.mapping, consumer, given.store, given.lease)
        self.loss = Loss(given.store, given.lease, self.watch, self.asking)
        self.trying = Trying(given.store, given.lease, consumer, self.asking)

    def replaced(self) -> None:
        """Another build is followed from now on, by the code that a person was asked about."""
        if self._recoded is not None:
            self.asking.settled()

    def waits_for_a_person(self) -> bool:
        """Whether the guard holds what is next; then this waits a little, and the source is followed."""
        why = self.asking.waits_for()
        if why is None:
            return False
        self._patience.give_way()
        self._patience.pause(why)
        return True

    def code_is_settled(self) -> bool:
        """Waits until what the mapping means is what the ledger says, or may be. False when stopped."""
        if self._recoding is not None:
            recoding = self._recoding
            found = self._patience.unless_held(lambda: (recoding.find(self._given.reader),))
            if self._given.stop.is_set() and not found:
                return False
            if found:  # else it is held by now, and cannot be read as it is
                (self._recoded,) = found
            self._recoding = None
        return self._recoded is None or self._may_recode(self._recoded)

    def _may_recode(self, recoded: Recode) -> bool:
        """Waits until a person has allowed that all is derived again by other code. False when stopped."""
        given = self._given
        while not given.stop.is_set():
            self._pulse.beat()
            if allowed(given.store, given.lease, self.asking, self.watch.consumer, recoded):
                self._recoded = self._patience.waiting = None
                return True
            if given.once.is_set() and recoded.held is not None:
                raise recoded.held
            self._patience.give_way()
            self._patience.pause(str(recoded.held))
        return False

    def ask_of_loss(self, lost: TargetReplaced) -> None:
        """A person is asked of a lost target, unless another build takes its place anyway."""
        if not self._is_taken_care_of():
            self.loss.ask(lost)

    def target_is_worth_a_look(self, lost: TargetReplaced) -> bool:
        """Waits until the target may be itself again, or somebody has allowed to fill it. False when stopped
        meanwhile."""
        self.ask_of_loss(lost)
        while not self._given.stop.is_set():
            if not self.waits_for_a_person():
                if not self._is_taken_care_of():
                    return True
                self._patience.give_way()  # it goes on with the other, once nobody else works that
                self._patience.pause(f"another build takes its place: {lost}")
        return False

    def _is_taken_care_of(self) -> bool:
        """Whether another build takes the place of this one, or has."""
        one = self._given.succession  # a restore that ends between the two questions has replaced it
        consumer = self.watch.consumer
        return one is not None and (one.restoring(consumer) or one.replaced(consumer))
