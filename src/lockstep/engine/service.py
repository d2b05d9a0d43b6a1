"""The service: everything that one `lockstep run` does, started and stopped together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.consumers.retention import overtake, too_much
from lockstep.engine.consumers.succession import take_over
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.sources.source import SourceFlow
from lockstep.errors import LeaseLost, LockstepError, StateError, StateInUse
from lockstep.state.events import Kind
from lockstep.state.store import Store

log = logging.getLogger("lockstep")

_TRIM_EVERY = 60.0

_JUMP = 5.0
"""Seconds between clock and stopwatch that are no longer the steady setting of a clock."""


class Service:
    """Runs a pipeline on its state store. `start`, then `wait` or `until_done`, then `stop`.

    `command`: on whose behalf, as the timeline names it."""

    def __init__(self, pipeline: Pipeline, store: Store, command: str = "run") -> None:
        self._command = command
        self._pipeline = pipeline
        self._store = store
        self._stop = threading.Event()
        self._flows: list[SourceFlow] = []
        self._run: int | None = None
        self._lease: Lease | None = None
        self._seer: threading.Thread | None = None
        self.lost: StateInUse | None = None

    def start(self) -> None:
        """Takes the lock, draws an epoch, starts a thread for each source. Raises StateInUse."""
        self._store.lock.take()
        self._lease = Lease(self._store)
        self._run = self._store.runs.begin(self._lease.epoch, self._command)
        self._ready(self._lease)
        for source in self._pipeline.sources().values():
            flow = SourceFlow(self._pipeline, source, self._store, self._lease, self._stop, self._worked())
            self._flows.append(flow)
            flow.start()
        self._seer = threading.Thread(target=self._see, name="lockstep-gauges", daemon=True)
        self._seer.start()

    def _worked(self) -> Sequence[Mapping]:
        """The mappings that this process works."""
        return list(self._pipeline.mappings.values())

    def _ready(self, lease: Lease) -> None:
        """Makes the books ready for the mappings that are worked."""
        take_over(self._store, lease)
        self._retire_removed()
        self._claim_standing()

    def stopping(self) -> None:
        """Asks every thread to finish its batch and end. Safe in a signal handler."""
        self._stop.set()

    def wait(self, seconds: float) -> bool:
        """Waits; True once stopping was asked for."""
        return self._stop.wait(seconds)

    def until_done(self) -> None:
        """Returns when everything known now is done. Raises what stopped a mapping or a source."""
        for flow in self._flows:
            flow.finish()
        while not self._stop.wait(0.02):
            done = all(flow.done for flow in self._flows)
            for flow in self._flows:
                flow.raise_error()
            if done:
                return

    def errors(self) -> list[LockstepError]:
        """What stopped which mapping."""
        return [error for flow in self._flows for error in flow.errors()]

    def all_stopped(self) -> bool:
        """Whether no mapping works any more."""
        return bool(self._flows) and all(flow.all_stopped for flow in self._flows)

    def stop(self, outcome: str = "stopped") -> None:
        """Finishes the open batches, commits, and closes everything."""
        self._stop.set()
        for flow in self._flows:
            flow.hurry()
        for flow in self._flows:
            flow.join()
        if self._seer is not None:
            self._seer.join()
        if self._run is not None:
            lost = self.lost or next((one for one in self.errors() if isinstance(one, LeaseLost)), None)
            if lost is not None:
                self._store.events.soon(Kind.RUN_LOST_LEASE, f"run {self._run}", str(lost))
            try:
                self._store.runs.see(self._run, self.gauges(), outcome)
                self._store.events.flush()
            except StateError as error:  # all that matters is committed, or comes again
                log.warning("%s. %s", error, error.remedy)

    def gauges(self) -> dict[str, Any]:
        """What the run shows of itself: sources and mappings."""
        return {
            "sources": {flow.source.name: flow.gauges() for flow in self._flows},
            "mappings": {
                consumer.mapping.name: consumer.gauges()
                for flow in self._flows
                for consumer in flow.consumers
            },
        }

    def _see(self) -> None:
        assert self._run is not None
        trimmed = time.monotonic()
        said = ""
        ahead = time.time() - time.monotonic()
        while not self._stop.wait(1.0):
            ahead = self._clock(ahead)
            try:
                self._store.lock.confirm()
                self._store.runs.see(self._run, self.gauges())
                self._store.events.flush()
                if time.monotonic() - trimmed > _TRIM_EVERY:
                    trimmed = time.monotonic()
                    for flow in self._flows:
                        for consumer in flow.consumers:
                            consumer.keep_in_bounds()
                    self._keep_others_in_bounds()
                    if self._store.trim(self._pipeline.keep):
                        passing("trimmed")
                said = ""
            except StateInUse as error:  # another run took over while the state store was out of reach
                log.error("%s. %s", error, error.remedy)
                self.lost = error
                self._stop.set()
            except LockstepError as error:
                if said != str(error):
                    log.warning("%s. %s", error, error.remedy)
                said = str(error)

    def _clock(self, before: float) -> float:
        """How far the clock is ahead of the stopwatch; says so where that has changed at once."""
        now = time.time() - time.monotonic()
        if abs(now - before) > _JUMP:
            way = "ahead, or the machine slept" if now > before else "back"
            text = f"the clock was set {abs(now - before):,.0f} s {way}"
            self._store.events.soon(Kind.CLOCK_JUMPED, "", text, numbers={"seconds": round(now - before, 1)})
        return now

    def _keep_others_in_bounds(self) -> None:
        """What stands beside the live builds waits as long as others do, not for ever."""
        assert self._lease is not None
        if self._store.build_lock.holder() is not None:
            return  # at work
        mine = {thread.consumer.id for flow in self._flows for thread in flow.consumers}
        for consumer in self._store.generations.beside():
            if consumer.id not in mine and (why := too_much(self._store, consumer)):
                overtake(self._store, self._lease, consumer, "", why)

    def _retire_removed(self) -> None:
        """Consumers of mappings that are not declared any more, or now write elsewhere, rest."""
        assert self._lease is not None
        declared = {(one.name, one.target.name) for one in self._pipeline.mappings.values()}
        for consumer in self._store.generations.consumers("running", "stopped"):
            if (consumer.mapping, consumer.target) not in declared:
                log.warning(
                    "mapping %s no longer writes %s; the records there stay",
                    consumer.mapping,
                    consumer.target,
                )
                text = f"no longer writes {consumer.target}; the records there stay"
                self._store.events.soon(Kind.MAPPING_RETIRED, consumer.mapping, text)
                self._store.generations.set_consumer(
                    self._lease.epoch, consumer.id, state="retired", reason="no longer declared"
                )

    def _claim_standing(self) -> None:
        """A mapping that must claim its keys, and did not until now, claims those it owns: before any other
        one of its target can."""
        assert self._lease is not None
        for mapping in self._pipeline.mappings.values():
            consumer = self._store.generations.consumer(mapping.name, mapping.target.name)
            claims = self._pipeline.claims(mapping)
            if consumer is None or claims == self._store.generations.claims(consumer.id):
                continue
            if claims:
                self._store.ledger.claim_standing(
                    self._lease.epoch, consumer.generation, consumer.id, mapping.default_key
                )
            self._store.generations.note_claims(self._lease.epoch, consumer.id, claims)
