"""run: capture, backfill and follow, until stopped or (once) until everything known is done."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from lockstep.declaration.pipeline import Pipeline
from lockstep.engine import points
from lockstep.engine.garbage import collecting_seldom
from lockstep.engine.service import Service
from lockstep.errors import DeclarationError
from lockstep.operations.continuous import SHARE, continuous
from lockstep.operations.opened import opened
from lockstep.operations.ownership import assert_owned
from lockstep.operations.standing import MappingStatus
from lockstep.operations.status import mapping_statuses
from lockstep.state.store import Store

log = logging.getLogger("lockstep")


class RunResult(Struct, frozen=True):
    """How a run ended. `stopped` names mappings and sources that could not go on, and why."""

    outcome: str
    mappings: tuple[MappingStatus, ...]
    stopped: dict[str, str]


def run(
    pipeline: Pipeline,
    *,
    once: bool = False,
    stop: threading.Event | None = None,
    on_progress: Callable[[dict[str, Any], tuple[MappingStatus, ...]], None] | None = None,
    every: float = 0.5,
    verify_every: float | None = None,
    on_drift: str | None = None,
    verify_share: float = SHARE,
) -> RunResult:
    """Runs a pipeline in this process.

    `once`: return when everything that the sources held at the start, and every hint known then, is
    done. `stop`: set it to finish the open batches, commit, and return. `on_progress` is given the
    gauges and the mappings' status, every so many seconds. `verify_every`, `on_drift`: for all mappings,
    instead of what each declares; see `Pipeline.mapping`. All checks of a source take at most
    `verify_share` of the time (0 to 1). With `once` nothing is checked.

    Raises DeclarationError where two mappings set one field both ways (`operations/ownership.py`),
    StateInUse when another run holds the state, and with `once` whatever a system answers.
    """
    if not 0 < verify_share <= 1:
        raise DeclarationError(f"verify_share={verify_share!r} is no share", "Give 0.05, for a twentieth.")
    assert_owned(pipeline)
    stop = stop or threading.Event()
    if spec := os.environ.get("LOCKSTEP_CRASH"):
        points.die_at(spec)
    with collecting_seldom(), opened(pipeline) as store:
        service = Service(pipeline, store)
        watcher = threading.Thread(
            target=_watch, args=(service, store, stop, on_progress, every), name="lockstep-watch", daemon=True
        )
        checks = (
            []
            if once
            else continuous(pipeline, stop, verify_every=verify_every, on_drift=on_drift, share=verify_share)
        )
        outcome = "stopped"
        try:
            service.start()
            watcher.start()
            for check in checks:
                check.start()
            if once:
                service.until_done()
                outcome = "stopped" if stop.is_set() else "done"
            else:
                while not service.wait(0.1):
                    if service.all_stopped():
                        outcome = "failed"
                        break
        except BaseException:
            outcome = "failed"
            raise
        finally:
            service.stop(outcome)
            stop.set()
            for thread in (watcher, *checks):
                if thread.ident is not None:
                    thread.join()
        if service.lost is not None:
            raise service.lost
        gauges = service.gauges()
        failed = {
            name: own["reason"]
            for kind in ("sources", "mappings")
            for name, own in gauges[kind].items()
            if own["state"] == "stopped"
        }
        return RunResult(outcome, mapping_statuses(store, gauges["mappings"]), failed)


def _watch(
    service: Service,
    store: Store,
    stop: threading.Event,
    on_progress: Callable[[dict[str, Any], tuple[MappingStatus, ...]], None] | None,
    every: float,
) -> None:
    try:
        while not stop.wait(every if on_progress else 60.0):
            if on_progress is not None:
                gauges = service.gauges()
                on_progress(gauges, mapping_statuses(store, gauges["mappings"]))
    except Exception:
        log.exception("showing progress failed; the run goes on")
        stop.wait()
    finally:
        service.stopping()
