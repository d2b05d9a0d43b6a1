"""verify: whether a mapping's source and target agree."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from lockstep.agreement import dates, invariants
from lockstep.agreement.barrier import PATIENCE, Barrier, barrier
from lockstep.agreement.certain import Between
from lockstep.agreement.report import Findings, Report
from lockstep.agreement.scope import Scope
from lockstep.database import Access
from lockstep.declaration.amounts import Amounts
from lockstep.declaration.invariant import Invariant
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.errors import Cancelled, LockstepError, NothingYet
from lockstep.guard.door import Door
from lockstep.operations.beside import Beside, OnProgress, Whereabouts
from lockstep.operations.kept_report import kept_report
from lockstep.operations.methods import Checking, Fast, Method, method_of
from lockstep.operations.opened import closed_door, existing
from lockstep.ports import Feed, half_adopted, half_taken
from lockstep.state.generations import Consumer
from lockstep.state.rows import Row
from lockstep.state.store import Store
from lockstep.values import Key


def verify(
    pipeline: Pipeline,
    mapping: str,
    *,
    method: str = "fast",
    share: float = 0.01,
    patience: float = PATIENCE,
    resume: bool = False,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Report:
    """Checks one mapping, beside a live run or without one. Nothing is written to the target, nothing hinted.

    `method`: "fast" compares each side with the ledger by sums, and reads what differs; "deep" derives
    everything again, reads every target record and compares field by field; "sample" does so for a `share` of
    the keys. `patience`: seconds to wait at most for changes on their way. `stop`: set it to end the check;
    its report then says that it was cancelled, how far it came and what it had found. `resume`: a deep check
    that was interrupted, however, goes on where it was; where none was, one begins. `jobs`: how many
    processes compare in a deep check, or a fast one that becomes one, of a pipeline that was loaded from a
    file; None: one for each core, four at most, where the source has many rows. Raises NothingYet when the
    mapping never ran.
    """
    require_pipeline(pipeline)
    declared = pipeline.named(mapping)
    by = method_of(method, share=share, resume=resume, jobs=jobs)
    with existing(pipeline, Access.CHANGE) as store:
        consumer = store.generations.consumer(mapping, declared.target.name)
        if consumer is None:
            raise NothingYet(f"mapping {mapping} has never run", "Start it with `lockstep run` first.")
        place = Whereabouts(on_progress, stop)
        standing = Beside(store, place, lambda: store.lock.holder() is not None)
        return _check(pipeline, declared, consumer, standing, by, patience)


def verify_build(
    pipeline: Pipeline,
    mapping: Mapping,
    consumer: Consumer,
    store: Store,
    *,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Report:
    """Checks a mapping on a build that this process works, beside the live one. See `verify`."""
    standing = Beside(store, Whereabouts(on_progress, stop), lambda: True)
    return _check(pipeline, mapping, consumer, standing, Fast(jobs=1), PATIENCE)


def _check(
    pipeline: Pipeline,
    declared: Mapping,
    consumer: Consumer,
    standing: Beside,
    method: Method,
    patience: float,
) -> Report:
    store = standing.store

    def rows(wanted: Sequence[Key]) -> dict[Key, Row]:
        return store.ledger.rows(consumer.id, wanted)

    def intended() -> list[Key]:
        return store.ledger.intended(consumer.id)

    sharing = [other.name for other in pipeline.beside(declared)]
    findings, started = Findings(), time.time()
    reader, feed = declared.source.reader(), declared.source.feed()
    try:
        with closed_door(declared, consumer.number, store) as door:
            _assert_begun(declared, consumer, store, door)
            wait = barrier(standing, feed, consumer, patience)
            spans = store.spans(consumer.id)
            scope = Scope(declared, reader, door, spans, rows, intended, sharing, wait, findings)
            report = method.look(Checking(pipeline, consumer, standing, scope, feed.reached()))
            barriers = [wait, *_barriers(pipeline, declared, consumer, standing, feed, patience)]
            between = Between(reader, feed, door, barriers)
            by_date = [one for one in pipeline.by_date.values() if one.mapping == declared.name]
            report = _with_invariants(report, findings, pipeline.invariants_of(declared), by_date, between)
    except Cancelled as cancelled:
        notes = [str(cancelled)]
        if method.goes_on:
            notes.append(f"it goes on there by `{_resumed(declared)}`")
        report = findings.report(declared.name, method.name, started, 0, 0, 0, notes=notes, cancelled=True)
    except LockstepError as error:
        error.remedy = error.remedy.replace("MAPPING", declared.name)
        if method.goes_on:
            error.remedy += f" Then `{_resumed(declared)}` goes on where it was."
        raise
    finally:
        feed.close()
        reader.close()
    changed = consumer.version != declared.version
    unjudged = None if findings.forgetful else findings.unjudged
    return kept_report(report, store, consumer, changed=changed, unjudged=unjudged)


def _resumed(declared: Mapping) -> str:
    return f"lockstep verify {declared.name} --deep --resume"


def _assert_begun(declared: Mapping, consumer: Consumer, store: Store, door: Door) -> None:
    """Raises NothingYet where nothing was written yet, Declined where what stands there is being taken over:
    what is not yet taken over would be told as missing in the ledger."""
    found = door.identity()
    if found is None and not store.ledger.count(consumer.id):
        raise NothingYet(
            f"nothing was written to {declared.target.name} yet, and it is not there",
            "`lockstep check` says what is in the way; `lockstep run` begins.",
        )
    half = None if found is None else half_taken(found.marker, consumer.marker)
    if half is not None:
        raise half_adopted(
            declared.target.name,
            half,
            declared.name,
            why="`lockstep adopt` is at work, or was broken off",
            then="; or let one that is at work end. Then check.",
        )


def _barriers(
    pipeline: Pipeline,
    mapping: Mapping,
    consumer: Consumer,
    standing: Beside,
    feed: Feed,
    patience: float,
) -> Iterator[Barrier]:
    """Of the other mappings that lead from the same source to the same build of the target."""
    sharing = {other.name for other in pipeline.beside(mapping) if other.source.name == mapping.source.name}
    for other in standing.store.generations.following(consumer.generation):
        if other.mapping in sharing:
            yield barrier(standing, feed, other, patience)


def _with_invariants(
    report: Report,
    before: Findings,
    declared: Sequence[Invariant],
    by_date: Sequence[Amounts],
    between: Between,
) -> Report:
    """The report, with the groups of invariants that differ, and the dates at which amounts do. What cannot
    be judged is added to what was found `before`."""
    if not declared and not by_date:
        return report
    findings = Findings()
    notes = invariants.check(declared, between, findings)
    for one in by_date:
        notes += dates.check(one, between, findings)
    before.doubt(findings.unjudged)
    counts = Counter(report.counts) + Counter(findings.counts)
    return msgspec.structs.replace(
        report,
        agreement=not counts,
        ended_at=time.time(),
        counts=dict(counts),
        divergences=(*findings.shown, *report.divergences),
        settled=report.settled + findings.settled,
        moving=report.moving + findings.moving,
        notes=(*report.notes, *notes),
        invariants=len(declared) + len(by_date),
    )
