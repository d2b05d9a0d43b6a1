"""The lease: the right to work, and the versions that come from it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from lockstep.errors import LeaseLost
from lockstep.state.settling import Scope
from lockstep.values import EPOCH_SHIFT, Version, version

T = TypeVar("T")


class Epochs(Protocol):
    """Where epochs are drawn: `state.store.Store` is one."""

    def draw_epoch(self, at_least: int = 0, held: int | None = None, scope: Scope = Scope.RUN) -> int: ...

    def require_newest(self, epoch: int) -> None:
        """Raises LeaseLost when a newer one was drawn."""
        ...


class Lease:
    """All partitions of a scope, held by this process. Its workers share it; only its newest epoch counts."""

    def __init__(self, epochs: Epochs, scope: Scope = Scope.RUN) -> None:
        self._epochs = epochs
        self._scope = scope
        self._lock = threading.Lock()
        self._epoch = epochs.draw_epoch(scope=scope)
        self._batch = 0

    @property
    def epoch(self) -> int:
        return self._epoch

    def next_version(self) -> Version:
        """The version of the next batch: taken before the source is read."""
        with self._lock:
            self._batch += 1
            return version(self._epoch, self._batch)

    def rise_above(self, highest: Version) -> None:
        """Draws a newer epoch when the target holds versions that this one would not supersede."""
        with self._lock:
            if highest >> EPOCH_SHIFT >= self._epoch:
                self._epoch = self._epochs.draw_epoch(highest >> EPOCH_SHIFT, self._epoch, self._scope)
                self._batch = 0

    def under(self, write: Callable[[int], T]) -> T:
        """Writes under the newest epoch; again, when this process has drawn a newer one meanwhile.

        Raises LeaseLost when it is another process that has.
        """
        while True:
            epoch = self._epoch
            try:
                return write(epoch)
            except LeaseLost:
                with self._lock:  # waits for a draw under way
                    if epoch == self._epoch:
                        raise

    def check(self) -> None:
        """Raises LeaseLost when another process drew a newer epoch: before what is not written under one."""
        self.under(self._epochs.require_newest)

    def redraw(self) -> None:
        """Draws a newer epoch: a write of this one was superseded.

        Raises LeaseLost when it was another process's newer epoch that superseded it: it is the owner now.
        """
        with self._lock:
            self._epoch = self._epochs.draw_epoch(held=self._epoch, scope=self._scope)
            self._batch = 0
