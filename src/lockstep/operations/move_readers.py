"""move_readers: readers of a target that was taken over find, from one moment on, what Lockstep keeps."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from msgspec import Struct, structs

from lockstep.agreement.report import Progress
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine import points
from lockstep.engine.lease import Lease
from lockstep.engine.points import passing
from lockstep.engine.writing.opening import door_to
from lockstep.errors import Declined, SystemError_
from lockstep.guard.door import Door
from lockstep.guard.policies import POLICIES, Closed
from lockstep.limits import Numbers
from lockstep.operations.adopt import OnProgress
from lockstep.operations.opened import looking, opened
from lockstep.operations.readers import assert_not_lost
from lockstep.operations.returned import standing_again
from lockstep.ports import Moving, half_adopted, half_taken
from lockstep.state.events import Kind
from lockstep.state.lock import user
from lockstep.state.store import Store


class Moved(Struct, frozen=True):
    """What became of the readers of a target.

    outcome      planned, moved, interrupted (all is as before), or already: they find it since earlier
    before       what they found
    kept         under what name that stays, as it was, taking no writes
    aliases      other names that were moved with it
    left_behind  other names that go on leading to what is kept
    carried, removed  records of others that were copied, or taken away, to catch up with later writes
    returned     records of others that stand now where Lockstep had removed one, as its source went: what
                 `repair --extras` takes away. None where the target did not answer that
    """

    mapping: str
    target: str
    outcome: str
    before: str | None
    kept: str | None
    aliases: tuple[str, ...]
    left_behind: tuple[str, ...]
    carried: int
    removed: int
    seconds: float
    returned: int | None = 0


def move_readers(
    pipeline: Pipeline,
    mapping: str,
    *,
    dry_run: bool = False,
    stop: threading.Event | None = None,
    on_progress: OnProgress | None = None,
) -> Moved:
    """Moves readers of a mapping's target to what was taken over by `adopt`. What they found before stays.

    Others cannot write to it meanwhile, nor afterwards. Safe to repeat, also after a crash.

    Raises StateInUse while a run goes on, Declined where nothing was taken over or readers find another
    thing.
    """
    require_pipeline(pipeline)
    declared = pipeline.named(mapping)
    if spec := os.environ.get("LOCKSTEP_CRASH"):
        points.die_at(spec)
    if dry_run:
        with looking(pipeline) as store, _door(declared, store, None) as door:
            return _moved(declared, door.move_readers(), "planned", time.time())
    with opened(pipeline) as store:
        store.lock.take()
        with _door(declared, store, Lease(store)) as door:
            return _move(declared, store, door, (stop or threading.Event()), on_progress)


def _move(
    declared: Mapping, store: Store, door: Door, stop: threading.Event, on_progress: OnProgress | None
) -> Moved:
    begun, done = time.time(), 0
    door.judge(Numbers())
    moving = door.move_readers()

    def note(more: int) -> None:
        nonlocal done
        done += more
        if on_progress is not None:
            on_progress(Progress("carry", done, done))

    outcome = "already" if moving.before is None else "interrupted"
    with contextlib.closing(moving.steps(note, stop.is_set)) as steps:
        for step in steps:
            if step == "moved":
                outcome = "moved"
                _tell(declared, store, moving)  # whatever fails from here on, they were moved
            passing("moving")
    answer = _moved(declared, moving, outcome, begun)
    if outcome == "moved":
        answer = structs.replace(answer, returned=_returned(declared, store, door))
    return answer


def _tell(declared: Mapping, store: Store, moving: Moving) -> None:
    text = f"had readers of {declared.target.name} moved from {moving.before}, which stays as {moving.kept}"
    store.events.note(Kind.ADOPTED, declared.name, text, who=user())


def _returned(declared: Mapping, store: Store, door: Door) -> int | None:
    """How many records are back that Lockstep had removed; None where the target does not answer."""
    with contextlib.suppress(SystemError_):
        return standing_again(declared, store, door)
    return None


@contextlib.contextmanager
def _door(declared: Mapping, store: Store | None, lease: Lease | None) -> Iterator[Door]:
    """The target as it was taken over. Raises Declined where it was not, or only half."""
    live = None if store is None else store.generations.live(declared.target.name)
    if store is None or live is None:
        raise Declined(
            f"{declared.target.name} was not taken over: this state store does not know it",
            f"Take it over first: `lockstep adopt {declared.name}`.",
        )
    policies = (Closed(),) if lease is None else POLICIES
    with contextlib.closing(
        door_to(declared.target, live[1], store, lease, declared.guard, policies)
    ) as door:
        found = door.identity()
        if found is None:
            assert_not_lost(declared, live[1], store, door)
        if found is None or found.marker != live[2]:
            half = None if found is None else half_taken(found.marker, live[2])
            if half is not None:
                raise half_adopted(declared.target.name, half, declared.name)
            raise Declined(
                f"{declared.target.name} is not taken over", f"Run `lockstep adopt {declared.name}` first."
            )
        yield door


def _moved(declared: Mapping, moving: Moving, outcome: str, begun: float) -> Moved:
    if outcome == "planned" and moving.before is None:
        outcome = "already"
    return Moved(
        declared.name,
        declared.target.name,
        outcome,
        moving.before,
        moving.kept,
        moving.aliases,
        moving.left_behind,
        moving.carried,
        moving.removed,
        time.time() - begun,
    )
