"""verify: whether a mapping's source and target agree."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from lockstep.agreement import certain, dates, invariants
from lockstep.agreement.barrier import PATIENCE, Barrier, barrier
from lockstep.agreement.bookmark import Bookmark
from lockstep.agreement.deep import begin, deep
from lockstep.agreement.fast import fast
from lockstep.agreement.report import Findings, Report
from lockstep.agreement.sampling import sample
from lockstep.agreement.scope import Scope
from lockstep.database import Access
from lockstep.declaration.amounts import Amounts
from lockstep.declaration.invariant import Invariant
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine.holds.sample import changed_meaning, passing_over
from lockstep.engine.recipe import recipe
from lockstep.errors import Cancelled, DeclarationError, Declined, LockstepError, NothingYet
from lockstep.forms import keys
from lockstep.guard.door import Door
from lockstep.operations.beside import Beside, OnProgress, Whereabouts
from lockstep.operations.kept_report import kept_report
from lockstep.operations.opened import closed_door, existing
from lockstep.operations.processes import lookers
from lockstep.operations.unfinished import Going, bookmark_of, going_on
from lockstep.ports import Feed, Reader, half_taken
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
    if method not in ("fast", "deep", "sample"):
        raise DeclarationError(f"there is no method {method!r}", "Use fast, deep or sample.")
    if resume and method != "deep":
        raise DeclarationError(f"a {method} check is never resumed", "Resume a deep one, or begin anew.")
    if jobs is not None and (jobs < 1 or method == "sample"):
        raise DeclarationError(f"jobs={jobs} of a {method} check", "Give 1 or more to one that looks at all.")
    with existing(pipeline, Access.CHANGE) as store:
        consumer = store.generations.consumer(mapping, declared.target.name)
        if consumer is None:
            raise NothingYet(f"mapping {mapping} has never run", "Start it with `lockstep run` first.")
        place = Whereabouts(on_progress, stop)
        standing = Beside(store, place, lambda: store.lock.holder() is not None)
        going = Going.ON if resume else Going.KEPT
        return _check(pipeline, declared, consumer, standing, method, share, patience, going, jobs)


def verify_build(
    pipeline: Pipeline,
    mapping: Mapping,
    consumer: Consumer,
    store: Store,
    *,
    method: str = "fast",
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Report:
    """Checks a mapping on a build that this process works, beside the live one. See `verify`."""
    standing = Beside(store, Whereabouts(on_progress, stop), lambda: True)
    return _check(pipeline, mapping, consumer, standing, method, 1.0, PATIENCE, jobs=1)


def _check(
    pipeline: Pipeline,
    declared: Mapping,
    consumer: Consumer,
    standing: Beside,
    method: str,
    share: float,
    patience: float,
    going: Going = Going.UNKEPT,
    jobs: int | None = None,
) -> Report:
    store, place = standing.store, standing.place

    def rows(wanted: Sequence[Key]) -> dict[Key, Row]:
        return store.ledger.rows(consumer.id, wanted)

    def intended() -> list[Key]:
        return store.ledger.intended(consumer.id)

    sharing = [other.name for other in pipeline.beside(declared)]
    findings, started = Findings(), time.time()
    bookmark: Bookmark | None = None
    reader, feed = declared.source.reader(), declared.source.feed()
    try:
        with closed_door(declared, consumer.number, store) as door:
            _assert_begun(declared, consumer, store, door)
            wait = barrier(standing, feed, consumer, patience)
            spans = store.spans(consumer.id)
            scope = Scope(declared, reader, door, spans, rows, intended, sharing, wait, findings)
            position: str | None = feed.reached()
            doubt = _doubt(declared, consumer, store, reader) if method == "fast" else None
            if method == "sample":
                report = sample(scope, share, place)
            elif doubt is not None:
                reached = begin(scope, position)
                looking = lookers(pipeline, consumer, scope, reached.cuts, jobs, place.check)
                report = deep(scope, reached, place, doubt, lookers=looking)
            elif method == "deep":
                bookmark = None if going is Going.UNKEPT else bookmark_of(declared, consumer, store, door)
                found, notes = going_on(bookmark if going is Going.ON else None, consumer, store)
                reached = found or begin(scope, position)
                position = reached.position
                looking = lookers(pipeline, consumer, scope, reached.cuts, jobs, place.check)
                report = deep(scope, reached, place, *notes, bookmark=bookmark, lookers=looking)
            else:
                report = fast(scope, place)
            barriers = [wait, *_barriers(pipeline, declared, consumer, standing, feed, patience)]
            between = certain.Scope(reader, feed, door, barriers)
            by_date = [one for one in pipeline.by_date.values() if one.mapping == declared.name]
            report = _with_invariants(report, pipeline.invariants_of(declared), by_date, between)
    except Cancelled as cancelled:
        notes = (str(cancelled),)
        if bookmark is not None and bookmark.kept:
            notes += (f"it goes on there by `lockstep verify {declared.name} --deep --resume`",)
        report = findings.report(declared.name, method, started, 0, 0, 0, notes=notes, cancelled=True)
        position, report = None, msgspec.structs.replace(report, agreement=False)
    except LockstepError as error:
        error.remedy = error.remedy.replace("MAPPING", declared.name)
        if bookmark is not None and bookmark.kept:
            error.remedy += f" Then `lockstep verify {declared.name} --deep --resume` goes on where it was."
        raise
    finally:
        feed.close()
        reader.close()
    report = msgspec.structs.replace(report, position=position)
    return kept_report(report, store, consumer, changed=consumer.version != declared.version)


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
        raise Declined(
            f"{declared.target.name} is half taken over: `lockstep adopt` is at work, or was broken off",
            f"Let it end, or run `lockstep adopt {half or declared.name}` again, which goes on; then check.",
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
    report: Report, declared: Sequence[Invariant], by_date: Sequence[Amounts], scope: certain.Scope
) -> Report:
    """The report, with the groups of invariants that differ, and the dates at which amounts do."""
    if not declared and not by_date:
        return report
    findings = Findings()
    notes = invariants.check(declared, scope, findings)
    for one in by_date:
        notes += dates.check(one, scope, findings)
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


def _doubt(mapping: Mapping, consumer: Consumer, store: Store, reader: Reader) -> str | None:
    """Why nothing stored can be trusted: what the ledger says was sent is not what would be sent now."""
    if consumer.version != mapping.version:
        return "everything was derived again: the mapping is not the one that the ledger speaks of"
    if consumer.recipe != recipe(mapping):
        return "everything was derived again: the ledger's sums are of other columns, or made in another way"
    other = None if passing_over(consumer, store) else changed_meaning(mapping, consumer, store, reader)
    if other is not None:
        key = keys.text(other.first.key)
        return f"everything was derived again: {key} means something else than when it was written"
    return None
