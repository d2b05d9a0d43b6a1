"""The sources while a build is filled: a run that goes on follows the sources, or else this process does."""

from __future__ import annotations

import time
from collections.abc import Sequence

from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.build import Captures
from lockstep.errors import Declined, StateInUse
from lockstep.state.store import Store

_LOOK_EVERY = 2.0


class FollowedSources:
    """Whoever follows the sources of these mappings, for a command. `begin`, `look` often, `stop`."""

    def __init__(self, pipeline: Pipeline, store: Store, mappings: Sequence[Mapping], command: str) -> None:
        self._command = command
        self._pipeline = pipeline
        self._store = store
        self._mappings = mappings
        self._captures: Captures | None = None
        self._looked = 0.0

    @property
    def alone(self) -> bool:
        """Whether nobody else follows the sources, and so nobody works the live build."""
        return self._captures is not None

    def begin(self) -> None:
        """Sees to it that somebody follows the sources: a run that goes on, or else we."""
        if self._captures is not None:
            if self._captures.lost is not None:
                raise self._captures.lost
            for error in self._captures.errors():
                raise error
            return
        captures = Captures(self._pipeline, self._store, self._command)
        try:
            captures.start()
            self._captures = captures
        except StateInUse:
            self._require_followed()

    def _require_followed(self) -> None:
        """The run that goes on must follow all that the build is derived from."""
        for name in {mapping.source.name for mapping in self._mappings}:
            followed = {table.name: table for table in self._store.followed(name)}
            for table in self._pipeline.tables(name):
                known = followed.get(table.name)
                if known is None or known.key != table.key or not set(table.joins) <= set(known.joins):
                    raise Declined(
                        f"the run that goes on ({self._store.lock.holder()}) does not follow {table.name} "
                        "as this code needs it",
                        "End that run first; then the sources are followed from here.",
                    )

    def look(self) -> None:
        """Looks, now and then, whether the sources are followed."""
        if time.monotonic() - self._looked > _LOOK_EVERY:
            self._looked = time.monotonic()
            self.begin()

    def stop(self, outcome: str) -> None:
        if self._captures is not None:
            self._captures.stop(outcome)
            self._store.lock.close()
