"""A log that was taken out while it was followed: a check beside the run says what it cannot tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.systems.sqlite.follow import Follower
from lockstep.values import Hint
from tests.pairs.world import until
from tests.support.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, claims=False)
    made.do(*(f"INSERT INTO users VALUES ({n}, NULL, NULL, 'u{n}', NULL)" for n in range(1, 51)))
    made.run()
    return made


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While it is set, following finds nothing: the run is slower than the check."""
    deaf = threading.Event()
    look = Follower.look

    def looking(self: Follower) -> list[Hint]:
        return [] if deaf.is_set() else look(self)

    monkeypatch.setattr(Follower, "look", looking)
    return deaf


@pytest.fixture
def running(world: World, deaf: threading.Event) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=lambda: ls.run(world.pipeline(), stop=stop))
    thread.start()
    world.do("UPDATE users SET email = 'first' WHERE id = 1")
    until(lambda: world.actual()["people"] == world.expected()["people"])
    yield
    deaf.clear()
    stop.set()
    thread.join(60)
    assert not thread.is_alive()


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("method", ["fast", "deep"])
def test_what_is_on_its_way_is_no_divergence(world: World, deaf: threading.Event, method: str) -> None:
    deaf.set()
    world.do("UPDATE users SET email = 'changed' WHERE id = 7", "DROP TABLE _lockstep_changes")
    report = ls.verify(world.pipeline(), "people", method=method, patience=0.5)
    assert report.counts == {"unsettled": 1}
    assert "taken out" in str(report.divergences[0].reason)
    deaf.clear()
    until(lambda: world.actual()["people"] == world.expected()["people"], 8)
    assert ls.verify(world.pipeline(), "people", method=method).agreement
