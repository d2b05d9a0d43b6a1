"""Fills a build of a target beside the live one until it is shown to agree, and makes it the live one.

One process of a state store does so at a time. A run may go on meanwhile: it follows the sources and works
the live build. Where none does, the sources are followed from here, as the build must see what changes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from lockstep.agreement.report import Divergence, Progress, Report
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.build import BuildThreads
from lockstep.engine.hints.addressed import addressed, everything
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.recipe import recipe
from lockstep.errors import Cancelled, Disagreement
from lockstep.operations.opened import closed_door
from lockstep.operations.verify import verify_build
from lockstep.ports import Generational, Target
from lockstep.recovery import asking
from lockstep.recovery.pointing import Pointing
from lockstep.recovery.sources import FollowedSources
from lockstep.state.builds import Build
from lockstep.state.generations import Consumer
from lockstep.state.settling import Scope
from lockstep.state.store import Store
from lockstep.values import Key, Lane, Trust

OnProgress = Callable[[Progress], None]

_POLL = 0.1
_ROUNDS = 4
"""So often a build that does not agree is mended and checked again."""


class Builder:
    """The right to work builds beside the live ones, and whoever follows the sources meanwhile.

    Entered, it takes the lock of builds: raises StateInUse when another process has it. `stop`: set it to
    end; then Cancelled is raised, and what is done so far is gone on with when it is asked for again.
    `command`: on whose behalf, for the timeline. `unasked`: far fewer records are meant.
    `derived`: keys that were derived in it so far.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        store: Store,
        target: Target,
        command: str,
        *,
        unasked: bool = False,
        on_progress: OnProgress | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.store = store
        self.target = target
        self.mappings = pipeline.filling(target)
        self.derived = 0
        self._unasked = unasked
        self._on_progress = on_progress or (lambda now: None)
        self._stop = stop or threading.Event()
        self._sources = FollowedSources(pipeline, store, self.mappings, command)

    def __enter__(self) -> Self:
        self.store.build_lock.take()
        self.lease = Lease(self.store, Scope.BUILD)
        self.pointing = Pointing(self.store, self.lease, self.target)
        try:
            self._sources.begin()
        except BaseException:
            self.store.build_lock.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sources.stop("stopped" if error is None else "failed")
        self.store.build_lock.close()

    @property
    def alone(self) -> bool:
        """Whether nobody else follows the sources, and so nobody works the live build."""
        return self._sources.alone

    def tell(self, stage: str, done: int, total: int) -> None:
        """Shows how far it has come. Raises Cancelled once it is to stop."""
        self._on_progress(Progress(stage, done, total))
        if self._stop.is_set():
            raise Cancelled(f"cancelled ({stage}: {done:,} of {total:,})", "Ask for it again: it goes on.")

    def begin_consumers(self, build: Build) -> dict[str, Consumer]:
        """The consumers of a build, by mapping; those that are missing are made."""
        known = {one.mapping for one in self.store.generations.following(build.id)}
        for one in self.mappings:
            if one.name in known:
                continue

            def begin(epoch: int, mapping: Mapping = one) -> None:
                made = self.store.generations.begin_consumer(
                    epoch, mapping.name, build.id, mapping.source.name, mapping.version, recipe(mapping)
                )
                self.store.generations.note_claims(epoch, made, self.pipeline.claims(mapping))

            self.lease.under(begin)
        return {one.mapping: one for one in self.store.generations.following(build.id)}

    def hint_all(self, consumer: Consumer, mapping: Mapping, reason: str, trust: Trust) -> None:
        """Everything is to be derived for a consumer."""
        self.store.journal.append([everything(consumer.id, mapping.root.table.name, trust)])
        reader = mapping.source.reader()
        try:
            total = reader.estimate(mapping.root.table)
        finally:
            reader.close()
        self.lease.under(lambda epoch: self.store.backfills.begin(epoch, consumer.id, reason, total))

    def fill(self, build: Build) -> list[Report]:
        """Works a build until it agrees; the reports that show it, one a mapping. Raises Disagreement.

        Keys that cannot be derived stay out, as long as no more of them fail than are stuck in the live one.
        """
        reports: list[Report] = []
        stuck = self._stuck()
        for _ in range(_ROUNDS):
            with self.working(build) as threads:
                self.catch_up(build, threads)
                passing("build-filled")
                reports = [self._verified(mapping, build) for mapping in self.mappings]
            differing = [report for report in reports if not _agrees(report, stuck[report.mapping])]
            if not differing:
                passing("build-agreed")
                return reports
            for report in differing:
                self._mend(build, report)
        counts = ", ".join(
            f"{report.mapping}: {count:,} {kind}"
            for report in reports
            for kind, count in sorted(report.counts.items())
        )
        numbers = ", ".join(str(report.id) for report in reports)
        stands = (
            "It was not made live, and stands beside"
            if isinstance(self.target, Generational)
            else "It stands in the table already, and no run works it"
        )
        raise Disagreement(
            f"generation {build.number} of {self.target.name} does not agree with its source ({counts})",
            f"{stands}. `lockstep report {numbers}` shows what differs; mend the cause, then ask again: it "
            "goes on from here.",
        )

    def _stuck(self) -> dict[str, int]:
        """How many keys are stuck in the live build, by mapping."""
        found = dict.fromkeys((one.name for one in self.mappings), 0)
        for name in found:
            live = self.store.generations.consumer(name, self.target.name)
            found[name] = 0 if live is None else self.store.stuck.count(live.id)
        return found

    @contextlib.contextmanager
    def working(self, build: Build) -> Iterator[BuildThreads]:
        """The build at work."""
        threads = BuildThreads(self.pipeline, self.store, self.lease, build, unasked=self._unasked)
        threads.start()
        try:
            yield threads
        finally:
            threads.stop()
            self.derived += threads.derived

    def catch_up(self, build: Build, threads: BuildThreads) -> None:
        """Returns once everything that was in the journal is worked."""
        consumers = self.store.generations.following(build.id)
        threads.catch_up()
        while not threads.caught_up():
            done, total = self._passes(consumers)
            waits = threads.waits()
            self.tell(f"filling, which waits: {waits[0]}" if waits else "filling", done, total)
            self._sources.look()
            time.sleep(_POLL)

    def _passes(self, consumers: Sequence[Consumer]) -> tuple[int, int]:
        passes = [self.store.backfills.newest(one.id) for one in consumers]
        found = [one for one in passes if one is not None]
        done = sum(one.done for one in found)
        return done, max(sum(one.total for one in found), done)

    def _verified(self, mapping: Mapping, build: Build) -> Report:
        consumer = self._consumer(build, mapping.name)
        return verify_build(
            self.pipeline,
            mapping,
            consumer,
            self.store,
            on_progress=lambda now: self.tell(f"verifying {mapping.name}: {now.stage}", now.done, now.total),
            stop=self._stop,
        )

    def _consumer(self, build: Build, mapping: str) -> Consumer:
        return next(one for one in self.store.generations.following(build.id) if one.mapping == mapping)

    def _mend(self, build: Build, report: Report) -> None:
        """Hints what a check found to differ. No thread works the build meanwhile."""
        mapping = self.pipeline.named(report.mapping)
        consumer = self._consumer(build, report.mapping)
        if report.cancelled:
            raise Cancelled(report.notes[0] if report.notes else "cancelled", "Ask for it again: it goes on.")
        if sum(report.counts.values()) > len(report.divergences):
            self.hint_all(consumer, mapping, "it does not agree yet", Trust.TARGET)
            return
        found: dict[Key, list[Key]] = {}
        wanted: set[Key] = set()
        for one in report.divergences:
            if one.source is None:
                continue
            wanted.add(one.source)
            if _apart(mapping, one) and one.target is not None:
                found.setdefault(one.source, []).append(one.target)
        if found:
            self.lease.under(
                lambda epoch: self.store.ledger.adopt(
                    epoch,
                    build.id,
                    consumer.id,
                    found,
                    mapping.default_key,
                    claiming=self.store.generations.claims(consumer.id),
                )
            )
        self.store.journal.append(
            addressed(consumer.id, mapping.root.table.name, sorted(wanted), "repair", Trust.TARGET, Lane.LIVE)
        )

    def swap(
        self,
        build: Build,
        live: Build | None,
        before: int | None,
        *,
        fewer: bool,
        worker: Scope | None = None,
    ) -> int:
        """Catches up once more and makes the build the live one; how many records it holds. The one before is
        kept, where it stands. `worker`: who works it from then on, where it is not the run.

        `before`: records that are searched now, or should be. Raises Declined where it holds far fewer,
        unless `fewer` says that this is meant.
        """
        if isinstance(self.target, Generational):
            self.target.assert_pointable(build.number)  # before the wait; again when it is made live
        with self.working(build) as threads:
            self.catch_up(build, threads)
        records = self.records(build) or 0
        if not fewer and isinstance(self.target, Generational):  # else the guard has asked already
            asking.not_far_fewer(self.target, self.mappings, records, before)
        self.pointing.make_live(build, keep=live is not None and self.records(live) is not None)
        self.lease.under(partial(self.store.builds.hand_over, build=build, worker=worker))
        return records

    def records(self, build: Build) -> int | None:
        """How many records a build holds; None where it does not stand."""
        with closed_door(self.mappings[0], build.number, self.store) as door:
            found = door.identity()
            return None if found is None or found.marker != build.marker else door.contents().records


def _agrees(report: Report, stuck: int) -> bool:
    """Whether a check shows agreement, but for keys that cannot be derived, at most so many, and for records
    that no mapping wrote: they are nobody's to remove."""
    strangers = sum(one.source is None for one in report.divergences if one.kind == "extra")
    return report.agreement or (
        not report.cancelled
        and report.counts.keys() <= {"failed", "extra"}
        and report.counts.get("failed", 0) <= stuck
        and report.counts.get("extra", 0) == strangers
    )


def _apart(mapping: Mapping, one: Divergence) -> bool:
    """Whether deriving the source key would not look at this target key by itself."""
    assert one.source is not None
    return one.kind == "extra" and not (
        mapping.key_is_root_key and mapping.default_key(one.source) == one.target
    )
