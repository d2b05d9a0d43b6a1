"""One build of a target at work beside the live one: all mappings that write the target, in their threads.

Whoever follows the sources meanwhile appends the hints that these read: the run that goes on, or, where none
does, the `Captures` of this process.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.consumers.consumer import ConsumerThread
from lockstep.engine.consumers.given import Given
from lockstep.engine.consumers.succession import Stays
from lockstep.engine.lease import Lease
from lockstep.engine.service import Service
from lockstep.errors import Disagreement, LockstepError
from lockstep.limits import Guard
from lockstep.ports import Generational
from lockstep.state.builds import Build
from lockstep.state.store import Store

_UNSEARCHED = Guard(free=1 << 62, most=1 << 62)
"""Nobody searches a build that is being filled, and it must be shown to agree before anybody does: only a
source that reads empty is to be held there."""


def _unsearched(build: Build, mapping: Mapping) -> bool:
    """Whether nobody searches a build: a target with one build only is filled where it is searched."""
    return build.state == "scratch" or (
        build.state == "building" and isinstance(mapping.target, Generational)
    )


class BuildThreads:
    """The threads of one build. `start`, then `catch_up` as often as it is to, then `stop`. `unasked`: the
    guard asks nobody about removals."""

    def __init__(
        self, pipeline: Pipeline, store: Store, lease: Lease, build: Build, *, unasked: bool = False
    ) -> None:
        self._store = store
        self._stop = threading.Event()
        consumers = {one.mapping: one for one in store.generations.following(build.id)}
        self._threads = [
            ConsumerThread(
                Given(
                    mapping=mapping,
                    store=store,
                    lease=lease,
                    reader=mapping.source.reader(),
                    stop=self._stop,
                    once=threading.Event(),
                    claims=pipeline.claims(mapping),
                    guard=_UNSEARCHED if unasked or _unsearched(build, mapping) else mapping.guard,
                    succession=Stays(mapping, store) if build.state == "live" else None,
                ),
                consumers[mapping.name],
            )
            for mapping in pipeline.mappings.values()
            if mapping.target.name == build.target
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def catch_up(self) -> None:
        """Sets the goal of `caught_up`: what is in the journal now, and what stems from it."""
        end = self._store.journal.end()
        for thread in self._threads:
            thread.finish_at(end)

    def caught_up(self) -> bool:
        """Whether the goal is reached. Raises what stopped a mapping."""
        for thread in self._threads:
            if thread.error is not None:
                raise thread.error
            if thread.broken is not None:
                raise Disagreement(
                    f"mapping {thread.mapping.name}: {thread.broken}",
                    "Nothing was made live. `lockstep stuck` says why they fail; mend it, then ask again.",
                )
            if not thread.is_alive():
                raise LockstepError(
                    f"mapping {thread.mapping.name} ended by itself", "Please report it with the log."
                )
        return all(one.begun and one.caught_up() for one in self._threads)

    @property
    def derived(self) -> int:
        """Keys that were derived and settled since the start, by all mappings."""
        return sum(one.derived for one in self._threads)

    def waits(self) -> list[str]:
        """What the mappings wait for, in words."""
        return [f"{one.mapping.name}: {one.waiting}" for one in self._threads if one.waiting]

    def stop(self) -> None:
        """Finishes the open batches and commits."""
        self._stop.set()
        for thread in self._threads:
            thread.wake()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()


class Captures(Service):
    """Follows the sources and works no mapping: for a process that works a build while no run goes on."""

    def _worked(self) -> Sequence[Mapping]:
        return ()

    def _ready(self, lease: Lease) -> None:
        """The books of the live builds are another's."""
