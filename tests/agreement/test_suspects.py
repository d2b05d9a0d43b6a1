"""How suspects are settled: what changes while they are looked at is no divergence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lockstep.agreement import listing, scope
from lockstep.agreement.report import Report
from lockstep.engine.deriving.derive import Derived, Deriver
from lockstep.forms import keys
from lockstep.operations.verify import verify
from lockstep.state.rows import encode
from lockstep.values import Key
from tests.support.world import World

EDITED = [7, 47, 87, 127, 167]
KEY = keys.encode((EDITED[0],))


class Meanwhile:
    """What happens when suspects are derived and when the check waits; each once, in turn."""

    def __init__(self) -> None:
        self.before: list[Callable[[], object]] = []
        self.after: list[Callable[[], object]] = []
        self.waiting: list[Callable[[], object]] = []
        self.derived: list[int] = []
        self.waited = 0

    def wait(self) -> None:
        self.waited += 1
        _next(self.waiting)


def _next(some: list[Callable[[], object]]) -> None:
    if some:
        some.pop(0)()


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    made = Meanwhile()
    derive = Deriver.derive

    def deriving(self: Deriver, wanted: Sequence[Key], now: float) -> dict[Key, Derived]:
        if not 0 < len(wanted) <= len(EDITED) or KEY not in wanted:
            return derive(self, wanted, now)  # the sample that each fast check begins with
        made.derived.append(len(wanted))
        _next(made.before)
        found = derive(self, wanted, now)
        _next(made.after)
        return found

    monkeypatch.setattr(Deriver, "derive", deriving)
    monkeypatch.setattr("lockstep.operations.verify.barrier", lambda *_: made.wait)
    return made


@pytest.fixture
def edited(small: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Rows of more spans than are listed were edited: so the target names them."""
    monkeypatch.setattr(scope, "SPAN", 10)
    monkeypatch.setattr(listing, "LISTED", 20)
    small.spoil(f"UPDATE people SET email = 'edited' WHERE id IN {tuple(EDITED)}")
    return small


def checked(world: World, mapping: str = "people") -> Report:
    return verify(world.pipeline(), mapping, method="fast")


def change(world: World, email: str) -> Callable[[], object]:
    """The source changes, and nobody works it yet."""
    return lambda: world.do(f"UPDATE users SET email = '{email}' WHERE id = {EDITED[0]}")


def worked(world: World, email: str) -> Callable[[], object]:
    def both() -> None:
        change(world, email)()
        world.run()

    return both


def test_what_the_target_names_as_edited_is_looked_at_once(edited: World, meanwhile: Meanwhile) -> None:
    report = checked(edited)
    assert report.counts == {"different": 5}
    assert [one.key for one in report.divergences] == [str(number) for number in EDITED]
    assert {field.path for field in report.divergences[0].fields} == {"email"}
    assert report.divergences[0].cause == "changed by someone else"
    assert (meanwhile.derived, meanwhile.waited) == ([5], 1)


def test_what_was_mended_by_then_is_settled(edited: World, meanwhile: Meanwhile) -> None:
    meanwhile.waiting.append(lambda: edited.spoil("UPDATE people SET email = 'u' || id WHERE id > 7"))
    report = checked(edited)
    assert (report.counts, report.settled, meanwhile.waited) == ({"different": 1}, 4, 1)


def test_a_change_that_comes_while_it_is_waited_is_none(edited: World, meanwhile: Meanwhile) -> None:
    meanwhile.waiting.append(worked(edited, "new"))
    report = checked(edited)
    assert (report.counts, report.settled) == ({"different": 4}, 1)


def test_a_change_that_comes_once_it_was_waited_is_waited_for(edited: World, meanwhile: Meanwhile) -> None:
    meanwhile.before.append(change(edited, "new"))
    meanwhile.waiting += [lambda: None, edited.run]
    report = checked(edited)
    assert (report.counts, report.settled) == ({"different": 4}, 1)
    assert (meanwhile.derived, meanwhile.waited) == ([5, 1], 2)


def test_a_change_that_cannot_be_waited_for_is_unsettled(
    edited: World, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told as moving, after one look, it would be in agreement."""
    monkeypatch.setattr("lockstep.operations.verify.barrier", lambda *_: lambda: "hints wait")
    meanwhile.before.append(change(edited, "new"))
    report = checked(edited)
    assert (report.counts, report.moving) == ({"unsettled": 5}, 0)
    assert meanwhile.derived == [5, 1]


def test_what_was_certain_stays_so_where_another_key_cannot_be_waited_for(
    edited: World, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([None, "hints wait"])
    monkeypatch.setattr("lockstep.operations.verify.barrier", lambda *_: lambda: next(answers))
    meanwhile.before.append(change(edited, "new"))
    report = checked(edited)
    assert report.counts == {"different": 4, "unsettled": 1}


def test_a_change_that_went_and_came_back_is_none(edited: World, meanwhile: Meanwhile) -> None:
    """The target is read as it was written in between; then the source means again what it meant before."""
    meanwhile.waiting += [worked(edited, "other"), edited.run]
    meanwhile.before.append(change(edited, "u7"))
    report = checked(edited)
    assert (report.counts, report.settled) == ({"different": 4}, 1)


def test_a_change_that_came_back_since_the_first_look_is_none(small: World, meanwhile: Meanwhile) -> None:
    """It was worked between the first look at the source and the first at the ledger. What is gone is listed,
    and looked at twice; what a table names as edited is not."""
    small.spoil(f"DELETE FROM people WHERE id = {EDITED[0]}")
    meanwhile.after.append(worked(small, "other"))
    meanwhile.waiting += [change(small, "u7"), small.run]
    report = checked(small)
    assert (report.counts, report.settled) == ({}, 1)


def test_a_void_row_vouches_for_nothing(edited: World, meanwhile: Meanwhile) -> None:
    edited.spoil_state(f"UPDATE ledger SET void = 1 WHERE key = x'{KEY.hex()}'")
    report = checked(edited)
    assert report.counts == {"different": 5}
    assert meanwhile.derived[-2:] == [5, 1]  # void rows are listed by themselves before


def test_what_is_being_written_is_looked_at_again(edited: World, meanwhile: Meanwhile) -> None:
    body = encode([(KEY, (KEY,))]).hex()
    meanwhile.waiting += [
        lambda: edited.spoil_state(
            "INSERT INTO intents (consumer, version, body, at)"
            f" SELECT consumer, 9, x'{body}', 0 FROM ledger LIMIT 1"
        ),
        lambda: edited.spoil_state("DELETE FROM intents"),
    ]
    report = checked(edited)
    assert report.counts == {"different": 5}
    assert (meanwhile.derived, meanwhile.waited) == ([5, 1], 2)


def test_a_record_that_came_while_it_was_waited_is_looked_at(
    tmp_path: Path, meanwhile: Meanwhile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody means it any more by then, and that is not worked."""
    monkeypatch.setattr(scope, "SPAN", 10)
    monkeypatch.setattr(listing, "LISTED", 20)
    world = World(tmp_path)
    world.do(*(f"INSERT INTO users VALUES ({n}, NULL, NULL, 'u{n}', NULL)" for n in range(1, 51)))
    world.run()
    world.spoil("UPDATE addresses SET company = 'edited' WHERE address LIKE 'u%7'")

    def mended() -> None:
        worked(world, "u7,more")()
        world.spoil("UPDATE addresses SET company = NULL WHERE address = 'u7'")

    meanwhile.waiting.append(mended)
    meanwhile.before.append(change(world, "u7"))
    report = checked(world, "addresses")
    assert {one.subject: one.kind for one in report.divergences} == {
        "7 → more": "extra",
        **{f"{n} → u{n}": "different" for n in (17, 27, 37, 47)},
    }
