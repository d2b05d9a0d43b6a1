"""Pointing: a build becomes the live one, and its readers see it; each step is safe to repeat."""

from __future__ import annotations

import contextlib
from functools import partial

from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.errors import Declined, TargetReplaced
from lockstep.ports import Generational, Target
from lockstep.state.builds import Build
from lockstep.state.events import Kind
from lockstep.state.store import Store


class Vanished(Declined):
    """A build that was to be made live is not there any more."""


class Pointing:
    """Where the readers of one target are pointed. The books say first which build is live."""

    def __init__(self, store: Store, lease: Lease, target: Target) -> None:
        self._store = store
        self._lease = lease
        self._target = target

    def make_live(self, build: Build, *, keep: bool) -> None:
        """The build becomes the live one, and readers see it. Each step is safe to repeat. Raises Refused,
        with the books as they were, where readers see what is not to be taken from them."""
        if isinstance(self._target, Generational):
            self._target.assert_pointable(build.number)
        self._lease.under(lambda epoch: self._store.builds.make_live(epoch, build, keep=keep))
        passing("build-live")
        self.point()

    def finish(self) -> None:
        """Does what an operation that was broken off had still to do: readers are pointed to the live build,
        or it is taken back, as it is not there any more."""
        with contextlib.suppress(Vanished):
            self.point()

    def point(self) -> None:
        """Points readers to the live build, where they are not yet; removes what nobody can come back to.
        Raises Vanished where it is not there any more: readers see what they saw, and so say the books."""
        store, target = self._store, self._target
        number = store.builds.pointing(target.name)
        if number is not None:
            if isinstance(target, Generational):
                try:
                    target.point(number)
                except TargetReplaced as error:
                    raise self._taken_back(target, number) from error
                passing("build-pointed")
            store.builds.pointed(target.name)
        for build in store.builds.of(target.name, "dropping"):
            self.remove(build)

    def _taken_back(self, target: Generational, number: int) -> Vanished:
        """The error for a build that vanished before readers were pointed to it; the note of that is gone."""
        name, searched = self._target.name, target.searched()
        back = self._lease.under(partial(self._store.builds.take_back, target=name, searched=searched))
        stands = (
            f"Generation {searched} is live as before, and readers see it."
            if back
            else f"`lockstep restore {name}` brings back the newest saved state."
        )
        gone = Vanished(
            f"generation {number} of {name} was removed before readers were pointed to it: it is not live",
            stands,
        )
        self._store.events.note(Kind.TARGET_GONE, name, f"{gone}. {gone.remedy}")
        return gone

    def remove(self, build: Build) -> None:
        """Removes a build for good, where its target can."""
        if isinstance(self._target, Generational):
            self._target.remove(build.number, build.marker)
        self._lease.under(lambda epoch: self._store.builds.retire(epoch, build))
