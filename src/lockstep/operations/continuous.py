"""Checks in a loop, beside the work of a run: paced, and what they find is repaired or only reported."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from lockstep.agreement.report import Report
from lockstep.database import Access
from lockstep.declaration.pipeline import Checks, Pipeline
from lockstep.errors import LockstepError
from lockstep.operations.opened import existing
from lockstep.operations.repair import repair
from lockstep.operations.status import mapping_statuses
from lockstep.operations.verify import verify
from lockstep.state.events import Kind

log = logging.getLogger("lockstep")

SHARE = 0.05
"""Of the time: what all checks of one source take of it at most."""

TRIES = 3
"""How often a key is repaired in a row before it is left to a person."""

_REPAIRED = ("missing", "stale", "different", "extra", "ledger")
_BUSY = 5.0
_LISTED = 20


class Schedule:
    """Which mapping of a source is checked when. Pure: it is told the time, in seconds.

    A mapping is due `every` so many seconds after its last check began. A check that took t seconds is
    followed by t / share seconds in which the source is let be, whatever is due.
    """

    def __init__(self, every: Mapping[str, float], now: float, share: float) -> None:
        self._every = dict(every)
        self._share = share
        self._due = {name: now + seconds for name, seconds in every.items()}
        self._rests_until = now

    def next(self) -> tuple[str, float]:
        """The mapping to check next, and when."""
        name = min(self._due, key=lambda one: self._due[one])
        return name, max(self._due[name], self._rests_until)

    def checked(self, name: str, started: float, ended: float) -> None:
        """Notes a check, or an attempt that failed."""
        self._rests_until = ended + (ended - started) / self._share
        self._due[name] = max(started + self._every[name], ended)

    def postpone(self, name: str, until: float) -> None:
        """Notes that a mapping could not be checked yet, which cost the source nothing."""
        self._due[name] = until


_BY = "the run"
"""Who asks for these repairs, in the timeline."""


class Continuous(threading.Thread):
    """Checks the mappings of one source until `stop` is set. Never delays their work; outlives what fails."""

    def __init__(
        self, pipeline: Pipeline, checks: Mapping[str, Checks], stop: threading.Event, share: float
    ) -> None:
        super().__init__(name="lockstep-checks", daemon=True)
        self._pipeline = pipeline
        self._checks = checks
        self._halt = stop
        every = {name: one.every for name, one in checks.items() if one.every is not None}
        self._schedule = Schedule(every, time.monotonic(), share)
        self._tried: dict[str, Counter[str]] = {name: Counter() for name in checks}
        self._said: dict[str, str] = {}
        self._given_up: dict[str, str] = {}

    def run(self) -> None:
        while True:
            name, at = self._schedule.next()
            if self._halt.wait(max(at - time.monotonic(), 0.0)):
                return
            started = time.monotonic()
            try:
                if not self._ready(name):
                    self._schedule.postpone(name, started + _BUSY)
                    continue
                self._check(name)
                self._said.pop(name, None)
            except LockstepError as error:
                self._warn(name, f"{error}. {error.remedy}")
            except Exception:
                log.exception("the check of %s failed by a defect of Lockstep; it is tried again", name)
            self._schedule.checked(name, started, time.monotonic())

    def _ready(self, name: str) -> bool:
        """Whether a mapping is at work and its first pass, or another one, is behind it."""
        with existing(self._pipeline) as store:
            statuses = mapping_statuses(store, {})
        return any(one.name == name and one.state == "running" and not one.waiting_bulk for one in statuses)

    def _check(self, name: str) -> None:
        report = verify(self._pipeline, name, jobs=1, stop=self._halt)
        if report.cancelled:
            return
        tried = self._tried[name]
        found = {one.subject for one in report.divergences}
        if not report.moving:  # a key that moved was not judged: it may be one of these
            for subject in [one for one in tried if one not in found]:
                del tried[subject]
        if report.agreement:
            return
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.counts.items()))
        log.warning("mapping %s is not in agreement: %s (report %s)", name, counts, report.id)
        if self._checks[name].on_drift == "repair":
            self._repair(name, report)

    def _repair(self, name: str, report: Report) -> None:
        tried = self._tried[name]
        given_up = {subject for subject, times in tried.items() if times >= TRIES}
        wanted = {one.subject for one in report.divergences if one.kind in _REPAIRED} - given_up
        if given_up:
            self._give_up(name, report, sorted(given_up))
        else:
            self._given_up.pop(name, None)
        if wanted:
            repair(self._pipeline, name, report=report.id, only=_REPAIRED, but=given_up, by=_BY)
            tried.update(wanted)

    def _give_up(self, name: str, report: Report, subjects: Sequence[str]) -> None:
        """Leaves to a person what a repair does not mend, and says so in the report that found it again."""
        more = f" and {len(subjects) - _LISTED:,} more" if len(subjects) > _LISTED else ""
        listed = ", ".join(subjects[:_LISTED]) + more
        note = f"repaired {TRIES} times and different again, so left as it is: {listed}"
        new = self._given_up.get(name) != note
        self._given_up[name] = note
        if new:
            log.warning("checking %s: %s", name, note)
        with existing(self._pipeline, Access.CHANGE) as store:
            if report.id is not None:
                store.reports.remark(report.id, note)
            if new:
                store.events.note(Kind.REPAIR_GIVEN_UP, name, note, numbers={"divergences": len(subjects)})

    def _warn(self, name: str, what: str) -> None:
        """Once, as long as it stays the same."""
        if self._said.get(name) != what:
            log.warning("checking %s: %s", name, what)
        self._said[name] = what


def continuous(
    pipeline: Pipeline,
    stop: threading.Event,
    *,
    verify_every: float | None,
    on_drift: str | None,
    share: float,
) -> list[Continuous]:
    """A thread for each source that has mappings to check, not started. What is given overrides what the
    mappings declare."""
    by_source: dict[str, dict[str, Checks]] = {}
    for name, declared in pipeline.checks.items():
        every = declared.every if verify_every is None else verify_every
        checks = Checks(every, on_drift or declared.on_drift)
        if every is not None:
            by_source.setdefault(pipeline.named(name).source.name, {})[name] = checks
    return [Continuous(pipeline, checks, stop, share) for checks in by_source.values()]
