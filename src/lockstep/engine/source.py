"""One source at work: its capture in a thread of its own, and the consumers that read it."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from lockstep.canonical import SUM_RECIPE
from lockstep.engine.capture import Capturer
from lockstep.engine.consumer import ConsumerThread
from lockstep.engine.given import Given
from lockstep.engine.lease import Lease
from lockstep.engine.noting import QUIET, Fault
from lockstep.engine.points import passing
from lockstep.engine.recode import Recoding
from lockstep.engine.succession import Succession, take_over
from lockstep.errors import LeaseLost, LockstepError, Refused, StateError, SystemError_
from lockstep.mapping import Mapping
from lockstep.pipeline import Pipeline
from lockstep.ports import Capture, Reader, Source
from lockstep.state.events import Kind
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import EVERYTHING, Entry, Hint, Lane, Trust, consumer_stream

log = logging.getLogger("lockstep")

_LONGEST_WAIT = 15.0

_beginning = threading.Lock()


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
        spans: list[tuple[Consumer, Mapping, str, Trust]] = []
        recoding: dict[int, Recoding] = {}
        lost = self._store.journal_hole(self.source.name)
        hole = capture.hole or lost
        if hole is not None and hole != self._hole:
            self._store.events.soon(Kind.SOURCE_HOLE, self.source.name, hole)
        self._hole = hole  # until what it asks for is durable, each try finds it again
        begun = (capture.position, capture.started, capture.moment)
        mine: set[int] = set()
        for mapping in self._mappings:
            consumer, new = self._consumer(mapping)
            mine.add(consumer.id)
            moved = consumer.source != self.source.name
            reads = {node.table.name for node in mapping.root.walk()}
            known = not (self.consumers or new or moved or consumer.state == "retired")
            held = _held(mapping, capture) is not None  # its code cannot be tried: it cannot be read as it is
            code = (mapping.version, recipe(mapping))
            other = known and held and (consumer.version, consumer.recipe) != code
            if lost is not None:
                self._lease.under(partial(self._store.ledger.forget_positions, consumer=consumer.id))
            if hole is not None:
                spans.append((consumer, mapping, f"the log has a hole: {hole}", Trust.TARGET))
            elif moved:
                reason = f"its source is another one than before: {self.source.name}, was {consumer.source}"
                spans.append((consumer, mapping, reason, Trust.TARGET))
            elif consumer.state == "retired":
                spans.append((consumer, mapping, "declared anew", Trust.TARGET))
            elif new:
                spans.append((consumer, mapping, "backfill", Trust.LEDGER))
            elif other:
                spans.append((consumer, mapping, "mapping changed", Trust.LEDGER))
            elif reads & set(capture.started) and begun != self._begun:
                spans.append((consumer, mapping, "capture began", Trust.LEDGER))
            if known and not held:
                spanned = bool(spans) and spans[-1][0] is consumer
                recoding[consumer.id] = Recoding(
                    *(mapping, consumer, code[1], self._store, self._lease), spanned=spanned
                )
            if not self.consumers:
                threads.append(ConsumerThread(self._given(mapping), consumer, recoding.get(consumer.id)))
        self._hint_spans(spans, capture, recoding)
        if hole is not None or (capture.started and begun != self._begun):
            self._hint_others(hole, lost, capture, mine)
        for one in threads or self.consumers:
            one.hold(_held(one.mapping, capture))
        followed = self._pipeline.tables(self.source.name)
        self._lease.under(partial(self._store.note_journal, source=self.source.name, followed=followed))
        self._capturer.begin(capture)
        self._hole, self._begun = None, begun
        if threads:
            for one in threads:
                one.start()
            self.consumers = threads  # not before: one that has not started looks like one that has ended
        self._wake()

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
        known = store.generations.consumer(mapping.name, mapping.target.name)
        if known is not None:
            take_over(store, self._lease, known.generation)
        if known is None:
            with _beginning:  # another source may write the same target
                generation = self._lease.under(partial(store.generation_of, target=mapping.target.name))
            made = self._lease.under(
                partial(
                    store.generations.begin_consumer,
                    mapping=mapping.name,
                    generation=generation[0],
                    source=self.source.name,
                    version=mapping.version,
                    recipe=recipe(mapping),
                )
            )
            self._lease.under(
                partial(store.generations.note_claims, consumer=made, claims=self._pipeline.claims(mapping))
            )
            passing("begun")
            known = store.generations.consumer(mapping.name, mapping.target.name)
            assert known is not None
        return known, store.backfills.newest(known.id) is None

    def _hint_spans(
        self,
        spans: Sequence[tuple[Consumer, Mapping, str, Trust]],
        capture: Capture,
        recoding: Collection[int],
    ) -> None:
        """Full spans of the root for consumers that cannot rely on the log alone; durable, then noted. The
        ledger of those in `recoding` stays the one of their code of before, until that is known."""
        if not spans:
            return
        reader = self.source.reader()
        try:
            for consumer, mapping, reason, trust in spans:
                if trust is Trust.TARGET:
                    log.warning(
                        "mapping %s: %s. So every key is derived again and compared with what the target "
                        "holds; nobody needs to do anything.",
                        *(mapping.name, reason),
                    )
                else:
                    log.info("mapping %s: all keys are derived: %s", mapping.name, reason)
                store = self._store
                if not store.ledger.positions(consumer.id) or consumer.source != self.source.name:
                    end = store.journal.end()
                    self._lease.under(
                        partial(
                            store.ledger.begin_at, consumer=consumer.id, source=self.source.name, offset=end
                        )
                    )
                hint = Hint(
                    mapping.root.table.name,
                    span=EVERYTHING,
                    reason="backfill",
                    trust=trust,
                    token=capture.token,
                    at=time.time(),
                )
                store.journal.append([Entry(consumer_stream(consumer.id), Lane.BULK, 0, (hint,))])
                passing("hinted")
                noted = partial(
                    store.backfills.begin,
                    consumer=consumer.id,
                    reason=reason,
                    total=_estimate(reader, mapping),
                )
                self._lease.under(noted)
                code: dict[str, Any] = (
                    {} if consumer.id in recoding else {"version": mapping.version, "recipe": recipe(mapping)}
                )
                self._lease.under(
                    partial(
                        store.generations.set_consumer,
                        consumer=consumer.id,
                        source=self.source.name,
                        state="running",
                        reason=None,
                        **code,
                    )
                )
        finally:
            reader.close()

    def _hint_others(self, hole: str | None, lost: str | None, capture: Capture, mine: set[int]) -> None:
        """Full spans for consumers that are worked elsewhere, or later, and not `mine`. Nobody knows here
        what they read."""
        store, live = self._store, self._store.generations.consumers("running", "stopped")
        others = [
            one
            for one in (*store.generations.beside(self.source.name), *live)
            if one.source == self.source.name and one.id not in mine
        ]
        trust = Trust.LEDGER if hole is None else Trust.TARGET
        why = "capture began" if hole is None else f"the log has a hole: {hole}"
        span = Hint("", span=EVERYTHING, reason="backfill", trust=trust, token=capture.token, at=time.time())
        for one in others:
            if lost is not None:
                end = store.journal.end()
                self._lease.under(partial(store.ledger.forget_positions, consumer=one.id))
                self._lease.under(
                    partial(store.ledger.begin_at, consumer=one.id, source=one.source, offset=end)
                )
            store.journal.append([Entry(consumer_stream(one.id), Lane.BULK, 0, (span,))])
            total = store.ledger.count(one.id)
            self._lease.under(partial(store.backfills.begin, consumer=one.id, reason=why, total=total))

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


def _estimate(reader: Reader, mapping: Mapping) -> int:
    try:
        return reader.estimate(mapping.root.table)
    except Refused:  # the table is held, or will be
        return 0


def recipe(mapping: Mapping) -> str:
    """How the source sums of a mapping are made: the recipe, and the columns that go into it."""
    parts = [f"{node.path}:{node.table.name}:{','.join(node.table.columns)}" for node in mapping.root.walk()]
    digest = hashlib.blake2b("\n".join(parts).encode(), digest_size=6).hexdigest()
    return f"{SUM_RECIPE}-{digest}"
