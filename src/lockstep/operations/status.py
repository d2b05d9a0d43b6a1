"""status: what runs, how far it is behind, what is stuck. Reads the state store, never the pipeline."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from lockstep.declaration.pipeline import Pipeline
from lockstep.operations.health import PATIENCE, UNFOLLOWED, health
from lockstep.operations.holds import held
from lockstep.operations.opened import existing
from lockstep.operations.standing import BackfillStatus, Beside, MappingStatus, Rehearsal, SavedState, Status
from lockstep.place import Place
from lockstep.state.generations import Consumer
from lockstep.state.positions import settled_to
from lockstep.state.store import Store
from lockstep.values import Lane


def status(
    state: Place | Pipeline, *, patience: float = PATIENCE, verified_within: float | None = None
) -> Status:
    """What is known of a state store. Raises StateError where nothing ever ran.

    Ill is what has not got on for `patience` seconds, or was not verified for `verified_within`.
    """
    with existing(state) as store:
        last = store.runs.last()
        running = store.lock.holder()
        gauges = last.gauges if last else {}
        known = Status(
            str(store.place),
            running,
            last.outcome or ("died" if last and running is None else None) if last else None,
            last.seen_at if last else None,
            gauges.get("sources", {}),
            mapping_statuses(store, gauges.get("mappings", {}), running=running is not None),
            holds=tuple(held(one) for one in store.holds.all()),
            snapshots=tuple(
                SavedState(one.target, one.id, one.begun_at, one.records, one.size, one.proven_at)
                for one in store.snapshots.newest()
            ),
            drills=tuple(
                Rehearsal(one.target, one.snapshot, one.ended_at, one.outcome, one.reason, one.numbers)
                for one in store.drills.newest()
            ),
            builds=tuple(
                Beside(one.target, one.number, one.state, one.created_at, behind(store, one.id))
                for one in store.builds.beside()
            ),
        )
        ills = health(known, patience=patience, verified_within=verified_within)
        return msgspec.structs.replace(known, ills=tuple(ills))


def mapping_statuses(
    store: Store, gauges: dict[str, Any], *, running: bool = True
) -> tuple[MappingStatus, ...]:
    """The status of every mapping that is not retired. `gauges`: of the run that goes on, or of the last."""
    found = []
    for consumer in store.generations.consumers("running", "stopped"):
        last = gauges.get(consumer.mapping, {})
        worked = last.get("generation", consumer.number)  # an older run does not say
        own = last if running and worked == consumer.number else {}
        state, reason = own.get("state", "running"), own.get("reason", "")
        if running and worked != consumer.number:
            state, reason = _beside(store, consumer, worked)
        verified = store.generations.verified(consumer.id)
        found.append(
            MappingStatus(
                consumer.mapping,
                consumer.target,
                consumer.number,
                state if consumer.state == "running" else consumer.state,
                consumer.reason or reason,
                waiting(store, consumer, Lane.LIVE),
                waiting(store, consumer, Lane.BULK),
                store.stuck.count(consumer.id),
                _backfill(store, consumer, own.get("keys_per_second")),
                own,
                _lag(store, consumer),
                last.get("settled"),
                verified and verified[0],
                verified and verified[1],
            )
        )
    return tuple(found)


def _beside(store: Store, consumer: Consumer, worked: int) -> tuple[str, str]:
    """The state of a live build that the run does not follow, as it works another generation; and why."""
    beside = {build.id: store.at_work(build) for build in store.builds.worked_beside()}
    if (holder := beside.get(consumer.generation)) is not None:
        return "running", f"{holder}, which deployed it, follows it; the run that goes on has other code"
    return UNFOLLOWED, (
        f"nobody follows generation {consumer.number}: the run that goes on works generation {worked}, "
        "by other code"
    )


def waiting(store: Store, consumer: Consumer, lane: Lane, upto: int | None = None) -> int:
    """How many hints of a lane a consumer has not settled; of those that stem from up to an offset."""
    positions = store.positions.of(consumer.id)
    return sum(
        store.journal.waiting(stream, lane, settled_to(positions, stream, lane), upto)
        for stream in consumer.streams
    )


def behind(store: Store, build: int, upto: int | None = None) -> int:
    """How many hints a build has not seen; of those in the journal up to an offset, where one is given."""
    return sum(waiting(store, one, lane, upto) for one in store.generations.following(build) for lane in Lane)


def _lag(store: Store, consumer: Consumer) -> float | None:
    """How long the oldest hint that is not settled has been waiting."""
    positions = store.positions.of(consumer.id)
    oldest = [
        at
        for lane in Lane
        for stream in consumer.streams
        if (at := store.journal.oldest(stream, lane, settled_to(positions, stream, lane)))
    ]
    return max(time.time() - min(oldest), 0.0) if oldest else None


def _backfill(store: Store, consumer: Consumer, now_rate: float | None) -> BackfillStatus | None:
    known = store.backfills.newest(consumer.id)
    if known is None:
        return None
    rate = float(now_rate or 0)  # of the run that goes on; before it, nobody may have worked for days
    if known.finished_at is not None and known.finished_at > known.started_at:
        rate = known.done / (known.finished_at - known.started_at)
    left = max(known.total - known.done, 0)
    eta = None if known.finished_at is not None or rate <= 0 else left / rate
    return BackfillStatus(
        known.reason, known.done, known.total, rate, eta, known.started_at, known.finished_at
    )
