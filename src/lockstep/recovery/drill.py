"""drill: a rehearsal. The newest saved state is brought back beside the rest, proven, and removed."""

from __future__ import annotations

import threading
import time
from functools import partial

from msgspec import Struct

from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.errors import LockstepError
from lockstep.operations.opened import existing
from lockstep.ports import Restorable
from lockstep.recovery.building import Builder, OnProgress
from lockstep.recovery.named import target_named
from lockstep.recovery.reviving import chosen, restorable, revive
from lockstep.state.builds import Build
from lockstep.state.events import Kind
from lockstep.state.snapshots import Snapshot


class Drilled(Struct, frozen=True):
    """What a rehearsal showed. `records` came back, `redriven` keys had been written or removed since and
    were hinted (None: all); `derived` were derived, with those of changes that waited; `age` of the saved
    state in seconds: what would be lost were the source lost too; `seconds` by step: `whole` is the time to
    recover."""

    target: str
    snapshot: int
    records: int
    redriven: int | None
    derived: int
    age: float
    seconds: dict[str, float]


def drill(
    pipeline: Pipeline,
    name: str | None = None,
    *,
    snapshot: str | None = None,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Drilled:
    """Rehearses a restore of a target into a scratch build, which nobody searches and which is removed at the
    end, whatever came out. The outcome is recorded. Beside a run, or without one.

    `name`: a mapping, or a target; not needed where there is one. Raises what a restore raises.
    """
    target = target_named(pipeline, name)
    restorable(target).close()
    with (
        existing(pipeline, Access.RUN) as store,
        Builder(pipeline, store, target, "drill", on_progress=on_progress, stop=stop) as builder,
    ):
        saved = chosen(store, target, snapshot)
        for left in store.builds.of(target.name, "scratch"):
            _tear_down(builder, left)
        number = store.drills.begin(target.name, saved.name)
        build = builder.lease.under(partial(store.builds.begin, target=target.name, scratch=True))
        try:
            done = _rehearse(builder, saved, build)
        except LockstepError as error:
            store.drills.end(number, "failed", str(error), {})
            store.events.note(Kind.DRILL_FAILED, target.name, f"saved state {saved.id}: {error}")
            raise
        finally:
            _tear_down(builder, build)
        store.snapshots.proven(saved.id)
        numbers = {
            "age": done.age,
            "records": done.records,
            "redriven": done.redriven,
            "derived": done.derived,
            **done.seconds,
        }
        store.drills.end(number, "passed", None, numbers)
        words = f"saved state {saved.id} came back in {done.seconds['whole']:.0f} seconds and agreed"
        store.events.note(Kind.DRILL_PASSED, target.name, words, numbers=numbers)
        return done


def _rehearse(builder: Builder, saved: Snapshot, build: Build) -> Drilled:
    begun = time.monotonic()
    revived = revive(builder, saved, build)
    filling = time.monotonic()
    builder.fill(build)
    filled = time.monotonic()
    return Drilled(
        builder.target.name,
        saved.id,
        revived.records,
        revived.redriven,
        builder.derived,
        time.time() - saved.begun_at,
        {**revived.seconds, "redrive and verify": filled - filling, "whole": filled - begun},
    )


def _tear_down(builder: Builder, build: Build) -> None:
    """Nothing is left of a rehearsal, in the target or in the books."""
    assert isinstance(builder.target, Restorable)
    builder.target.remove(build.number, build.marker)
    for consumer in builder.store.generations.following(build.id):
        builder.store.ledger.forget(consumer.id)
    builder.lease.under(partial(builder.store.builds.erase, build=build))
