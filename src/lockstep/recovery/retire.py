"""retire: what is kept beside a live build is removed for good."""

from __future__ import annotations

from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.operations.opened import existing
from lockstep.operations.reason import require_reason
from lockstep.recovery.building import Builder
from lockstep.recovery.named import target_named
from lockstep.state.builds import Build
from lockstep.state.events import Kind
from lockstep.state.lock import user


def retire(
    pipeline: Pipeline, name: str | None = None, *, unfinished: bool = False, why: str | None = None
) -> tuple[Build, ...]:
    """Removes the kept build of a target: nobody can roll back to it from then on. With `unfinished` also
    what a deploy or restore has begun and not finished. Returns those removed.

    `name`: a mapping, or a target; not needed where there is one. `why`: for the timeline.
    Raises StateInUse while one is filled.
    """
    require_reason(why)
    target = target_named(pipeline, name)
    with existing(pipeline, Access.RUN) as store, Builder(pipeline, store, target, "retire") as builder:
        builder.pointing.finish()
        states = ("kept", "building", "scratch") if unfinished else ("kept",)
        found = store.builds.of(target.name, *states)
        for build in found:
            builder.pointing.remove(build)
            text = f"generation {build.number} was removed"
            store.events.note(Kind.RETIRED, target.name, text, who=user(), why=why)
        return tuple(found)
