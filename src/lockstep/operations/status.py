"""status: what runs, how far it is behind, what is stuck. Reads the state store, never the pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct

from lockstep.operations.opened import existing
from lockstep.pipeline import Pipeline
from lockstep.state.generations import Consumer
from lockstep.state.store import Store
from lockstep.values import Lane, consumer_stream, source_stream


class BackfillStatus(Struct, frozen=True):
    """A pass over all keys: `total` is an estimate; `rate` in keys a second, `eta` in seconds."""

    reason: str
    done: int
    total: int
    rate: float
    eta: float | None
    started_at: float
    finished_at: float | None


class MappingStatus(Struct, frozen=True):
    """One mapping. `waiting_live` and `waiting_bulk` count hints not settled yet."""

    name: str
    target: str
    generation: int
    state: str
    reason: str
    waiting_live: int
    waiting_bulk: int
    stuck: int
    backfill: BackfillStatus | None
    gauges: dict[str, Any]


class Status(Struct, frozen=True):
    """A state store at a glance. `running` says who runs it, None when nobody does."""

    state: str
    running: str | None
    last_outcome: str | None
    seen_at: float | None
    sources: dict[str, Any]
    mappings: tuple[MappingStatus, ...]


def status(state: Path | Pipeline) -> Status:
    """What is known of a state store. Raises StateError where nothing ever ran."""
    with existing(state) as store:
        last = store.runs.last()
        running = store.lock.holder()
        gauges = last.gauges if last else {}
        return Status(
            str(store.directory),
            running,
            last.outcome or ("died" if last and running is None else None) if last else None,
            last.seen_at if last else None,
            gauges.get("sources", {}),
            mapping_statuses(store, gauges.get("mappings", {}) if running else {}),
        )


def mapping_statuses(store: Store, gauges: dict[str, Any] | None = None) -> tuple[MappingStatus, ...]:
    """The status of every mapping that is not retired."""
    found = []
    for consumer in store.generations.consumers("running", "stopped"):
        own = (gauges or {}).get(consumer.mapping, {})
        found.append(
            MappingStatus(
                consumer.mapping,
                consumer.target,
                consumer.number,
                consumer.state if consumer.state != "running" else own.get("state", "running"),
                consumer.reason or own.get("reason", ""),
                _waiting(store, consumer, Lane.LIVE),
                _waiting(store, consumer, Lane.BULK),
                store.stuck.count(consumer.id),
                _backfill(store, consumer, own.get("keys_per_second")),
                own,
            )
        )
    return tuple(found)


def _waiting(store: Store, consumer: Consumer, lane: Lane) -> int:
    positions = store.ledger.positions(consumer.id)
    waiting = 0
    for stream in (source_stream(consumer.source), consumer_stream(consumer.id)):
        offsets = positions.get((stream, lane), {})
        waiting += store.journal.waiting(stream, lane, max(offsets.values(), default=0))
    return waiting


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
