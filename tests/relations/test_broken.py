"""Relations that are not as declared: the key is stuck with a reason, and clears itself when they are."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

import lockstep as ls
from lockstep.ports import Source
from tests.support.world import run_quickly

SCHEMA = (
    "CREATE TABLE owners (id integer PRIMARY KEY, name text)",
    "CREATE TABLE cars (id integer PRIMARY KEY, owner_id int, name text)",
    "CREATE TABLE plates (id integer PRIMARY KEY, car_id int, name text)",
    "CREATE TABLE stickers (id integer PRIMARY KEY, car_id int, owner_id int)",
    "INSERT INTO owners VALUES (1, 'Ada')",
    "INSERT INTO cars VALUES (1, 1, 'Mini')",
    "INSERT INTO plates VALUES (1, 1, 'AA')",
)
COLUMNS = {"id": "INTEGER", "body": "JSON"}


class World:
    """Cars that need an owner and at most one plate, in either source, without any constraint."""

    def __init__(self, root: Path, url: str | None) -> None:
        self.root, self.url = root, url
        self.do(*SCHEMA)
        if url:
            self.do(*(f"ALTER TABLE {name} REPLICA IDENTITY FULL" for name in ("cars", "plates", "stickers")))

    def do(self, *given: str) -> None:
        if self.url:
            with psycopg.connect(self.url) as connection:
                for one in given:
                    connection.execute(one.encode())
        else:
            with contextlib.closing(sqlite3.connect(self.root / "app.db")) as file, file:
                for one in given:
                    file.execute(one)

    def source(self) -> Source:
        if self.url:
            return ls.Postgres(self.url, slot=self.url.rpartition("/")[2])
        return ls.SQLite(self.root / "app.db")

    def pipeline(self) -> ls.Pipeline:
        made = ls.Pipeline("broken", state=self.root / "state")
        at: Callable[[str], str] = "public.{}".format if self.url else "{}".format

        class Owner(ls.Model, table=at("owners")):
            id: int = ls.key()
            name: str

        class Car(ls.Model, table=at("cars")):
            id: int = ls.key()
            owner_id: int | None = ls.ref("Owner.id")
            name: str

        class Plate(ls.Model, table=at("plates")):
            id: int = ls.key()
            car_id: int | None = ls.ref("Car.id")
            name: str

        class Sticker(ls.Model, table=at("stickers")):
            id: int = ls.key()
            car_id: int | None = ls.ref("Car.id")
            owner_id: int | None = ls.ref("Owner.id")

        class Owned(Car):
            owner: Owner
            plate: Plate | None
            fans: list[Owner] = ls.many(through=Sticker)

        to = ls.SQLite(self.root / "out.db").table("cars", columns=COLUMNS)

        @made.mapping(self.source(), to=to, version="1")
        def cars(car: Owned) -> dict[str, object]:
            fans = [fan.name for fan in car.fans]
            return {"id": car.id, "body": [car.owner.name, car.plate and car.plate.name, *fans]}

        return made

    def after(self, *given: str) -> tuple[dict[int, Any], list[str]]:
        """What the target holds once that is worked, and what is stuck."""
        self.do(*given)
        assert run_quickly(self.pipeline()).stopped == {}
        with contextlib.closing(self.pipeline().named("cars").target.open(1)) as writer:
            held = {one.record["id"]: one.record["body"] for one in writer.scan(None, 100)}
        return held, [one.error for one in ls.stuck(self.root / "state", "cars")]


@pytest.fixture(params=["sqlite", "postgres"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.getfixturevalue("postgres_url") if request.param == "postgres" else None)


def test_a_root_without_its_required_parent(world: World) -> None:
    """The target keeps what it has; the others go on; the parent's coming clears it."""
    assert world.after() == ({1: ["Ada", "AA"]}, [])
    held, stuck = world.after(
        "INSERT INTO cars VALUES (2, 7, 'Fiat')", "INSERT INTO cars VALUES (3, 1, 'VW')"
    )
    assert held == {1: ["Ada", "AA"], 3: ["Ada", None]}
    (error,) = stuck
    assert error.startswith("Owned 2: no row of ")
    assert error.endswith("owners has id = 7, and owner is required")
    assert world.after("INSERT INTO owners VALUES (7, 'Bea')") == (
        {1: ["Ada", "AA"], 2: ["Bea", None], 3: ["Ada", None]},
        [],
    )
    held, stuck = world.after("DELETE FROM owners WHERE id = 7")
    assert held[2] == ["Bea", None], "it keeps what it has"
    assert len(stuck) == 1
    held, stuck = world.after("UPDATE cars SET owner_id = 1 WHERE id = 2")
    assert (held[2], stuck) == (["Ada", None], [])


def test_a_required_parent_through_a_null(world: World) -> None:
    held, stuck = world.after("UPDATE cars SET owner_id = NULL WHERE id = 1", "UPDATE cars SET name = 'X'")
    assert held == {}
    assert stuck == ["Owned 1: owner_id is null, and owner is required"]
    assert world.after("DELETE FROM cars WHERE id = 1") == ({}, []), "a root that goes is stuck no more"


def test_two_rows_where_one_is_declared(world: World) -> None:
    world.after()
    held, (error,) = world.after("INSERT INTO plates VALUES (2, 1, 'BB')")
    assert held == {1: ["Ada", "AA"]}
    assert error.startswith("Owned 1: 2 rows of ")
    assert error.endswith("plates have car_id = 1, and plate takes one")
    assert world.after("UPDATE plates SET car_id = 9 WHERE id = 1") == ({1: ["Ada", "BB"]}, [])


def test_links_that_lead_nowhere_and_twice(world: World) -> None:
    """A list has one element for each path: two link rows to one row are two, one to nothing is none."""
    held, _ = world.after(
        "INSERT INTO owners VALUES (2, 'Bea')",
        "INSERT INTO stickers VALUES (1, 1, 2), (2, 1, 1), (3, 1, 2), (4, 1, NULL), (5, 1, 77), (6, NULL, 1)",
    )
    assert held == {1: ["Ada", "AA", "Ada", "Bea", "Bea"]}
    assert world.after("DELETE FROM stickers WHERE id = 1")[0] == {1: ["Ada", "AA", "Ada", "Bea"]}
    assert world.after("INSERT INTO owners VALUES (77, 'Cat')")[0] == {1: ["Ada", "AA", "Ada", "Bea", "Cat"]}
    assert world.after("UPDATE stickers SET car_id = 1 WHERE id = 6")[0][1][2:] == [
        "Ada",
        "Ada",
        "Bea",
        "Cat",
    ]
