"""restore: a saved state of a target becomes its live build again, with all that changed since."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from functools import partial

from msgspec import Struct

from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.holds.target_watch import identity_text
from lockstep.engine.points import passing
from lockstep.errors import Declined
from lockstep.operations.opened import closed_door, existing
from lockstep.operations.reason import require_reason
from lockstep.ports import Generational
from lockstep.recovery import asking
from lockstep.recovery.building import Builder, OnProgress
from lockstep.recovery.named import target_named
from lockstep.recovery.reviving import Damaged, Revived, chosen, restorable, revive
from lockstep.state.builds import Build
from lockstep.state.events import Kind
from lockstep.state.lock import user
from lockstep.state.snapshots import Snapshot
from lockstep.state.store import Store


class Restored(Struct, frozen=True):
    """What a restore did. `records` came back with the saved state, `redriven` keys had been written or
    removed since and were hinted (None: all); `derived` were derived, with those of changes that waited;
    `reports` are the checks that showed agreement; `age` of the saved state and `seconds` by step;
    `live`: whether it took the live build's place; `damaged`: newer saved states, which were passed over."""

    target: str
    snapshot: int
    generation: int
    records: int
    redriven: int | None
    derived: int
    reports: tuple[int, ...]
    age: float
    seconds: dict[str, float]
    live: bool
    damaged: tuple[int, ...] = ()


def restore(
    pipeline: Pipeline,
    name: str | None = None,
    *,
    snapshot: str | None = None,
    replace: bool = False,
    beside: bool = False,
    fewer: bool = False,
    despite_holds: bool = False,
    why: str | None = None,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Restored:
    """Restores a target from a saved state, hints what changed since, proves agreement, and makes it live.

    `name`: a mapping, or a target; not needed where there is one. `snapshot`: a number or name, the
    newest whole one where none is given. `replace`: also where the live build is in good health.
    `beside`: it is filled and proven beside the live build, and stays there. A run may go on meanwhile.
    `fewer`: it may hold far fewer records than the live build should. `despite_holds`: although the guard
    holds changes of the live build. `why`: for the timeline.
    Asked again after a crash or `stop`, it goes on. Raises Declined, NothingYet, Disagreement.
    """
    require_reason(why)
    target = target_named(pipeline, name)
    restorable(target).close()
    begun = time.monotonic()
    with (
        existing(pipeline, Access.RUN) as store,
        Builder(
            pipeline, store, target, "restore", unasked=fewer, on_progress=on_progress, stop=stop
        ) as builder,
    ):
        builder.pointing.finish()
        live = store.builds.one(target.name, "live")
        saved = chosen(store, target, snapshot)
        _assert_wanted(builder, live, saved, replace=replace, beside=beside)
        before = None if live is None else known_records(store, live)
        if live is not None and not beside and not despite_holds:
            asking.nothing_held(store, live)
        saved, build, revived, damaged = _whole(builder, saved, why, named=snapshot is not None)
        filling = time.monotonic()
        with _told(builder):
            reports = builder.fill(build)
        filled = time.monotonic()
        if not beside:
            builder.swap(build, live, before, fewer=fewer)
        store.snapshots.proven(saved.id)
        seconds = {**revived.seconds, "redrive and verify": filled - filling}
        done = Restored(
            target.name,
            saved.id,
            build.number,
            revived.records,
            revived.redriven,
            builder.derived,
            tuple(report.id for report in reports if report.id is not None),
            time.time() - saved.begun_at,
            {**seconds, "whole": time.monotonic() - begun},
            not beside,
            damaged,
        )
        store.events.note(
            Kind.RESTORE_DONE,
            target.name,
            f"saved state {saved.id} is back and agrees"
            + ("" if beside else f"; generation {build.number} is live"),
            numbers={
                "records": done.records,
                "redriven": done.redriven,
                "derived": done.derived,
                "seconds": done.seconds["whole"],
            },
        )
        return done


def _assert_wanted(
    builder: Builder, live: Build | None, saved: Snapshot, *, replace: bool, beside: bool
) -> None:
    """Raises Declined where there is no room beside the live build, or nothing is wrong with it."""
    target = builder.target
    if beside and not isinstance(target, Generational):
        raise Declined(f"{target.name} has one build only", "Leave --beside out.")
    if live is not None and not replace and not beside and healthy(builder, live):
        raise Declined(
            f"{target.name} stands and holds what it should: there is nothing to bring back",
            f"To put saved state {saved.id} in its place all the same: --replace. To look at it first: "
            "--beside, or `lockstep drill`.",
        )


def _whole(
    builder: Builder, saved: Snapshot, why: str | None, *, named: bool
) -> tuple[Snapshot, Build, Revived, tuple[int, ...]]:
    """The saved state that is back, as which build, and the damaged ones that were passed over: an older one
    takes the place of one that nobody `named`. Raises Damaged where there is none."""
    damaged: tuple[int, ...] = ()
    while True:
        try:
            return saved, *_revived(builder, saved, why), damaged
        except Damaged:
            builder.pointing.finish()
            older = builder.store.snapshots.of(builder.target.name, "whole")
            if named or not older:
                raise
            damaged, saved = (*damaged, saved.id), older[-1]


def _revived(builder: Builder, saved: Snapshot, why: str | None) -> tuple[Build, Revived]:
    """The build that a saved state became. Raises Damaged."""
    build = _build(builder, saved)
    text = f"saved state {saved.id} is restored as generation {build.number}"
    builder.store.events.note(Kind.RESTORE_BEGUN, builder.target.name, text, who=user(), why=why)
    with _told(builder):
        return build, revive(builder, saved, build)


@contextlib.contextmanager
def _told(builder: Builder) -> Iterator[None]:
    """What fails is in the timeline."""
    try:
        yield
    except Exception as error:
        builder.store.events.note(Kind.RESTORE_FAILED, builder.target.name, str(error))
        raise


def healthy(builder: Builder, build: Build) -> bool:
    """Whether a build is itself and holds what it should, as far as its number of records tells."""
    with closed_door(builder.mappings[0], build.number, builder.store) as door:
        found = door.identity()
        if found is None or found.marker != build.marker or identity_text(found) != build.identity:
            return False
        records = door.contents().records
    return 2 * records >= known_records(builder.store, build)


def known_records(store: Store, build: Build) -> int:
    """How many records a build should hold, as its ledger says."""
    return sum(store.ledger.count(one.id) for one in store.generations.following(build.id))


def _build(builder: Builder, saved: Snapshot) -> Build:
    """The build that an earlier restore of the same saved state began; else a new one."""
    store = builder.store
    for left in store.builds.of(builder.target.name, "building"):
        if store.builds.origin(left) == saved.name:
            if left.identity is None or healthy(builder, left):
                return left
            builder.pointing.remove(left)  # it was wiped or emptied meanwhile
    build = builder.lease.under(partial(store.builds.begin, target=builder.target.name))
    builder.lease.under(partial(store.builds.note_origin, build=build, snapshot=saved.name))
    passing("build-begun")
    return build
