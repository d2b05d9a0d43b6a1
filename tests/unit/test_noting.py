"""A fault is noted when it begins and when it is over, whatever happens in between."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lockstep.engine.noting import STUCK_EVERY, Fault, StuckNumber
from lockstep.state.events import Event, Kind
from lockstep.state.store import Store


class Clock:
    """Stopwatch and clock, which a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now = 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self._now)
        monkeypatch.setattr(time, "time", lambda: 1_700_000_000 + self._now)

    def pass_(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state")


def noted(store: Store) -> list[Event]:
    store.events.flush()
    return store.events.since(0.0)


def fault(store: Store) -> Fault:
    return Fault(store.events, Kind.MAPPING_WAITS, Kind.MAPPING_GOES_ON, "users", 10.0)


def test_a_thousand_tries_are_one_fault(store: Store, clock: Clock) -> None:
    one = fault(store)
    one.well()
    for _ in range(1_000):
        clock.pass_(0.5)
        one.ill("no answer")
    clock.pass_(5)
    one.well()
    clock.pass_(5)
    one.well()
    assert [event.kind for event in noted(store)] == ["mapping-waits"]  # it may come back
    clock.pass_(5)
    one.well()
    one.well()
    begun, over = noted(store)
    assert (begun.kind, begun.subject, begun.text) == ("mapping-waits", "users", "no answer")
    assert (over.kind, over.text) == ("mapping-goes-on", "goes on")
    assert over.numbers == {"seconds": 504.5, "times": 1}
    assert over.at - begun.at == 504.5  # when it went on, not when that was sure


def test_what_comes_and_goes_is_one_fault_until_it_is_quiet(store: Store, clock: Clock) -> None:
    one = fault(store)
    for _ in range(200):
        one.ill("no answer")
        clock.pass_(1)
        one.well()
        clock.pass_(9)
    clock.pass_(1)
    one.well()
    assert [event.text for event in noted(store)] == ["no answer", "goes on; it came and went 200 times"]
    one.ill("again")
    assert [event.text for event in noted(store)][2:] == ["again"]


def test_who_ends_in_a_fault_says_nothing_of_its_end(store: Store, clock: Clock) -> None:
    one = fault(store)
    one.ill("no answer")
    one.close()
    assert len(noted(store)) == 1
    one.well()  # for less than the quiet time, and nobody will look again
    one.close()
    one.close()
    assert [event.kind for event in noted(store)] == ["mapping-waits", "mapping-goes-on"]


def test_stuck_keys_are_told_of_in_numbers_and_seldom(store: Store, clock: Clock) -> None:
    number = StuckNumber(store.events, "users", 0)
    for stuck in range(30):
        number.now(stuck)
        clock.pass_(5)
    number.now(29, last=True)
    number.now(0)
    clock.pass_(STUCK_EVERY)
    number.now(0)
    assert [event.text for event in noted(store)] == [
        "1 key is stuck, 1 more than before",
        "13 keys are stuck, 12 more than before",
        "25 keys are stuck, 12 more than before",
        "29 keys are stuck, 4 more than before",
        "no key is stuck any more, 29 were",
    ]
    assert noted(store)[1].numbers == {"stuck": 13, "before": 1}
