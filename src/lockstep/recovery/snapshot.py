"""snapshot: a saved state of a target, with what it holds for certain."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import msgspec
from msgspec import Struct

from lockstep.agreement.report import Progress
from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.holds.target_watch import built_anew, identity_text
from lockstep.engine.points import passing
from lockstep.errors import Cancelled, Declined, LockstepError, NothingYet
from lockstep.operations.opened import closed_door, existing
from lockstep.ports import Repository, Target
from lockstep.recovery.building import OnProgress
from lockstep.recovery.named import target_named
from lockstep.recovery.reviving import restorable, watched
from lockstep.state.builds import Build
from lockstep.state.events import Kind
from lockstep.state.snapshots import Snapshot, Taken
from lockstep.state.store import Store


class Kept(Struct, frozen=True):
    """What a snapshot did: the saved state, and the older ones that were forgotten."""

    snapshot: Snapshot
    forgotten: tuple[int, ...]


def snapshot(
    pipeline: Pipeline,
    name: str | None = None,
    *,
    keep: int | None = None,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> Kept:
    """Saves the live build of a target, beside a run or without one. With `keep`, only so many whole ones are
    kept: the newest, and the newest that was ever proven.

    `name`: a mapping, or a target; not needed where there is one. Raises Declined where the target is not
    what it should be: what is lost must not push out what could bring it back.
    """
    target = target_named(pipeline, name)
    halt = stop or threading.Event()

    def tell(stage: str, done: int, total: int) -> None:
        if on_progress is not None:
            on_progress(Progress(stage, done, total))
        if halt.is_set():
            raise Cancelled("cancelled", "What is half saved is removed with the next snapshot.")

    with existing(pipeline, Access.RUN) as store:
        live = store.builds.one(target.name, "live")
        if live is None:
            raise NothingYet(f"{target.name} was never filled", "Start with `lockstep run`.")
        store.snapshot_lock.take()  # what another one saves just now must not look half-made
        records = _whole(pipeline, target, store, live)
        _clear(store, target)
        taken = {
            one.mapping: Taken(one.id, one.version, store.inheritance.floor(one.id))
            for one in store.generations.following(live.id)
            if one.state != "retired"
        }
        with contextlib.closing(restorable(target)) as repository:  # where it has none, nothing is begun
            begun = store.snapshots.begin(target.name, live.id, taken)
            passing("snapshot-begun")
            _save(store, target, repository, live, begun, records, tell)
        found = store.snapshots.get(begun.id)
        assert found is not None
        words = f"saved state {found.id} of generation {live.number}: {found.records or records:,} records"
        store.events.note(Kind.SNAPSHOT_TAKEN, target.name, words)
        return Kept(found, _prune(store, target, keep))


def _save(
    store: Store,
    target: Target,
    repository: Repository,
    live: Build,
    begun: Snapshot,
    records: int,
    tell: Callable[[str, int, int], None],
) -> None:
    try:
        saved = watched(
            tell,
            repository,
            f"saving {begun.name}",
            records,
            lambda: repository.save(live.number, begun.name),
        )
    except LockstepError as error:
        store.snapshots.failed(begun.id, str(error))
        store.events.note(Kind.SNAPSHOT_FAILED, target.name, str(error))
        raise
    passing("snapshot-saved")
    if saved.records is None:
        saved = msgspec.structs.replace(saved, records=records)
    store.snapshots.whole(begun.id, saved)


def _whole(pipeline: Pipeline, target: Target, store: Store, live: Build) -> int:
    """How many records it holds. Raises Declined where it is not itself, or holds far fewer than it
    should."""
    mapping = next(one for one in pipeline.mappings.values() if one.target.name == target.name)
    with closed_door(mapping, live.number, store) as door:
        found = door.identity()
        if found is None or identity_text(found) != live.identity or found.marker != live.marker:
            raise Declined(
                f"{target.name} is gone, or another one than before: it is not saved",
                f"`lockstep status` says what happened. {_back(target, store)}",
            )
        records = door.contents().records
    known = sum(store.ledger.count(one.id) for one in store.generations.following(live.id))
    if known >= 100 and 2 * records < known:
        raise Declined(
            f"{target.name} should hold {known:,} records and holds {records:,}: it is not saved",
            _back(target, store),
        )
    return records


def _back(target: Target, store: Store) -> str:
    """What brings a lost target back."""
    if store.snapshots.of(target.name, "whole"):
        return f"`lockstep restore {target.name}` brings back the newest saved state; all are kept."
    return f"None was saved before: {built_anew(target)} builds it anew from its source."


def _clear(store: Store, target: Target) -> None:
    """Removes what an earlier snapshot left half-made."""
    half = store.snapshots.of(target.name, "taking")
    if not half:
        return
    repository = restorable(target)
    try:
        for one in half:
            repository.forget(one.name)
            store.snapshots.failed(one.id, "it was broken off")
    finally:
        repository.close()


def _prune(store: Store, target: Target, keep: int | None) -> tuple[int, ...]:
    """Forgets the oldest, beyond those to keep."""
    if keep is None:
        return ()
    restoring = {store.builds.origin(build) for build in store.builds.of(target.name, "building", "scratch")}
    whole = [one for one in store.snapshots.of(target.name, "whole") if one.name not in restoring]
    proven = [one.id for one in whole if one.proven_at is not None]
    gone = [one for one in whole[: max(len(whole) - keep, 0)] if one.id not in proven[-1:]]
    repository = restorable(target)
    try:
        for one in gone:
            repository.forget(one.name)
            store.snapshots.forgotten(one.id)
    finally:
        repository.close()
    if gone:
        store.events.note(Kind.SNAPSHOT_PRUNED, target.name, f"{len(gone)} forgotten, {keep} kept")
    return tuple(one.id for one in gone)
