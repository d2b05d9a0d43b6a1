"""deploy: a changed mapping, or target, becomes a new build beside the live one, and takes its place."""

from __future__ import annotations

import itertools
import threading
import time
from functools import partial

from msgspec import Struct

from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.consumers.retention import YOUNG
from lockstep.engine.points import passing
from lockstep.engine.recipe import recipe
from lockstep.errors import Declined, NothingYet
from lockstep.operations.opened import existing
from lockstep.operations.ownership import assert_owned
from lockstep.operations.readers import assert_moved
from lockstep.operations.reason import require_reason
from lockstep.ports import Generational
from lockstep.recovery.building import Builder, OnProgress
from lockstep.recovery.named import target_named
from lockstep.state.builds import Build
from lockstep.state.events import Kind
from lockstep.state.lock import user
from lockstep.state.settling import Scope
from lockstep.state.store import Store
from lockstep.values import PARTITIONS, Lane, Stream, Trust, source_stream

_LOOK_EVERY = 1.0


class Deployed(Struct, frozen=True):
    """What a deploy did. `kept`: the generation that `rollback` goes back to; `reports`: the checks that
    showed agreement; `records` of the build, and of the one before; `seconds` by step; `alone`: nobody
    followed the one before meanwhile; `changed`: mappings whose code is another one."""

    target: str
    generation: int
    before: int
    kept: int | None
    records: int
    records_before: int | None
    reports: tuple[int, ...]
    seconds: dict[str, float]
    alone: bool
    changed: tuple[str, ...]


def deploy(
    pipeline: Pipeline,
    name: str | None = None,
    *,
    fewer: bool = False,
    following: bool = False,
    why: str | None = None,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Deployed:
    """Builds a target anew beside the live build, by the code at hand, while a run of the old code may go on;
    proves that it agrees; and makes it the live one, from one moment to the next. The one before is kept.

    `name`: a mapping, or a target; not needed where there is one. `fewer`: it may hold far fewer records
    than the live one. `following`: this process works it on, see `following`. `why`: for the timeline.
    Asked again after a crash or `stop`, it goes on. Raises Declined where the target has one build only, or
    the new one holds far fewer records; Disagreement; NothingYet when the target was never filled.
    """
    require_reason(why)
    assert_owned(pipeline)
    target = target_named(pipeline, name)
    if not isinstance(target, Generational):
        raise Declined(
            f"{target.name} has one build only: nothing can be built beside it",
            "`lockstep run` derives it anew in place; the guard asks before most of it changes.",
        )
    with (
        existing(pipeline, Access.RUN) as store,
        Builder(pipeline, store, target, "deploy", on_progress=on_progress, stop=stop) as builder,
    ):
        builder.pointing.finish()  # what a deploy that was broken off had still to do
        live = store.builds.one(target.name, "live")
        if live is None:
            raise NothingYet(f"{target.name} was never filled", "Start with `lockstep run`.")
        assert_moved(builder.mappings[0], live.number, store)
        begun = time.time()
        build = _build(builder, live)
        store.events.note(
            Kind.DEPLOY_BEGUN,
            target.name,
            f"generation {build.number} is built beside {live.number}",
            who=user(),
            why=why,
        )
        filled = time.time()
        try:
            reports = builder.fill(build)
            agreed = time.time()
            before = builder.records(live)
            worker = Scope.FOLLOW if following else None
            records = builder.swap(build, live, before, fewer=fewer, worker=worker)
            swapped = time.time()
        except Exception as error:
            store.events.note(Kind.DEPLOY_FAILED, target.name, str(error))
            raise
        store.events.note(
            Kind.DEPLOY_SWAPPED,
            target.name,
            f"generation {build.number} took the place of {live.number}",
            numbers={"records": records, "before": before},
        )
        return Deployed(
            target.name,
            build.number,
            live.number,
            None if before is None else live.number,
            records,
            before,
            tuple(report.id for report in reports if report.id is not None),
            {"build": filled - begun, "fill and verify": agreed - filled, "swap": swapped - agreed},
            builder.alone,
            tuple(_changed(builder, live)),
        )


def _changed(builder: Builder, live: Build) -> list[str]:
    """The mappings whose code is not the one that filled the live build."""
    known = {one.mapping: one for one in builder.store.generations.following(live.id)}
    return [
        one.name
        for one in builder.mappings
        if one.name not in known
        or (known[one.name].version, known[one.name].recipe) != (one.version, recipe(one))
    ]


def _build(builder: Builder, live: Build) -> Build:
    """The build that an earlier deploy of the same code began; else a new one, everything hinted."""
    store, code = builder.store, {(one.name, one.version, recipe(one)) for one in builder.mappings}
    for left in store.builds.of(builder.target.name, "building"):
        known = {(one.mapping, one.version, one.recipe) for one in store.generations.following(left.id)}
        stands = left.identity is None or builder.records(left) is not None
        if known <= code and stands and store.builds.origin(left) is None:
            build = left
            break
        builder.pointing.remove(left)  # another code's, a restore's, or wiped
    else:
        build = builder.lease.under(lambda epoch: store.builds.begin(epoch, builder.target.name))
        passing("build-begun")
    for name, consumer in builder.begin_consumers(build).items():
        mapping = builder.pipeline.named(name)
        if not store.positions.of(consumer.id):
            begin = beginning(store, live, mapping.source.name)
            builder.lease.under(partial(store.positions.place, consumer=consumer.id, positions=begin))
        if store.backfills.newest(consumer.id) is None:
            builder.hint_all(consumer, mapping, "deploy", Trust.LEDGER)
    passing("build-hinted")
    return build


def beginning(store: Store, live: Build, source: str) -> dict[tuple[Stream, Lane], dict[int, int]]:
    """Where a new build begins to read a source's hints: none that it would pass over may be of a transaction
    that cannot be read yet. What the live build has settled can be; else what is old enough."""
    stream = source_stream(source)
    settled = [
        min(offsets.values())
        for one in store.generations.following(live.id)
        for (of, _), offsets in store.positions.of(one.id).items()
        if of == stream and offsets
    ]
    start = max(min(settled, default=0), store.journal.before(time.time() - YOUNG) or 0)
    places = dict.fromkeys(range(PARTITIONS), start)
    return dict.fromkeys(itertools.product([stream], Lane), places)
