"""A mapping that means something else than the ledger says does not rewrite what many read, unasked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.engine import recipe
from lockstep.engine.holds import asking
from tests.guard.test_holds import held, standing
from tests.pairs.world import COLUMNS, Following, Person, World, document, until

pytestmark = pytest.mark.parametrize("world", ["sql"], indirect=True)
MORE = "INSERT INTO users SELECT i, i % 5 + 1, 'U' || i || '@example.com' FROM generate_series(61, 1200) i"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LOOK_AGAIN", 1.0)


def shouting(user: Person) -> dict[str, object]:
    """Other code of the same mapping."""
    return {**document(user), "email": user.email.upper()}


def same(user: Person) -> dict[str, object]:
    return {**document(user)}


def broken(user: Person) -> dict[str, object]:
    raise ValueError("nonsense")


def changed(
    world: World,
    function: Callable[[Person], dict[str, object]] = shouting,
    version: str = "1",
    guard: ls.Guard | None = None,
) -> ls.Pipeline:
    made = ls.Pipeline("pairs", state=world.state)
    source = ls.Postgres(world.url, slot=world.url.rpartition("/")[2])
    kind, where, name = world.target.split("|")
    assert kind == "sql"
    to = ls.SQLite(where).table(name, columns=COLUMNS, key=("id",))
    made.mapping(source, to=to, name="people", version=version, guard=guard)(function)
    return made


def emails(world: World) -> set[str]:
    return {one["email"] for one in world.actual().values()}


def shouted(world: World) -> bool:
    return all(email == email.upper() for email in emails(world))


@pytest.mark.parametrize("version", ["1", "2"], ids=["helper", "declared"])
def test_it_is_held_and_derived_in_place_once_approved(world: World, version: str) -> None:
    world.do(MORE)
    world.run()
    before = emails(world)
    with Following(world, changed(world, version=version)):
        one = held(world)
        assert (one.policy, one.expected) == ("mapping-changed", 1200)
        assert "200 of 200 keys that are as they were mean something else now, such as key " in one.reason
        assert "(fields email)" in one.reason
        assert "`lockstep deploy people`" in one.reason
        world.do("UPDATE users SET email = 'new@example.com' WHERE id = 1")
        until(lambda: ls.status(Path(world.state)).mappings[0].waiting_live > 0)
        assert emails(world) == before, "live changes neither: nobody sees both"
        until(lambda: ls.status(Path(world.state)).mappings[0].state == "held")
    with Following(world, changed(world, version=version)):  # it survives a restart
        until(lambda: ls.status(Path(world.state)).mappings[0].state == "held")
        assert [other.id for other in standing(world)] == [one.id]
        assert emails(world) == before
        ls.approve(Path(world.state), one.id, why="in place is good enough", by="ada")
        until(lambda: shouted(world))
        until(lambda: standing(world) == [])
    ls.run(changed(world, version=version), once=True)  # by now it is the ledger's code


def test_the_old_code_again_needs_nobodys_word(world: World) -> None:
    world.do(MORE)
    world.run()
    with pytest.raises(ls.HeldBack, match="mean something else now"):
        ls.run(changed(world, version="2"), once=True)
    assert len(standing(world)) == 1
    world.do("UPDATE users SET email = 'new@example.com' WHERE id = 1")
    world.run()
    assert standing(world) == []
    world.assert_agreement()


def test_other_code_that_means_the_same_is_passed_over(world: World) -> None:
    world.do(MORE)
    world.run()
    ls.run(changed(world, same, "2"), once=True)
    assert standing(world) == []
    (shown,) = ls.status(Path(world.state)).mappings
    assert shown.backfill is not None
    assert (shown.backfill.reason, shown.backfill.done) == ("mapping changed", 1200)
    world.assert_agreement()


def test_a_hold_where_sums_are_made_in_another_way_says_that_rows_may_have_changed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lockstep was upgraded, and while it was, most rows changed: nothing is said of the code for certain."""
    world.do(MORE)
    world.run()
    monkeypatch.setattr(recipe, "SUM_RECIPE", 99)
    world.do("UPDATE users SET email = 'new' || id || '@example.com'")
    with pytest.raises(ls.HeldBack, match="200 of 200 keys mean something else than was") as caught:
        ls.run(changed(world, document), once=True)
    assert "the code has changed, or their rows have" in str(caught.value)
    assert "as they were" not in str(caught.value)
    (one,) = standing(world)
    ls.approve(Path(world.state), one.id, why="their rows have", by="ada")
    ls.run(changed(world, document), once=True)
    world.assert_agreement()


def test_code_that_fails_is_held_before_anything_is_stuck(world: World) -> None:
    world.do(MORE)
    world.run()
    with pytest.raises(ls.HeldBack, match=r"it cannot be derived: .*nonsense"):
        ls.run(changed(world, broken, "2"), once=True)
    assert ls.stuck(Path(world.state)) == []


def test_few_records_or_a_guard_that_says_so_are_derived_in_place(world: World) -> None:
    world.run()  # sixty
    ls.run(changed(world, version="2"), once=True)
    assert shouted(world)
    world.do(MORE)
    ls.run(changed(world, version="2"), once=True)
    ls.run(changed(world, document, "3", ls.Guard(in_place=10_000)), once=True)
    assert not shouted(world)
    with pytest.raises(ls.HeldBack):
        ls.run(changed(world, version="4", guard=ls.Guard(in_place=0)), once=True)
