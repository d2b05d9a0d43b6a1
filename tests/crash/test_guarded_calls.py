"""What a mapping's thread calls beside its batches may raise: silence is waited for; a defect stops
that mapping alone, is said, and is healed by the next run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lockstep as ls
from lockstep.engine.consumer import ConsumerThread
from lockstep.engine.loop import Loop
from lockstep.errors import StateUnreachable, Unreachable
from tests.crash.test_points import CHANGES, ROWS
from tests.support.world import World

GUARDED = {"_loop": ConsumerThread, "recover": Loop, "_regular": ConsumerThread, "_idle": ConsumerThread}
"""The calls, and whose they are."""

guarded = pytest.mark.parametrize("call", GUARDED)


def _mapping_of(owner: Any) -> str:
    return str((owner._mapping if isinstance(owner, Loop) else owner.mapping).name)


def _raising(
    monkeypatch: pytest.MonkeyPatch, call: str, error: Callable[[int], Exception | None]
) -> Counter[str]:
    """Lets the call raise for the mapping `people`, by how often it was called; the calls of each mapping."""
    called: Counter[str] = Counter()
    real = getattr(GUARDED[call], call)

    def raising(owner: Any, *given: Any) -> Any:
        name = _mapping_of(owner)
        called[name] += 1
        if name == "people" and (what := error(called[name])) is not None:
            raise what
        return real(owner, *given)

    monkeypatch.setattr(GUARDED[call], call, raising)
    return called


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
