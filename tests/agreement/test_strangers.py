"""Records that no mapping wrote are removed when a person asks, and the guard counts them with all others."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import lockstep as ls
from lockstep.database import Access
from lockstep.operations.holds import holds, reject
from lockstep.operations.opened import existing
from lockstep.state import schema
from lockstep.state.books import Unfenced
from tests.agreement.planted import Saboteur
from tests.pairs.world import Following, World, until
from tests.support.world import Company, User
from tests.support.world import World as SmallWorld


@pytest.mark.parametrize("world", ["opensearch", "sql", "tantivy", "postgres"], indirect=True)
def test_what_no_mapping_wrote_is_removed_when_a_person_asks(world: World) -> None:
    world.run()
    bad = Saboteur(world)
    bad.add(901, "somebody", 901)
    bad.add(902, "people", 902)
    bad.delete(31)
    first = ls.verify(world.pipeline(), "people")
    assert first.id is not None
    with Following(world):
        until(lambda: ls.status(Path(world.state)).running is not None)
        busy = ls.repair(world.pipeline(), "people", only=["extra"], extras=True)
        assert [(one.subject, one.reason) for one in busy.left] == [
            ("→ 901", "Lockstep did not write it: stop the run to remove it")
        ]
    plan = ls.repair(world.pipeline(), report=first.id, extras=True, dry_run=True)
    assert (plan.removed, plan.left) == (1, ())
    assert "901" in world.actual(), "a plan removes nothing"
    done = ls.repair(world.pipeline(), report=first.id, extras=True)
    assert (done.removed, done.left) == (1, ())
    world.run()
    assert ls.verify(world.pipeline(), "people", method="deep").agreement


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_the_guard_of_the_mapping_holds_strangers_and_nothing_else(world: World) -> None:
    world.guard = ls.Guard(free=2, share=0.0)
    world.run()
    bad = Saboteur(world)
    for number in (901, 902, 903):
        bad.add(number, "somebody", number)
    bad.delete(31)
    ls.verify(world.pipeline(), "people")
    for dry_run in (True, False):
        done = ls.repair(world.pipeline(), "people", extras=True, dry_run=dry_run)
        assert (done.removed, done.keys) == (0, {"missing": 1})
        assert [one.subject for one in done.left] == ["→ 901", "→ 902", "→ 903"]
        assert "3 records would be removed" in done.left[0].reason
        assert "guard=ls.Guard(free=" in done.left[0].reason
    world.run()
    assert world.actual().keys() - world.expected().keys() == {"901", "902", "903"}
    world.guard = ls.Guard(free=3, share=0.0)
    assert ls.repair(world.pipeline(), "people", extras=True).removed == 3
    assert ls.verify(world.pipeline(), "people", method="deep").agreement


@pytest.mark.parametrize("world", ["sql", "opensearch"], indirect=True)
def test_strangers_that_were_removed_lately_count_with_those_that_are_to_be(world: World) -> None:
    world.guard = ls.Guard(free=2, share=0.0)
    world.run()
    for number in (901, 902):
        Saboteur(world).add(number, "somebody", number)
        ls.verify(world.pipeline(), "people")
        assert ls.repair(world.pipeline(), "people", extras=True).removed == 1
    Saboteur(world).add(903, "somebody", 903)
    ls.verify(world.pipeline(), "people")
    for dry_run in (True, False):
        done = ls.repair(world.pipeline(), "people", extras=True, dry_run=dry_run)
        assert (done.removed, [one.subject for one in done.left]) == (0, ["→ 903"])
        assert "1 records would be removed, with 2 of late" in done.left[0].reason
    world.do("DELETE FROM users WHERE id = 31")
    with pytest.raises(ls.HeldBack, match="with 2 of late"):
        world.run()
    assert {"31", "903"} <= world.actual().keys()
    (hold,) = holds(Path(world.state))
    reject(Path(world.state), hold.id, why="who removes all this?", by="ada")
    world.guard = ls.Guard(free=5, share=0.0)
    done = ls.repair(world.pipeline(), "people", extras=True)
    assert (done.removed, "with 2 of late" in done.left[0].reason) == (0, True), "while a hold stands"


@pytest.mark.parametrize("world", ["sql"], indirect=True)
def test_a_target_with_turnover_lets_twice_as_many_strangers_go_as_are_usual(world: World) -> None:
    world.guard = ls.Guard(free=2, share=0.0)
    world.run()
    with existing(world.pipeline(), Access.CHANGE) as store:
        lately = {"generation": 1, "minute": int(time.time() // 60) - 2_000, "updates": 0, "removes": 2}
        with store._database.unfenced(Unfenced.PERSON) as connection:
            connection.execute(schema.writes.insert(), lately)
    for number in range(901, 906):
        Saboteur(world).add(number, "somebody", number)
    ls.verify(world.pipeline(), "people")
    for dry_run in (True, False):
        done = ls.repair(world.pipeline(), "people", extras=True, dry_run=dry_run)
        assert (done.removed, len(done.left)) == (0, 5), "beyond four"
    for number in (904, 905):
        Saboteur(world).delete(number)
    ls.verify(world.pipeline(), "people")
    for dry_run in (True, False):
        done = ls.repair(world.pipeline(), "people", extras=True, dry_run=dry_run)
        assert (done.removed, done.left) == (3, ())


def two_into_one_table(world: SmallWorld) -> ls.Pipeline:
    """Users and companies, in one table."""
    made = ls.Pipeline("shared", state=world.root / "state")
    table = ls.SQLite(world.out).table("things", columns={"id": "TEXT", "name": "TEXT"})

    @made.mapping(ls.SQLite(world.app), to=table)
    def users(user: User) -> ls.Keyed:
        return ls.Keyed(f"u{user.id}", {"id": f"u{user.id}", "name": user.email})

    @made.mapping(ls.SQLite(world.app), to=table)
    def companies(company: Company) -> ls.Keyed:
        return ls.Keyed(f"c{company.id}", {"id": f"c{company.id}", "name": company.name})

    return made


def test_what_another_mapping_writes_there_is_no_stranger_that_nobody_needs(tmp_path: Path) -> None:
    """Its record has lost what Lockstep keeps beside it: removed, its mapping would not know of it."""
    world = SmallWorld(tmp_path, claims=False)
    world.do(
        "INSERT INTO users VALUES (1, NULL, NULL, 'u', NULL)", "INSERT INTO companies VALUES (7, 'Acme')"
    )
    ls.run(two_into_one_table(world), once=True)
    world.spoil(
        "DELETE FROM _lockstep_things WHERE mapping = 'companies'", "INSERT INTO things VALUES ('x', 'x')"
    )
    assert ls.verify(two_into_one_table(world), "users").counts == {"extra": 2}
    for dry_run in (True, False):
        done = ls.repair(two_into_one_table(world), "users", extras=True, dry_run=dry_run)
        assert done.removed == 1
        (left,) = done.left
        assert (left.subject, left.reason) == (
            "→ c7",
            "mapping companies writes it: `lockstep verify companies`, then `lockstep repair companies`",
        )
    assert ls.verify(two_into_one_table(world), "companies").counts == {"different": 1}
    ls.repair(two_into_one_table(world), "companies")
    ls.run(two_into_one_table(world), once=True)
    assert all(report.agreement for report in two_into_one_table(world).verify(method="deep"))
