"""Following: a process that has deployed a build works it on, until the run of the old code ends."""

from __future__ import annotations

import threading

from lockstep.database import Access
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.build import BuildThreads
from lockstep.engine.lease import Lease
from lockstep.operations.opened import existing
from lockstep.recovery.named import target_named
from lockstep.state.settling import Scope

_LOOK_EVERY = 1.0


def follow(pipeline: Pipeline, name: str, stop: threading.Event) -> bool:
    """Works the live build of a target that this process has just deployed, as long as the run of the old
    code goes on; True once that has ended, and this process may be the run. False once `stop` is set, or
    where a run of the same code has taken it over.

    It holds a lock of its own, so that rollback, restore and drill are free meanwhile. Raises what stops a
    mapping.
    """
    target = target_named(pipeline, name)
    with existing(pipeline, Access.RUN) as store:
        store.follow_lock.take()
        if store.lock.holder() is None:
            return not stop.is_set()
        live = store.builds.one(target.name, "live")
        if live is None or live.worker != Scope.FOLLOW:
            return False
        threads = BuildThreads(pipeline, store, Lease(store, Scope.FOLLOW), live)
        threads.start()
        try:
            while not stop.wait(_LOOK_EVERY):
                threads.caught_up()  # raises what stopped a mapping
                if store.lock.holder() is None:
                    return True
        finally:
            threads.stop()
    return False
