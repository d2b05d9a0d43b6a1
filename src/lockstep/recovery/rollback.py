"""rollback: the build that a deploy took the place of becomes the live one again."""

from __future__ import annotations

import threading
import time

from msgspec import Struct

from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.recipe import recipe
from lockstep.errors import Declined, UsageError
from lockstep.operations.opened import existing
from lockstep.operations.reason import require_reason
from lockstep.operations.status import behind
from lockstep.ports import Generational
from lockstep.recovery.building import Builder, OnProgress
from lockstep.recovery.named import target_named
from lockstep.recovery.restore import healthy
from lockstep.state.builds import Build
from lockstep.state.events import Kind
from lockstep.state.lock import user
from lockstep.state.store import Store

_FOLLOWED_WITHIN = 5.0
"""Seconds within which a kept build that somebody follows gets on with what is in the journal."""


class RolledBack(Struct, frozen=True):
    """What a rollback did. `how`: "at once", as the kept build was followed all the time; "caught up", by the
    code at hand; "as it stands", however far it is behind. `behind`: hints that it has not seen yet."""

    target: str
    generation: int
    before: int
    how: str
    behind: int
    seconds: float


def rollback(
    pipeline: Pipeline,
    name: str | None = None,
    *,
    as_it_stands: bool = False,
    why: str | None = None,
    on_progress: OnProgress | None = None,
    stop: threading.Event | None = None,
) -> RolledBack:
    """Makes the kept build of a target the live one again; the live one is kept in its place.

    At once where a process that has its code has followed it all the time; else the code at hand must be
    the one that filled it: then it catches up first. `as_it_stands`: swapped however far it is behind.
    `name`: a mapping, or a target. `why`: for the timeline.
    Raises Declined where none of these holds, or the kept build was lost or emptied; UsageError where nothing
    is kept.
    """
    require_reason(why)
    target = target_named(pipeline, name)
    begun = time.monotonic()
    with (
        existing(pipeline, Access.RUN) as store,
        Builder(pipeline, store, target, "rollback", on_progress=on_progress, stop=stop) as builder,
    ):
        builder.pointing.finish()
        live = store.builds.one(target.name, "live")
        kept = store.builds.one(target.name, "kept")
        if live is None or kept is None or not isinstance(target, Generational):
            raise UsageError(
                f"no build of {target.name} is kept to go back to",
                "A deploy keeps the one before until `lockstep retire` or the next one. `lockstep restore` "
                "brings a saved state back; `lockstep deploy` with the old code builds anew.",
            )
        if not healthy(builder, kept):
            raise Declined(
                f"generation {kept.number} of {target.name} is gone, another one, or holds less than half of "
                "what it should: nobody is pointed to it",
                f"Generation {live.number} stays live. `lockstep retire` forgets what is left of the other; "
                "`lockstep restore`, or `lockstep deploy` with the old code, builds one that is whole.",
            )
        how, unseen = _ready(builder, kept, as_it_stands=as_it_stands)
        builder.pointing.make_live(kept, keep=builder.records(live) is not None)
        store.events.note(
            Kind.ROLLED_BACK,
            target.name,
            f"generation {kept.number} is live again, in place of {live.number} ({how})",
            who=user(),
            why=why,
            numbers={"behind": unseen},
        )
        return RolledBack(target.name, kept.number, live.number, how, unseen, time.monotonic() - begun)


def _ready(builder: Builder, kept: Build, *, as_it_stands: bool) -> tuple[str, int]:
    """How the kept build can take its place again, and how many hints it has not seen."""
    store = builder.store
    if as_it_stands:
        return "as it stands", behind(store, kept.id)
    known = {(one.mapping, one.version, one.recipe) for one in store.generations.following(kept.id)}
    ours = known == {(one.name, one.version, recipe(one)) for one in builder.mappings}
    if not builder.alone:
        if _followed(store, kept):
            return "at once", 0
        if ours:  # it may be the run's to work, and two must not
            raise Declined(
                f"generation {kept.number} of {kept.target} is {behind(store, kept.id):,} hints behind, and "
                f"{store.lock.holder()} runs: its code, if it is, has not caught up",
                "Wait until it has; `lockstep status` says what it waits for. If that run has another code, "
                "end it, and ask again. Or swap at once: --as-it-stands.",
            )
    elif ours:
        builder.fill(kept)
        return "caught up", 0
    versions = ", ".join(sorted(f"{mapping}: {version}" for mapping, version, _ in known))
    raise Declined(
        f"generation {kept.number} of {kept.target} was filled by other code ({versions}), no process "
        f"follows it, and {behind(store, kept.id):,} hints wait for it",
        "Roll back with the old code checked out: then it catches up first. Or swap at once, and let the old "
        "code catch up afterwards: --as-it-stands.",
    )


def _followed(store: Store, kept: Build) -> bool:
    """Whether some process works the kept build, to the end of the journal as it is now. It waits as long as
    that gets on."""
    end = store.journal.end()
    deadline, left = time.monotonic() + _FOLLOWED_WITHIN, behind(store, kept.id, end)
    while left:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
        now = behind(store, kept.id, end)
        if now < left:
            deadline, left = time.monotonic() + _FOLLOWED_WITHIN, now
    return True
