"""Agreement of the small world where keys may be poison and addresses may be claimed by several users."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import lockstep as ls
from lockstep.forms import keys
from tests.support.world import World


def assert_agreed(world: World) -> None:
    """Every record is derived by somebody, who is not stuck has all of its own, the books are closed."""
    stuck = assert_records(world)
    for name in world.mappings():
        waiting = {str(key) for mapping, key in stuck if mapping == name}
        for method in ("fast", "deep"):
            report = ls.verify(world.pipeline(), name, method=method)
            unexcused = [one for one in report.divergences if one.key not in waiting]
            assert unexcused == [], (name, method, report.counts, unexcused[:3])
    with contextlib.closing(sqlite3.connect(world.root / "state" / "ledger.db")) as ledger:
        for question in (
            "SELECT count(*) FROM intents",
            "SELECT count(*) FROM ledger l WHERE void AND NOT EXISTS (SELECT 1 FROM stuck s"
            " WHERE s.consumer = l.consumer AND s.key = l.key)",
        ):
            assert ledger.execute(question).fetchone() == (0,), question


def assert_records(world: World) -> set[tuple[str, Any]]:
    """By brute force alone; what is stuck, as (mapping, key)."""
    stuck = {(one.mapping, keys.decode(one.key)[0]) for one in ls.stuck(world.root / "state")}
    actual = world.actual()
    _people(world, actual["people"], {key for mapping, key in stuck if mapping == "people"})
    _addresses(world, actual["addresses"], {key for mapping, key in stuck if mapping == "addresses"})
    return stuck


def _people(world: World, actual: list[dict[str, Any]], stuck: set[Any]) -> None:
    wanted = world.expected()["people"]
    poison = {one["id"] for one in wanted if one["email"] == "poison"}
    assert stuck == poison
    assert [one for one in actual if one["id"] not in poison] == [
        one for one in wanted if one["id"] not in poison
    ]


def _addresses(world: World, actual: list[dict[str, Any]], stuck: set[Any]) -> None:
    derived = world.derived_addresses()
    held = {one["address"]: one for one in actual}
    assert held.keys() <= {one["address"] for one in derived}, "nobody derives them"
    for one in derived:
        if one["user"] not in stuck:
            assert held.get(one["address"]) == one
    for address, record in held.items():
        rivals = [one for one in derived if one["address"] == address]
        assert record in rivals or record["user"] in stuck, (record, rivals)
    for user in stuck:
        own = [one["address"] for one in derived if one["user"] == user]
        assert any(held.get(one, {}).get("user", user) != user for one in own), f"{user} waits for nobody"
