"""The deep check, end to end on SQLite: what it must see, and what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from lockstep.agreement.report import Progress
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.operations.verify import verify
from lockstep.systems.sqlite import SQLite
from lockstep.values import Key
from tests.support.world import User, World, run_quickly

LONG = Decimal("0.1234567890123456789012345")


class Costs:
    def __init__(self) -> None:
        self.derived: list[int] = []
        self.waited = 0


def waiting(monkeypatch: pytest.MonkeyPatch, wait: Callable[[], str | None]) -> None:
    """Says what happens where the check waits for what is on its way."""
    monkeypatch.setattr("lockstep.operations.verify.barrier", lambda *_: wait)


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> Costs:
    """Counts what a check derives, and how often it waits."""
    counted = Costs()
    derive = Deriver.derive

    def counting(self: Deriver, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
        if wanted:
            counted.derived.append(len(wanted))
        return derive(self, wanted, now)

    def wait() -> None:
        counted.waited += 1

    monkeypatch.setattr(Deriver, "derive", counting)
    waiting(monkeypatch, wait)
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
    assert verify(normalising(world), "people", method="deep").agreement
    world.do("UPDATE users SET email = 'changed' WHERE id = 7")
    report = verify(normalising(world), "people", method="deep")
    assert (report.agreement, report.counts) == (False, {"stale": 1})
    paths = {field.path for field in report.divergences[0].fields}
    assert (report.divergences[0].key, "email" in paths) == ("7", True)


def test_drift_of_a_normalised_record_shows(world: World, costs: Costs) -> None:
    run_quickly(normalising(world))
    world.spoil("UPDATE people SET score = 0.5 WHERE id = 7")
    assert verify(normalising(world), "people", method="deep").counts == {"different": 1}


def test_what_agrees_is_derived_once(world: World, costs: Costs) -> None:
    world.run()
    costs.derived.clear()
    report = verify(world.pipeline(), "people", method="deep")
    assert (report.agreement, report.target_records, report.records_compared) == (True, 50, 50)
    assert (costs.derived, costs.waited) == ([50], 0)


def test_what_differs_or_is_missing_makes_no_extras(world: World, costs: Costs) -> None:
    world.run()
    world.spoil("UPDATE people SET email = 'x' WHERE id = 7", "DELETE FROM people WHERE id = 8")
    costs.derived.clear()
    report = verify(world.pipeline(), "people", method="deep")
    assert report.counts == {"different": 1, "missing": 1}
    assert (costs.derived, costs.waited) == ([50, 2, 2], 1)


def test_extras_of_a_page_are_settled_together(world: World, costs: Costs) -> None:
    world.run()
    world.do("DELETE FROM users WHERE id > 10")
    costs.derived.clear()
    report = verify(world.pipeline(), "people", method="deep")
    assert report.counts == {"extra": 40}
    assert [d.key for d in report.divergences] == [str(n) for n in range(11, 51)]
    assert (costs.derived, costs.waited) == ([10, 50, 40, 40], 1)


def test_extras_that_come_right_are_settled(
    world: World, costs: Costs, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run()
    world.do("DELETE FROM users WHERE id > 10")
    waiting(monkeypatch, lambda: world.spoil("DELETE FROM people WHERE id > 12"))
    report = verify(world.pipeline(), "people", method="deep")
    assert (report.counts, report.settled) == ({"extra": 2, "ledger": 38}, 0)


def test_a_record_that_goes_meanwhile_does_not_hide_an_extra(world: World, costs: Costs) -> None:
    world.run()
    world.do("DELETE FROM users WHERE id = 5")

    def meanwhile(progress: Progress) -> None:
        if progress.stage == "source":
            world.do("DELETE FROM users WHERE id = 6")
            world.spoil("DELETE FROM people WHERE id = 6")

    # 49 were compared, 49 are held: as many, and not the same.
    report = verify(world.pipeline(), "people", on_progress=meanwhile, method="deep")
    assert (report.target_records, report.records_compared) == (49, 49)
    assert [(d.kind, d.key) for d in report.divergences] == [("extra", "5")]


def test_a_stranger_is_an_extra_once_and_hides_none(world: World, costs: Costs) -> None:
    world.run()
    world.spoil("INSERT INTO people (id, email) VALUES (99, 'stranger')")
    costs.derived.clear()
    report = verify(world.pipeline(), "people", method="deep")
    assert [(d.kind, d.key, d.target_key) for d in report.divergences] == [("extra", None, "99")]
    assert costs.derived == [50]
    world.do("DELETE FROM users WHERE id = 5")
    report = verify(world.pipeline(), "people", method="deep")
    assert report.counts == {"extra": 2}
    assert sorted(d.target_key or "" for d in report.divergences) == ["5", "99"]
