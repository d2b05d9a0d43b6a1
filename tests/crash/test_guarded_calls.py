"""What a mapping's thread calls beside its batches may raise: silence is waited for; a defect stops
that mapping alone, is said, and is healed by the next run."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lockstep as ls
from lockstep.engine.consumers.consumer import ConsumerThread
from lockstep.engine.consumers.loop import Loop
from lockstep.engine.consumers.working import Working
from lockstep.engine.holds.target_watch import TargetWatch
from lockstep.engine.sources import source
from lockstep.errors import Refused, StateUnreachable, Unreachable
from tests.crash.test_points import CHANGES, ROWS
from tests.support.world import World

GUARDED = {"open": TargetWatch, "_loop": Working, "recover": Loop, "_regular": Working, "_idle": Working}
"""The calls, and whose they are."""

guarded = pytest.mark.parametrize("call", GUARDED)


def _mapping_of(owner: Any) -> str:
    return str((owner._given.mapping if isinstance(owner, Working) else owner._mapping).name)


def _raising(
    monkeypatch: pytest.MonkeyPatch, call: str, error: Callable[[int], Exception | None]
) -> Counter[str]:
    """Lets the call raise for the mapping `people`, by how often it was called; the calls of each mapping."""
    called: Counter[str] = Counter()
    real = getattr(GUARDED[call], call)

    def raising(owner: Any, *given: Any, **named: Any) -> Any:
        name = _mapping_of(owner)
        called[name] += 1
        if name == "people" and (what := error(called[name])) is not None:
            raise what
        return real(owner, *given, **named)

    monkeypatch.setattr(GUARDED[call], call, raising)
    return called


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


@guarded
def test_a_defect_stops_its_mapping_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    world = World(tmp_path)
    world.do(*ROWS)
    assert world.dies("written")
    with monkeypatch.context() as patch:
        called = _raising(patch, call, lambda _: ZeroDivisionError("oh"))
        with pytest.raises(ls.LockstepError, match="a defect of Lockstep: ZeroDivisionError: oh"):
            world.run()
        assert called["people"] == 1
        assert called["addresses"] > 0
    assert world.actual()["addresses"] == world.expected()["addresses"]
    stopped = {one.name: one.state for one in ls.status(tmp_path / "state").mappings}
    assert stopped == {"people": "stopped", "addresses": "running"}
    world.do(*CHANGES)
    world.run()
    world.assert_agreement()


@guarded
def test_what_does_not_answer_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    world = World(tmp_path)
    world.do(*ROWS)
    assert world.dies("written")
    silence = {1: Unreachable("gone", "Wait."), 2: StateUnreachable("gone", "Wait.")}
    called = _raising(monkeypatch, call, silence.get)
    world.run()
    assert called["people"] > 2
    world.assert_agreement()


@pytest.mark.parametrize("call", ["open", "_loop", "recover"])
def test_a_mapping_that_is_held_has_opened_what_it_works_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Its table cannot be followed as it is, and at the same start a system does not answer: neither ends
    the other's wait."""
    world = World(tmp_path)
    world.do(*ROWS)
    assert world.dies("written")
    held = Refused("users cannot be followed", "Mend it.")
    monkeypatch.setattr(source, "_held", lambda mapping, _: held if mapping.name == "people" else None)
    called = _raising(monkeypatch, call, lambda n: Unreachable("gone", "Wait.") if n < 4 else None)
    stop = threading.Event()
    people: list[ConsumerThread] = []
    start = ConsumerThread.start

    def starting(thread: ConsumerThread) -> None:
        if thread.mapping.name == "people":
            people.append(thread)
        start(thread)

    monkeypatch.setattr(ConsumerThread, "start", starting)
    run = threading.Thread(target=lambda: ls.run(world.pipeline(), stop=stop))
    run.start()
    try:
        until(lambda: called["people"] == 4)
        people[0].hold(None)
        until(lambda: people[0].error is not None or world.actual()["people"] == world.expected()["people"])
        assert people[0].error is None
    finally:
        stop.set()
        run.join()
