"""One source at work: its capture in a thread of its own, and the consumers that read it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.consumers.beginning import consumer_of
from lockstep.engine.consumers.consumer import ConsumerThread
from lockstep.engine.consumers.given import Given
from lockstep.engine.consumers.succession import Succession
from lockstep.engine.holds.recode import Recoding
from lockstep.engine.lease import Lease
from lockstep.engine.noting import QUIET, Fault
from lockstep.engine.points import passing
from lockstep.engine.recipe import recipe
from lockstep.engine.sources.capture import Capturer
from lockstep.engine.sources.spans import FullSpans, Spanned
from lockstep.errors import LeaseLost, LockstepError, StateError, SystemError_
from lockstep.ports import Capture, Source
from lockstep.state.events import Kind
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Trust

log = logging.getLogger("lockstep")

_LONGEST_WAIT = 15.0


class SourceFlow(threading.Thread):
    """One source: its capture, and the consumers of `mappings`, which read it. What else reads it is only
    hinted where the log is not enough: another process works that."""

    def __init__(
        self,
        pipeline: Pipeline,
        source: Source,
        store: Store,
        lease: Lease,
        stop: threading.Event,
        mappings: Sequence[Mapping],
    ) -> None:
        super().__init__(name=f"lockstep-{source.name}", daemon=True)
        self.source = source
        self.consumers: list[ConsumerThread] = []
        self._pipeline = pipeline
        self._store = store
        self._lease = lease
        self._stop_event = stop
        self._mappings = [one for one in mappings if one.source.name == source.name]
        self._capturer = Capturer(
            *(source.name, source.feed(), pipeline.tables(source.name), store.journal),
            on_append=self._wake,
            still_ours=self._followed,
        )
        said = (Kind.SOURCE_WAITS, Kind.SOURCE_GOES_ON, source.name)
        self._waits = Fault(store.events, *said, QUIET)
        self._spans = FullSpans(source, store, lease)
        self._hole: str | None = None
        self._once = threading.Event()
        self._goal: str | None = None
        self._origin: int | None = None
        self._error: LockstepError | None = None
        self._waiting: str | None = None
        self._begun: tuple[str, tuple[str, ...], str] | None = None

    def finish(self) -> None:
        """Be `done` once everything the source holds now has been worked."""
        self._once.set()

    def hurry(self) -> None:
        """Stopping was asked for: nobody waits any more for what may come."""
        self._capturer.wake()
        self._wake()

    @property
    def done(self) -> bool:
        self._advance()
        return (
            self._origin is not None
            and all(one.done.is_set() for one in self.consumers)
            and all(one.caught_up() for one in self.consumers)
        )

    @property
    def all_stopped(self) -> bool:
        return self._error is not None or (
            bool(self.consumers) and all(not one.is_alive() for one in self.consumers)
        )

    def errors(self) -> list[LockstepError]:
        found = [one.error for one in self.consumers if one.error is not None]
        return [*found, self._error] if self._error is not None else found

    def raise_error(self) -> None:
        """For `--once`: nobody waits for a system that does not answer."""
        if self._error is not None:
            raise self._error
        if self.done:
            for one in self.consumers:
                if one.error is not None:
                    raise one.error

    def run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # a panic of a library in Rust is no Exception
            log.exception("source %s stopped by a defect of Lockstep", self.source.name)
            self._error = LockstepError.defect(error)
            self._stopped(self._error)
        self._waits.close()
        for one in self.consumers:
            one.wake()
            one.join()
        self._capturer.close()

    def _work(self) -> None:
        wait = 0.1
        while not self._stop_event.is_set():
            try:
                capture = self._capturer.prepare()
                self._begin(capture)
                self._capturer.follow(capture, self._stop_event)
            except LeaseLost as error:
                self._error = error
                log.error("source %s stopped: %s. %s", self.source.name, error, error.remedy)
                break
            except (SystemError_, StateError) as error:
                if self._capturer.alive:
                    wait = 0.1
                self._capturer.alive = False
                self._waits.ill(str(error))
                if self._once.is_set() and not self.consumers:
                    self._error = error
                    break
                if self._waiting != str(error):
                    log.warning("source %s: %s. %s", self.source.name, error, error.remedy)
                self._waiting = str(error)
                self._capturer.pulse.waits()
                self._capturer.look()
                wait = min(wait * 2, _LONGEST_WAIT)
                self._stop_event.wait(wait)
            except LockstepError as error:
                self._error = error
                log.error("source %s stopped: %s. %s", self.source.name, error, error.remedy)
                self._stopped(error)
                break

    def _stopped(self, error: LockstepError) -> None:
        self._store.events.soon(Kind.SOURCE_STOPPED, self.source.name, str(error))

    def _followed(self) -> None:
        """Something came of the log, or that there is nothing: it answers, and must still be ours."""
        self._waits.well()
        self._lease.check()

    def _wake(self) -> None:
        for one in self.consumers:
            one.wake()

    def _begin(self, capture: Capture) -> None:
        """Makes durable what `capture` asks for, then begins; starts the consumers the first time."""
        threads: list[ConsumerThread] = []
        spans: list[Spanned] = []
        recoding: dict[int, Recoding] = {}
        lost = self._store.journal_hole(self.source.name)
        hole = capture.hole or lost
        if hole is not None and hole != self._hole:
            self._store.events.soon(Kind.SOURCE_HOLE, self.source.name, hole)
        self._hole = hole  # until what it asks for is durable, each try finds it again
        mine: set[int] = set()
        for mapping in self._mappings:
            consumer, new = self._consumer(mapping)
            mine.add(consumer.id)
            if lost is not None:
                self._lease.under(partial(self._store.positions.forget, consumer=consumer.id))
            span = self._span(mapping, consumer, capture, hole, new=new)
            if span is not None:
                spans.append(span)
            known = not (self.consumers or new or consumer.source != self.source.name)
            readable = _held(mapping, capture) is None  # else its code cannot be tried
            if known and readable and consumer.state != "retired":
                recoding[consumer.id] = Recoding(
                    *(mapping, consumer, recipe(mapping), self._store, self._lease), spanned=span is not None
                )
            if not self.consumers:
                threads.append(ConsumerThread(self._given(mapping), consumer, recoding.get(consumer.id)))
        self._spans.hint(spans, capture, recoding)
        if hole is not None or (capture.started and _moment(capture) != self._begun):
            self._spans.hint_others(hole, lost, capture, mine)
        passing("spanned")
        for one in threads or self.consumers:
            one.hold(_held(one.mapping, capture))
        followed = self._pipeline.tables(self.source.name)
        self._lease.under(partial(self._store.note_journal, source=self.source.name, followed=followed))
        self._capturer.begin(capture)
        passing("followed")
        self._hole, self._begun = None, _moment(capture)
        if threads:
            for one in threads:
                one.start()
            self.consumers = threads  # not before: one that has not started looks like one that has ended
        self._wake()

    def _span(
        self, mapping: Mapping, consumer: Consumer, capture: Capture, hole: str | None, *, new: bool
    ) -> Spanned | None:
        """Why every key of a mapping is hinted, where the log alone is not enough for it."""
        reason, trust = "", Trust.LEDGER
        if hole is not None:
            reason, trust = f"the log has a hole: {hole}", Trust.TARGET
        elif consumer.source != self.source.name:
            reason = f"its source is another one than before: {self.source.name}, was {consumer.source}"
            trust = Trust.TARGET
        elif consumer.state == "retired":
            reason, trust = "declared anew", Trust.TARGET
        elif new:
            reason = "backfill"
        elif self._is_recoded_unread(mapping, consumer, capture):
            reason = "mapping changed"
        elif _reads(mapping) & set(capture.started) and _moment(capture) != self._begun:
            reason = "capture began"
        return Spanned(consumer, mapping, reason, trust) if reason else None

    def _is_recoded_unread(self, mapping: Mapping, consumer: Consumer, capture: Capture) -> bool:
        """Whether it is other code than the ledger's at the start, and cannot be tried on a sample: a table
        that it reads is held."""
        other = (consumer.version, consumer.recipe) != (mapping.version, recipe(mapping))
        return other and not self.consumers and _held(mapping, capture) is not None

    def _given(self, mapping: Mapping) -> Given:
        return Given(
            mapping=mapping,
            store=self._store,
            lease=self._lease,
            reader=self.source.reader(),
            stop=self._stop_event,
            once=self._once,
            claims=self._pipeline.claims(mapping),
            guard=mapping.guard,
            succession=Succession(mapping, recipe(mapping), self._store, self._lease),
        )

    def _consumer(self, mapping: Mapping) -> tuple[Consumer, bool]:
        """The consumer of a mapping, made if it is new; and whether it has yet to be backfilled. One that is
        at work stays, whichever is live by now."""
        store = self._store
        for one in self.consumers:
            if one.mapping is mapping:
                return store.generations.known(one.consumer.id) or one.consumer, False
        consumer = consumer_of(mapping, store, self._lease, claims=self._pipeline.claims(mapping))
        return consumer, store.backfills.newest(consumer.id) is None

    def _advance(self) -> None:
        """For `finish`: notes the source's end, then the journal's, then what the consumers must reach."""
        if not self._once.is_set() or not self.consumers or self._origin is not None:
            return
        if self._goal is None:
            self._goal = self._capturer.reached()
        elif self._capturer.passed(self._goal):
            self._origin = self._store.journal.end()
            for one in self.consumers:
                one.finish_at(self._origin)

    def gauges(self) -> dict[str, Any]:
        """What `status` shows of this source."""
        return {
            "state": "stopped" if self._error else "following" if self._capturer.alive else "waiting",
            "reason": str(self._error or ("" if self._capturer.alive else self._waiting) or ""),
            **self._capturer.gauges(),
        }


def _held(mapping: Mapping, capture: Capture) -> LockstepError | None:
    """Why a mapping cannot go on: a table that it reads cannot be followed as it is now."""
    reads = (node.table.name for node in mapping.root.walk())
    return next((capture.held[name] for name in reads if name in capture.held), None)


def _reads(mapping: Mapping) -> set[str]:
    return {node.table.name for node in mapping.root.walk()}


def _moment(capture: Capture) -> tuple[str, tuple[str, ...], str]:
    """What tells one beginning of a capture from another."""
    return (capture.position, capture.started, capture.moment)
