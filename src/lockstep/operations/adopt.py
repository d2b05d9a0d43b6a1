"""adopt: takes over a target that already holds records, without rewriting what is as it should be."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from lockstep.agreement.adoption import Adoption, Writing
from lockstep.agreement.matched import Example
from lockstep.agreement.report import Progress
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine import points
from lockstep.engine.consumers.beginning import begin_anew, begin_consumer
from lockstep.engine.hints.addressed import addressed
from lockstep.engine.holds.target_watch import identity_text
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.writing.opening import door_to
from lockstep.guard.door import Door
from lockstep.guard.policies import POLICIES, Closed
from lockstep.operations.adoptable import known_of, left_out, nothing_there
from lockstep.operations.opened import looking, opened, state_of
from lockstep.ports import Reader, adopting
from lockstep.state.events import Kind
from lockstep.state.lock import user
from lockstep.state.store import Store, exists
from lockstep.values import Key, Lane, Trust

OnProgress = Callable[[Progress], None]


class Adopted(Struct, frozen=True):
    """What was found, by kind (see `agreement.adoption.Adoption`), and what became of it.

    outcome  planned, adopted, interrupted (ask again: it goes on); nothing: no record stands there; absent:
             no table or index
    readers  what readers of the target still find, until `move_readers`; None where they find what is ours
    left_out  mappings that write to the same target and have taken over nothing yet: the next run writes what
             they mean over what stands there
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
    left_out: tuple[str, ...] = ()


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

    Raises StateInUse while a run goes on, Declined where the target cannot be taken over, TargetReplaced
    where one that was ours is gone.
    """
    require_pipeline(pipeline)
    declared = pipeline.named(mapping)
    stopped = (stop or threading.Event()).is_set
    if spec := os.environ.get("LOCKSTEP_CRASH"):
        points.die_at(spec)
    if dry_run:
        with looking(pipeline) as looked:
            return _plan(pipeline, declared, looked, stopped, on_progress)
    if not exists(state_of(pipeline)) and (why := _nothing_yet(pipeline, declared)):
        return _nothing(declared, why)
    with opened(pipeline) as store:
        store.lock.take()
        return _take(pipeline, declared, store, take_different, stopped, on_progress)


def _plan(
    pipeline: Pipeline,
    declared: Mapping,
    store: Store | None,
    stopped: Callable[[], bool],
    on_progress: OnProgress | None,
) -> Adopted:
    known = known_of(pipeline, declared, store)
    begun = time.time()
    with _Open(declared, known.number, store, None) as (door, reader):
        if why := nothing_there(declared, door, known):
            return _nothing(declared, why)
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
    known = known_of(pipeline, declared, store)
    with _Open(declared, known.number, store, lease) as (door, reader):
        if why := nothing_there(declared, door, known):
            return _nothing(declared, why)
        if known.lost:  # and there is something in its place: not before is its ledger given up
            lease.under(lambda epoch: begin_anew(store, epoch, pipeline.filling(declared.target)))
        consumer = store.generations.consumer(declared.name, declared.target.name)
        consumer = consumer or begin_consumer(declared, store, lease)
        claims = pipeline.claims(declared)
        left = door.leave(adopting(consumer.marker, declared.name))
        passing("created")
        know = store.generations.know_identity
        lease.under(partial(know, generation=consumer.generation, identity=identity_text(left)))
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
        answer = replace(answer, left_out=left_out(declared, known, store))
        said = ", ".join(f"{count:,} {kind}" for kind, count in answer.counts.items())
        text = f"had {declared.target.name} taken over ({outcome}): {said}"
        store.events.note(Kind.ADOPTED, declared.name, text, who=user(), numbers=dict(answer.counts))
        return answer


def _nothing_yet(pipeline: Pipeline, declared: Mapping) -> str | None:
    """As `nothing_there`, where no state store was made yet: none is made for that."""
    with _Open(declared, 1, None, None) as (door, _):
        return nothing_there(declared, door, known_of(pipeline, declared, None))


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


def _nothing(declared: Mapping, outcome: str) -> Adopted:
    return Adopted(declared.name, declared.target.name, outcome, {}, (), 0, 0, False, 0.0)


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
