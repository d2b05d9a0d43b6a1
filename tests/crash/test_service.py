"""A run as a whole: when it goes on, and when it ends by itself."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.engine.consumers.consumer import ConsumerThread
from lockstep.errors import TargetReplaced
from tests.support.world import World


def test_a_mapping_whose_thread_is_slow_to_start_has_not_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A busy machine: the run looks whether any mapping still works before the first one does."""
    world = World(tmp_path, claims=False)
    world.do("INSERT INTO users (id, email) VALUES (1, 'ann@x')")
    start = ConsumerThread.start

    def slowly(thread: ConsumerThread) -> None:
        time.sleep(1.0)
        start(thread)

    monkeypatch.setattr(ConsumerThread, "start", slowly)
    stop = threading.Event()
    results: list[ls.RunResult] = []
    run = threading.Thread(target=lambda: results.append(ls.run(world.pipeline(), stop=stop)))
    run.start()

    def filled() -> bool:
        try:
            return bool(world.out.exists() and world.actual()["people"])
        except TargetReplaced:  # its file is there, and its tables are not yet
            return False

    try:
        while run.is_alive() and not filled():
            time.sleep(0.05)
    finally:
        stop.set()
        run.join()
    assert results[0].outcome == "stopped", "it ended because it was asked to"
    world.assert_agreement()
