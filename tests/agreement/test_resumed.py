"""A deep check that was interrupted goes on where it was: killed, cancelled, cut off. What differs is found
on both sides of the cut, and nothing is derived twice but the pages that were under way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.agreement import bookmark, deep, looking, orphans
from lockstep.agreement.report import Progress, Report
from lockstep.database import Access
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.errors import Unreachable
from lockstep.operations.opened import existing
from lockstep.systems.sqlite import feed as sqlite_feed
from lockstep.values import Key
from tests.support.world import World, in_process

USERS, PAGE = 200, 10
Moment = Callable[[pytest.MonkeyPatch], None]
NOTHING = "it began at the first key: "


class Derivations:
    """Every key that any process derives, in a file that outlives it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def note(self, wanted: Sequence[Key]) -> None:
        with self._file.open("a") as file:
            file.write("".join(f"{key.hex()}\n" for key in wanted))

    def all(self) -> list[str]:
        return self._file.read_text().split() if self._file.exists() else []

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)


def small(patch: pytest.MonkeyPatch, noted: Derivations) -> None:
    """Pages are small, each is kept, and every key that is derived is noted."""
    derive = Deriver.derive

    def noting(self: Deriver, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
        noted.note(wanted)
        return derive(self, wanted, now)

    patch.setattr(Deriver, "derive", noting)
    patch.setattr(bookmark, "EVERY", 0.0)
    patch.setattr(deep, "PAGE", PAGE)
    patch.setattr(sqlite_feed, "IDLE_SECONDS", 0.02)


@pytest.fixture
def derivations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Derivations:
    noted = Derivations(tmp_path / "derived")
    small(monkeypatch, noted)
    return noted


@pytest.fixture
def world(tmp_path: Path, derivations: Derivations) -> World:
    made = World(tmp_path, claims=False)
    made.do(*(f"INSERT INTO users VALUES ({n}, NULL, NULL, 'u{n}', NULL)" for n in range(1, USERS + 1)))
    made.run()
    derivations.forget()
    return made


def check(world: World, **more: object) -> Report:
    return ls.verify(world.pipeline(), "people", method="deep", **more)  # type: ignore[arg-type]


def killed(world: World, when: Moment) -> None:
    """A deep check in a process of its own, that ends by SIGKILL."""
    assert in_process(_checked_until, world, when) == -signal.SIGKILL


def _checked_until(world: World, when: Moment) -> None:
    with pytest.MonkeyPatch.context() as patch:
        small(patch, Derivations(world.root / "derived"))
        when(patch)
        check(world, resume=True)


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before_page(number: int) -> Moment:
    """It dies as it compares its so many-th page."""
    return partial(_before_page, number)


def _before_page(number: int, patch: pytest.MonkeyPatch) -> None:
    look, left = looking.Comparison.look, [number]

    def dying(self: looking.Comparison, derived: dict[Key, Derived], found: looking.Found) -> looking.Looked:
        left[0] -= 1
        if not left[0]:
            die()
        return look(self, derived, found)

    patch.setattr(looking.Comparison, "look", dying)


def before_target(patch: pytest.MonkeyPatch) -> None:
    """It dies with the pass over the source behind it."""
    patch.setattr(orphans.Orphans, "find", die)


def after_target(patch: pytest.MonkeyPatch) -> None:
    """It dies as its report is to be kept."""
    patch.setattr("lockstep.operations.verify.kept_report", die)


def found(report: Report) -> dict[str, str]:
    return {str(one.key or one.target_key): one.kind for one in report.divergences}


@pytest.mark.parametrize(
    "moments",
    [
        [before_page(1)],
        [before_page(8)],
        [before_page(8), before_page(1), before_page(5)],
        [before_page(20)],
        [before_target],
        [before_page(3), after_target],
    ],
    ids=["first-page", "midway", "three-times", "last-page", "before-target", "after-target"],
)
def test_killed_and_resumed_it_finds_all_and_derives_nothing_twice(
    world: World, derivations: Derivations, moments: list[Moment]
) -> None:
    for moment in moments:
        killed(world, moment)
    report = check(world, resume=True)
    assert (report.agreement, report.source_keys, report.records_compared) == (True, USERS, USERS)
    assert (report.target_records, report.counts) == (USERS, {})
    all_ = derivations.all()
    assert len(set(all_)) == USERS
    assert len(all_) <= USERS + 3 * PAGE * len(moments), "the page that was compared and two ahead"
    with existing(world.pipeline(), Access.LOOK) as store:
        assert store.checks.find(1) is None
        assert store.checks.keys(1, None, 10) == []


@pytest.mark.parametrize("moment", [before_page(8), before_page(19), before_target, after_target])
def test_what_is_planted_on_both_sides_of_the_cut_is_found(
    world: World, derivations: Derivations, moment: Moment
) -> None:
    world.do(
        "DELETE FROM users WHERE id IN (15, 185)", "UPDATE users SET email = 'new' WHERE id IN (16, 186)"
    )
    world.spoil(
        "DELETE FROM people WHERE id IN (7, 177)",
        "UPDATE people SET email = 'x' WHERE id IN (8, 178)",
        "INSERT INTO people (id, email) VALUES (900, 'stranger')",
    )
    world.spoil_state("DELETE FROM ledger WHERE key IN (SELECT key FROM ledger LIMIT 1)")  # of user 1
    wanted = {str(n): "missing" for n in (7, 177)} | {str(n): "different" for n in (8, 178)}
    wanted |= (
        {str(n): "extra" for n in (15, 185, 900)} | {str(n): "stale" for n in (16, 186)} | {"1": "ledger"}
    )
    assert found(check(world)) == wanted, "uninterrupted"
    derivations.forget()
    killed(world, moment)
    report = check(world, resume=True)
    assert found(report) == wanted
    assert sum(report.counts.values()) == len(wanted), "each once"


def test_what_was_mended_while_it_lay_is_no_divergence(world: World) -> None:
    world.do("UPDATE users SET email = 'new' WHERE id IN (16, 186)")
    killed(world, before_page(8))
    world.run()
    report = check(world, resume=True)
    assert (report.agreement, report.settled, report.counts) == (True, 1, {}), "16 was stale when it was met"


def test_what_another_check_finds_behind_it_is_found_and_stays_open(world: World) -> None:
    killed(world, before_page(8))
    world.spoil("DELETE FROM people WHERE id = 7")
    assert found(ls.verify(world.pipeline(), "people")) == {"7": "missing"}
    assert found(check(world, resume=True)) == {"7": "missing"}


def test_a_deep_check_does_not_close_what_another_finds_behind_it(world: World) -> None:
    def meanwhile(now: Progress) -> None:
        if now.stage == "source" and now.done == 5 * PAGE:
            world.spoil("DELETE FROM people WHERE id = 7")
            assert found(ls.verify(world.pipeline(), "people")) == {"7": "missing"}

    check(world, on_progress=meanwhile)
    with existing(world.pipeline(), Access.LOOK) as store:
        assert [one.subject for one in store.reports.divergences(1)] == ["7"]


def test_ctrl_c_and_an_error_keep_the_place(
    world: World, derivations: Derivations, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bookmark, "EVERY", 3600.0)
    stop = threading.Event()
    cancelled = check(world, stop=stop, on_progress=lambda now: stop.set() if now.done >= 5 * PAGE else None)
    assert cancelled.cancelled
    assert "`lockstep verify people --deep --resume`" in " ".join(cancelled.notes)
    look, left = looking.Comparison.look, [6]

    def cut(self: looking.Comparison, derived: dict[Key, Derived], found: looking.Found) -> looking.Looked:
        left[0] -= 1
        if left[0]:
            return look(self, derived, found)
        raise Unreachable("the target does not answer", "Mend it.")

    with monkeypatch.context() as patch:
        patch.setattr(looking.Comparison, "look", cut)
        with pytest.raises(Unreachable) as error:
            check(world, resume=True)
    assert (
        error.value.remedy == "Mend it. Then `lockstep verify people --deep --resume` goes on where it was."
    )
    report = check(world, resume=True)
    assert (report.agreement, report.started_at < cancelled.ended_at) == (True, True)
    assert report.resumed_at is not None
    assert "100 source keys were looked at before it was interrupted" in report.notes
    assert len(derivations.all()) <= USERS + 5 * PAGE


def test_where_no_page_was_kept_it_does_not_promise_to_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(*_: object) -> looking.Looked:
        raise Unreachable("the target does not answer", "Mend it.")

    with monkeypatch.context() as patch:
        patch.setattr(looking.Comparison, "look", cut)
        with pytest.raises(Unreachable) as error:
            check(world)
    assert error.value.remedy == "Mend it."


def test_where_nothing_can_be_resumed_it_begins_anew_and_says_why(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"{NOTHING}no deep check of it was interrupted" in check(world, resume=True).notes
    killed(world, before_page(8))
    with monkeypatch.context() as patch:
        patch.setattr("lockstep.operations.unfinished.recipe", lambda _: "other columns")
        report = check(world, resume=True)
    assert f"{NOTHING}another shape than when it was interrupted" in report.notes
    assert (report.agreement, report.resumed_at, report.source_keys) == (True, None, USERS)
    killed(world, before_page(8))
    assert check(world).resumed_at is None, "nobody asked for it"
    with pytest.raises(ls.DeclarationError, match="never resumed"):
        ls.verify(world.pipeline(), "people", resume=True)


def test_of_two_one_has_the_place(world: World) -> None:
    """A check from which another took its place goes on to its end, and keeps nothing any more."""
    seen: list[Report] = []

    def meanwhile(now: Progress) -> None:
        if now.stage == "source" and now.done == 5 * PAGE and not seen:
            seen.append(check(world, resume=True))

    first = check(world, on_progress=meanwhile)
    assert (first.agreement, first.source_keys, seen[0].agreement) == (True, USERS, True)
    assert "50 source keys were looked at before it was interrupted" in seen[0].notes
    with existing(world.pipeline(), Access.LOOK) as store:
        assert store.checks.find(1) is None
