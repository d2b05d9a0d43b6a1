"""The Friday night: automation wipes the index, and it comes back from its newest saved state."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import NamedTuple

from lockstep.declaration.pipeline import Pipeline
from lockstep.demo.traffic import Traffic
from lockstep.demo.working import working
from lockstep.operations.history import history
from lockstep.operations.holds import Held, holds
from lockstep.operations.verify import verify
from lockstep.recovery.deploy import Deployed, deploy
from lockstep.recovery.restore import Restored, restore
from lockstep.recovery.snapshot import snapshot

_PATIENCE = 30.0


class Night(NamedTuple):
    """What happened: how long it took to notice, in seconds, and what brought it back."""

    noticed: float
    hold: Held
    restored: Restored
    rebuilt: Deployed
    agreement: bool


def saved(pipeline: Pipeline) -> int:
    """Saves the state of the index; how many documents."""
    return snapshot(pipeline).snapshot.records or 0


def night(pipeline: Pipeline, directory: Path, rate: float) -> Night:
    """Wipes the index while customers go on, waits for the guard, restores, and proves it."""
    with working(pipeline):
        traffic = Traffic(directory / "app.db", rate, seed=8)
        traffic.start()
        try:
            time.sleep(1.0)
            wiped = time.monotonic()
            (directory / "search").rename(directory / "gone")  # "unreachable, all of them: replace them"
            shutil.rmtree(directory / "gone", ignore_errors=True)
            hold = _held(pipeline, wiped)
            noticed = time.monotonic() - wiped
            time.sleep(1.0)  # somebody is woken; customers go on
            restored = restore(pipeline)
        finally:
            traffic.stop()
        rebuilt = deploy(pipeline)
    report = verify(pipeline, next(iter(pipeline.mappings)), method="deep")
    return Night(noticed, hold, restored, rebuilt, report.agreement)


def _held(pipeline: Pipeline, since: float) -> Held:
    """What the guard holds, as soon as it does."""
    while not (found := holds(pipeline)):
        if time.monotonic() - since > _PATIENCE:
            raise RuntimeError("the guard did not notice that the index is gone")
        time.sleep(0.05)
    return found[0]


def told(pipeline: Pipeline, since: float) -> list[tuple[float, str, str]]:
    """The timeline of it: when, which kind of thing, and what, in short."""
    return [
        (one.happened_at, one.kind, one.text.partition(". ")[0])
        for one in history(pipeline, since=since).happenings
    ]
