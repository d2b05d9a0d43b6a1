"""adopt: takes over a target that already holds records, without rewriting what is as it should be."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct

from lockstep.agreement.adoption import Adoption, Writing
from lockstep.agreement.matched import Example
from lockstep.agreement.report import Progress
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine import points
from lockstep.engine.consumers.beginning import begin_anew, begin_consumer
from lockstep.engine.hints.addressed import addressed
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.writing.opening import door_to
from lockstep.errors import Declined
from lockstep.guard.door import Door
from lockstep.guard.policies import POLICIES, Closed
from lockstep.operations.opened import closed_door, looking, opened
from lockstep.operations.readers import lost
from lockstep.ports import ADOPTING, Reader
from lockstep.state.events import Kind
from lockstep.state.lock import user
from lockstep.state.store import Store
from lockstep.values import Key, Lane, Trust

OnProgress = Callable[[Progress], None]


class Adopted(Struct, frozen=True):
    """What was found, by kind (see `agreement.adoption.Adoption`), and what became of it.

    outcome  planned, adopted, interrupted (ask again: it goes on), or nothing: no record stands there
    readers  what readers of the target still find, until `move_readers`; None where they find what is ours
    """

    mapping: str
    target: str
    outcome: str
    counts: dict[str, int]
    examples: tuple[Example, ...]
    source_keys: int
    target_records: int
    taken_over: bool
    seconds: float
    readers: str | None = None


def adopt(
    pipeline: Pipeline,
    mapping: str,
    *,
    dry_run: bool = False,
    take_different: bool = False,
    stop: threading.Event | None = None,
    on_progress: OnProgress | None = None,
) -> Adopted:
    """Matches what stands in a mapping's target with what the source means, and takes it over.

    What is equal gets Lockstep's metadata and is not written again. What differs is left until the source
    changes it, or (`take_different`) is written by the next run. What the target alone holds is left.
    `stop`: set it to end after the page at hand. Safe to repeat, also after a crash.

    Raises StateInUse while a run goes on, Declined where the target cannot be taken over.
    """
    require_pipeline(pipeline)
    declared = pipeline.named(mapping)
    stopped = (stop or threading.Event()).is_set
    if spec := os.environ.get("LOCKSTEP_CRASH"):
        points.die_at(spec)
    if dry_run:
        return _plan(pipeline, declared, stopped, on_progress)
    if not _stands(declared, 1):
        return _nothing(declared)
    with opened(pipeline) as store:
        store.lock.take()
        return _take(pipeline, declared, store, take_different, stopped, on_progress)


def _plan(
    pipeline: Pipeline, declared: Mapping, stopped: Callable[[], bool], on_progress: OnProgress | None
) -> Adopted:
    with looking(pipeline) as store:
        consumer = None if store is None else store.generations.consumer(declared.name, declared.target.name)
        live = None if store is None else store.generations.live(declared.target.name)
        number, marker = (live[1], live[2]) if live else (1, None)
        if live and _lost(declared, number, store):
            number, marker, consumer = number + 1, None, None
        rows = store.ledger.count(consumer.id) if store is not None and consumer is not None else 0
        if not _stands(declared, number):
            return _nothing(declared)
        begun = time.time()
        with _Open(declared, number, store, None) as (door, reader):
            _may(declared, door, marker, rows)
            adoption = Adoption(declared, reader, door, None, on_progress, stopped)
            whole = adoption.over_source() and adoption.over_target()
            return _answer(declared, adoption, "planned" if whole else "interrupted", begun)


def _take(
    pipeline: Pipeline,
    declared: Mapping,
    store: Store,
    take: bool,
    stopped: Callable[[], bool],
    on_progress: OnProgress | None,
) -> Adopted:
    begun = time.time()
    lease = Lease(store)
    live = store.generations.live(declared.target.name)
    if live and _lost(declared, live[1], store):
        _anew(pipeline, declared, store, lease)
    live = store.generations.live(declared.target.name)
    known = store.generations.consumer(declared.name, declared.target.name)
    with _Open(declared, live[1] if live else 1, store, lease) as (door, reader):
        rows = 0 if known is None else store.ledger.count(known.id)
        _may(declared, door, live[2] if live else None, rows)
        consumer = known or begin_consumer(declared, store, lease)
        claims = pipeline.claims(declared)
        door.leave(ADOPTING + consumer.marker)
        passing("created")
        lease.rise_above(door.contents().highest)
        lease.under(partial(store.generations.note_claims, consumer=consumer.id, claims=claims))
        lease.under(
            lambda epoch: store.ledger.void_intents(epoch, consumer.id, declared.default_key)
        )  # of an adoption that was killed: each of those keys is met again below
        table = declared.root.table.name

        def hint(keys: Sequence[Key]) -> None:
            store.journal.append(addressed(consumer.id, table, keys, "adopt", Trust.TARGET, Lane.BULK))

        writing = Writing(consumer.id, consumer.generation, store.ledger, lease, claims, hint, take)
        adoption = Adoption(declared, reader, door, writing, on_progress, stopped)
        outcome = "interrupted"
        if (
            adoption.over_source()
            and adoption.over_target()
            and door.carry_over(_counting(adoption.target_records, on_progress), stopped)
        ):
            passing("carried")
            door.leave(consumer.marker)
            outcome = "adopted"
        answer = _answer(declared, adoption, outcome, begun, taken_over=True, readers=door.readers())
        said = ", ".join(f"{count:,} {kind}" for kind, count in answer.counts.items())
        text = f"had {declared.target.name} taken over ({outcome}): {said}"
        store.events.note(Kind.ADOPTED, declared.name, text, who=user(), numbers=dict(answer.counts))
        return answer


def _lost(declared: Mapping, number: int, store: Store | None) -> bool:
    """Whether the build that an earlier adoption made is gone."""
    with closed_door(declared, number, store) as door:
        return lost(door)


def _anew(pipeline: Pipeline, declared: Mapping, store: Store, lease: Lease) -> None:
    """Another build takes the place of one that is gone: of that nothing is known any more."""
    lease.under(lambda epoch: begin_anew(store, epoch, pipeline.filling(declared.target)))


def _stands(declared: Mapping, number: int) -> bool:
    """Whether any record stands there. Raises Declined where it could not be taken over."""
    with _Open(declared, number, None, None) as (door, _):
        return bool(door.foreign().records())


def _may(declared: Mapping, door: Door, marker: str | None, rows: int) -> None:
    """Raises Declined where what stands there is another state store's, or ours already."""
    found = door.foreign().marker()
    if found is None or found == ADOPTING + str(marker):
        return
    name = declared.target.name
    if found != marker:
        raise Declined(
            f"{name} is kept by Lockstep already, from another state store (marker {found})",
            "Run against the state that made it. Two state stores cannot keep one target.",
        )
    if rows:
        raise Declined(
            f"{name} is taken over already: the ledger of {declared.name} knows {rows:,} keys",
            f"`lockstep verify {declared.name} --deep` shows what differs, `lockstep repair {declared.name}` "
            "mends it.",
        )


class _Open:
    """The target, and the source beside it, to be closed. Without a lease it is only to look at."""

    def __init__(self, declared: Mapping, number: int, store: Store | None, lease: Lease | None) -> None:
        policies = (Closed(),) if lease is None else POLICIES
        self._door = door_to(declared.target, number, store, lease, declared.guard, policies)
        self._reader = declared.source.reader()

    def __enter__(self) -> tuple[Door, Reader]:
        return self._door, self._reader

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._door.close()


def _nothing(declared: Mapping) -> Adopted:
    return Adopted(declared.name, declared.target.name, "nothing", {}, (), 0, 0, False, 0.0)


def _answer(
    declared: Mapping,
    done: Adoption,
    outcome: str,
    begun: float,
    *,
    taken_over: bool = False,
    readers: str | None = None,
) -> Adopted:
    return Adopted(
        declared.name,
        declared.target.name,
        outcome,
        {kind: count for kind, count in sorted(done.counts.items()) if count},
        tuple(one for some in done.examples.values() for one in some),
        done.source_keys,
        done.target_records,
        taken_over,
        time.time() - begun,
        readers,
    )


def _counting(total: int, on_progress: OnProgress | None) -> Callable[[int], None]:
    done = 0

    def note(more: int) -> None:
        nonlocal done
        done += more
        if on_progress is not None:
            on_progress(Progress("carry", done, max(done, total)))

    return note
