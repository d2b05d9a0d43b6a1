"""The deep check, end to end on SQLite: what it must see, and what it may cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lockstep.agreement import verify as checking
from lockstep.engine.derive import Derived, Deriver
from lockstep.operations.verify import verify
from lockstep.pipeline import Pipeline
from lockstep.systems.sqlite import SQLite
from lockstep.values import Key
from tests.support.world import User, World, run_quickly

LONG = Decimal("0.1234567890123456789012345")


class Costs:
    def __init__(self) -> None:
        self.derived: list[int] = []
        self.slept = 0.0


def waiting(monkeypatch: pytest.MonkeyPatch, sleep: Callable[[float], None]) -> None:
    """Says what the check does where it would wait; nobody else waits otherwise."""
    clock = SimpleNamespace(time=time.time, sleep=sleep)
    monkeypatch.setattr("lockstep.agreement.verify.time", clock)


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> Costs:
    """Counts what a check derives and sleeps, and lets it not sleep."""
    counted = Costs()
    derive = Deriver.derive

    def counting(self: Deriver, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
        if wanted:
            counted.derived.append(len(wanted))
        return derive(self, wanted, now)

    def sleep(seconds: float) -> None:
        counted.slept += seconds

    monkeypatch.setattr(Deriver, "derive", counting)
    waiting(monkeypatch, sleep)
    return counted


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, claims=False)
    made.do(*(f"INSERT INTO users VALUES ({n}, NULL, NULL, 'u{n}', NULL)" for n in range(1, 51)))
    return made


def normalising(world: World) -> Pipeline:
    """A pipeline into a column that cannot hold what it is given."""
    made = Pipeline("normalising", state=world.root / "state")
    columns = {"id": "INTEGER", "email": "TEXT", "score": "REAL"}

    def people(user: User) -> dict[str, Any]:
        return {"id": user.id, "email": user.email, "score": LONG}

    made.mapping(SQLite(world.app), to=SQLite(world.out).table("people", columns=columns), version="1")(
        people
    )
    return made


def test_a_lost_change_shows_although_the_target_normalises(world: World, costs: Costs) -> None:
    run_quickly(normalising(world))
    assert verify(normalising(world), "people").agreement
    world.do("UPDATE users SET email = 'changed' WHERE id = 7")
    report = verify(normalising(world), "people")
    assert (report.agreement, report.counts) == (False, {"different": 1})
    paths = {field.path for field in report.divergences[0].fields}
    assert (report.divergences[0].key, "email" in paths) == ("7", True)


def test_drift_of_a_normalised_record_shows(world: World, costs: Costs) -> None:
    run_quickly(normalising(world))
    world.spoil("UPDATE people SET score = 0.5 WHERE id = 7")
    assert verify(normalising(world), "people").counts == {"different": 1}


def test_what_agrees_is_derived_once(world: World, costs: Costs) -> None:
    world.run()
    costs.derived.clear()
    report = verify(world.pipeline(), "people")
    assert (report.agreement, report.target_records, report.records_compared) == (True, 50, 50)
    assert (costs.derived, costs.slept) == ([50], 0.0)


def test_what_differs_or_is_missing_makes_no_extras(world: World, costs: Costs) -> None:
    world.run()
    world.spoil("UPDATE people SET email = 'x' WHERE id = 7", "DELETE FROM people WHERE id = 8")
    costs.derived.clear()
    report = verify(world.pipeline(), "people")
    assert report.counts == {"different": 1, "missing": 1}
    assert costs.derived == [50, *[2] * checking.SETTLE_TRIES]


def test_extras_of_a_page_are_settled_together(world: World, costs: Costs) -> None:
    world.run()
    world.do("DELETE FROM users WHERE id > 10")
    costs.derived.clear()
    report = verify(world.pipeline(), "people")
    assert report.counts == {"extra": 40}
    assert [d.key for d in report.divergences] == [str(n) for n in range(11, 51)]
    assert costs.derived == [10, 50, *[40] * checking.SETTLE_TRIES]
    assert costs.slept == pytest.approx(checking.SETTLE_WAIT)


def test_extras_that_come_right_are_settled(
    world: World, costs: Costs, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run()
    world.do("DELETE FROM users WHERE id > 10")
    waiting(monkeypatch, lambda _: world.spoil("DELETE FROM people WHERE id > 12"))
    report = verify(world.pipeline(), "people")
    assert (report.counts, report.settled) == ({"extra": 2}, 38)


def test_a_record_that_goes_meanwhile_does_not_hide_an_extra(world: World, costs: Costs) -> None:
    world.run()
    world.do("DELETE FROM users WHERE id = 5")

    def meanwhile(progress: checking.Progress) -> None:
        if progress.stage == "source":
            world.do("DELETE FROM users WHERE id = 6")
            world.spoil("DELETE FROM people WHERE id = 6")

    # 49 were compared, 49 are held: as many, and not the same.
    report = verify(world.pipeline(), "people", on_progress=meanwhile)
    assert (report.target_records, report.records_compared) == (49, 49)
    assert [(d.kind, d.key) for d in report.divergences] == [("extra", "5")]


def test_a_stranger_is_an_extra_once_and_hides_none(world: World, costs: Costs) -> None:
    world.run()
    world.spoil("INSERT INTO people (id, email) VALUES (99, 'stranger')")
    costs.derived.clear()
    report = verify(world.pipeline(), "people")
    assert [(d.kind, d.key, d.target_key) for d in report.divergences] == [("extra", None, "99")]
    assert costs.derived == [50]
    world.do("DELETE FROM users WHERE id = 5")
    report = verify(world.pipeline(), "people")
    assert report.counts == {"extra": 2}
    assert sorted(d.target_key or "" for d in report.divergences) == ["5", "99"]
