"""Checks in a loop beside the load: none may call a change on its way a divergence."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

import lockstep as ls
from tests.soak.faults import Keeper
from tests.soak.world import SoakWorld

MAPPINGS = ("people", "talks")
PATIENCE = 60.0


class Checks:
    """What checks beside the load found. `counts`: of those that could be made, and of their keys."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []


@contextlib.contextmanager
def checked(world: SoakWorld, keeper: Keeper) -> Iterator[Checks]:
    """Checks one mapping after the other. What is found while no run is alive is true, and does not count."""
    checks, stop = Checks(), threading.Event()

    def check() -> None:
        pipeline = world.pipeline()
        while not stop.wait(0.1):
            for mapping in MAPPINGS:
                with contextlib.suppress(ls.LockstepError):
                    _one(checks, pipeline, mapping, world, keeper)

    thread = threading.Thread(target=check)
    thread.start()
    try:
        yield checks
    finally:
        stop.set()
        thread.join()


def _one(checks: Checks, pipeline: ls.Pipeline, mapping: str, world: SoakWorld, keeper: Keeper) -> None:
    starts, alive = keeper.starts, ls.status(world.state).running is not None
    report = ls.verify(pipeline, mapping, method="fast", patience=PATIENCE)
    if not alive or keeper.starts != starts or keeper.pid is None:
        checks.counts["beside a run that began or ended"] += 1
        return
    checks.counts["checks"] += 1
    checks.counts["settled"] += report.settled
    checks.counts["moving"] += report.moving
    checks.counts["unsettled"] += report.counts.get("unsettled", 0)
    if report.counts.keys() - {"unsettled"}:
        checks.wrong.append(f"a check of {mapping} cried wolf: {report.counts} {report.divergences[:2]}")
