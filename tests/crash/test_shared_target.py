"""Two mappings on one target, and a mapping that keys its records anew: whole runs, with crashes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockstep.declaration.mapping import Keyed
from lockstep.declaration.pipeline import Pipeline
from lockstep.engine import points
from lockstep.operations.verify import verify
from lockstep.systems.sqlite import SQLite
from tests.support.world import Company, User, World, in_process, run_quickly


def users(user: User) -> Keyed | None:
    return Keyed(user.email, {"address": user.email, "of": f"user {user.id}"})


def companies(company: Company) -> Keyed | None:
    return Keyed(company.name, {"address": company.name, "of": f"company {company.id}"})


def plain(company: Company) -> dict[str, object]:
    return {"address": str(company.id), "of": company.name}


def pipeline(root: Path, *functions: Callable[..., Any]) -> Pipeline:
    made = Pipeline("shared", state=root / "state")
    target = SQLite(root / "out.db")
    to = target.table("shared", key=("address",), columns={"address": "TEXT", "of": "TEXT"})
    for function in functions:
        made.mapping(SQLite(root / "app.db"), to=to, name=function.__name__)(function)
    return made


def held(root: Path) -> dict[str, str]:
    target = pipeline(root, users).named("users").target
    with contextlib.closing(target.open(1)) as writer:
        return {one.record["address"]: one.record["of"] for one in writer.scan(None, 1_000)}


def die(root: Path, point: str) -> None:
    points.die_at(point)
    run_quickly(pipeline(root, users, companies))


@pytest.mark.parametrize("taker", ["users", "companies"])
@pytest.mark.parametrize("point", [None, "intended", "written", "settled"])
def test_one_gives_a_key_up_and_the_other_takes_it(tmp_path: Path, taker: str, point: str | None) -> None:
    """In one run, though the one that waits may be done before the other lets go."""
    world = World(tmp_path)
    world.do(
        "INSERT INTO users (id, email) VALUES (1, 'u'), (2, 'v')",
        "INSERT INTO companies VALUES (1, 'c'), (2, 'd')",
    )
    both = pipeline(tmp_path, users, companies)
    run_quickly(both)
    gives, takes = ("companies", "users") if taker == "users" else ("users", "companies")
    columns = {"users": "email", "companies": "name"}
    key = {"users": "u", "companies": "c"}[gives]
    world.do(
        f"UPDATE {takes} SET {columns[takes]} = '{key}' WHERE id = 2",
        f"UPDATE {gives} SET {columns[gives]} = 'new' WHERE id = 1",
    )
    if point is not None:
        assert in_process(die, tmp_path, point) == -9
    run_quickly(both)
    noun = {"users": "user", "companies": "company"}
    assert held(tmp_path)[key] == f"{noun[takes]} 2"
    assert held(tmp_path)["new"] == f"{noun[gives]} 1"
    assert len(held(tmp_path)) == 4
    for name in ("users", "companies"):
        assert verify(both, name, method="deep").agreement


def test_a_second_mapping_does_not_take_what_the_first_holds(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.do(
        "INSERT INTO companies VALUES (1, 'c')", "INSERT INTO users (id, email) VALUES (5, '1'), (6, 'x')"
    )
    run_quickly(pipeline(tmp_path, plain))
    result = run_quickly(pipeline(tmp_path, plain, users))
    assert held(tmp_path) == {"1": "c", "x": "user 6"}
    assert {one.name: one.stuck for one in result.mappings} == {"plain": 0, "users": 1}
    world.do("DELETE FROM companies")
    run_quickly(pipeline(tmp_path, plain, users))
    assert held(tmp_path) == {"1": "user 5", "x": "user 6"}


def test_a_mapping_that_keys_its_records_anew_leaves_no_old_ones(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.do("INSERT INTO companies VALUES (1, 'c'), (2, 'd')")

    def mapping(company: Company) -> dict[str, object]:
        return plain(company)

    run_quickly(pipeline(tmp_path, mapping))
    assert sorted(held(tmp_path)) == ["1", "2"]

    def anew(company: Company) -> Keyed | None:
        return companies(company)

    anew.__name__ = "mapping"
    made = pipeline(tmp_path, anew)
    made.mappings["mapping"].version = "another"
    run_quickly(made)
    assert held(tmp_path) == {"c": "company 1", "d": "company 2"}
    assert verify(made, "mapping", method="deep").agreement


def test_two_sources_begin_one_target_together(tmp_path: Path) -> None:
    """Each has a thread of its own: they must agree on one generation."""
    roots = [tmp_path / "one", tmp_path / "two"]
    for number, root in enumerate(roots):
        root.mkdir()
        World(root).do(f"INSERT INTO users (id, email) VALUES (1, 'u{number}')")
    for attempt in range(3):
        made = pipeline(tmp_path / str(attempt))
        target = SQLite(tmp_path / f"{attempt}.db")
        to = target.table("shared", key=("address",), columns={"address": "TEXT", "of": "TEXT"})
        for root in roots:
            made.mapping(SQLite(root / "app.db"), to=to, name=root.name)(users)
        assert run_quickly(made).stopped == {}
        with contextlib.closing(to.open(1)) as writer:
            assert [one.record["address"] for one in writer.scan(None, 10)] == ["u0", "u1"]
