"""Every type of PostgreSQL × the values that are hard for it: read exactly, and carried to every target."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lockstep as ls
from lockstep.canonical import canonical
from tests.systems.postgres_db import Db
from tests.types import rows
from tests.types.kinds import TARGETS, Kind
from tests.types.postgres_kinds import KINDS, OLDER, SETUP
from tests.types.world import World, cleared

EXTENSIONS = ("CREATE EXTENSION vector",)
OLD_EXTENSIONS = ("CREATE EXTENSION hstore", "CREATE EXTENSION citext", "CREATE EXTENSION ltree")


def create(kinds: tuple[Kind, ...]) -> str:
    declared = ", ".join(f"{c} {k.declared}" for c, k in zip(rows.column_names(kinds), kinds, strict=True))
    return f"CREATE TABLE everything (id int PRIMARY KEY, {declared})"


def insert(number: int, cells: list[rows.Cell]) -> str:
    names = ", ".join(("id", *(cell.column for cell in cells)))
    values = ", ".join((str(number), *(cell.case.literal for cell in cells)))
    return f"INSERT INTO everything ({names}) VALUES ({values})"


def update(number: int, cells: list[rows.Cell]) -> str:
    values = ", ".join(f"{cell.column} = {cell.case.literal}" for cell in cells)
    return f"UPDATE everything SET {values} WHERE id = {number}"


@pytest.fixture(params=["new", "old"])
def db(request: pytest.FixtureRequest) -> Iterator[tuple[Db, tuple[Kind, ...]]]:
    """The table with all values, and the kinds of its columns."""
    older = request.param == "old"
    kinds = OLDER if older else KINDS
    url = request.getfixturevalue("postgres15_url" if older else "postgres_url")
    with Db(url, *(OLD_EXTENSIONS if older else EXTENSIONS + SETUP), create(kinds)) as made:
        yield made, kinds


def test_values_are_read_as_the_list_says(db: tuple[Db, tuple[Kind, ...]]) -> None:
    made, kinds = db
    found = rows.rows(kinds)
    made.execute(*(insert(number, cells) for number, cells in found.items()))
    columns = {one.name: one for one in made.source.catalog().tables[0].columns}
    for column, kind in zip(rows.column_names(kinds), kinds, strict=True):
        assert columns[column].python == kind.python, kind.declared
        assert columns[column].keyable == (kind.key == "yes"), kind.declared
    for number, cells in found.items():
        for cell in cells:
            if "source" in cell.case.stuck:
                with pytest.raises(ls.DataError, match=cell.case.stuck["source"]):
                    made.read("public.everything", cell.column, "id", (number,))
                continue
            ((value,),) = made.read("public.everything", cell.column, "id", (number,))
            assert same(value, cell.case.value), (cell.kind.declared, cell.case.literal, value)


def same(one: Any, other: Any) -> bool:
    """Equal in type and in canonical form."""
    return type(one) is type(other) and canonical({"": one}) == canonical({"": other})


@pytest.fixture(params=TARGETS)
def world(
    request: pytest.FixtureRequest, tmp_path: Path, db: tuple[Db, tuple[Kind, ...]]
) -> Iterator[tuple[World, Db]]:
    made, kinds = db
    search = request.getfixturevalue("opensearch_server").url if request.param == "opensearch" else None
    with cleared(World(tmp_path, made.source, kinds, request.param, search), search) as one:
        yield one, made


def test_every_type_to_every_target(world: tuple[World, Db]) -> None:
    """In a snapshot, as an insert and as an update of nulls live: the same. Then spoilt, and found."""
    one, db = world
    early = {number: cells for number, cells in one.rows.items() if number < rows.ALONE or number % 2}
    db.execute(*(insert(number, cells) for number, cells in early.items()))
    nulls = [number + rows.AGAIN for number in early if number < rows.ALONE]
    db.execute(*(insert(number, []) for number in nulls))
    one.run()
    db.execute(*(insert(number, cells) for number, cells in one.rows.items() if number not in early))
    db.execute(*(update(number, one.rows[number - rows.AGAIN]) for number in nulls))
    one.run()

    stuck = one.stuck()
    rejected = {str(number) for number, found in stuck.items() if found.stage == "write"}
    for number, cells in one.rows.items():
        for cell in cells:
            for reason in (cell.case.stuck.get("source"), cell.case.stuck.get(one.to)):
                if reason is not None:
                    assert reason in stuck.pop(number).error, (cell.kind.declared, cell.case.literal)
    assert {number: found.error for number, found in stuck.items()} == {}

    expected = rows.forms(one.expected())
    for number in nulls:
        expected[number] = {**expected[number - rows.AGAIN], "id": canonical({"": number})}
    actual = rows.forms(one.actual())
    for number, fields in expected.items():
        for name, form in fields.items():
            assert actual[number][name] == form, (number, name)
    assert actual.keys() == expected.keys()
    report = ls.verify(one.pipeline, "everything")
    missing = {d.key for d in report.divergences if d.kind != "failed"}
    assert missing == rejected

    wanted = {number: cells[0] for number, cells in one.rows.items() if cells and number in expected}
    records = one.actual()
    spoilt: dict[int, dict[str, Any]] = {}
    places: dict[str | None, list[str]] = {}
    wanted |= dict(zip(rows.FILLER, one.rows[1], strict=False))
    for number, cell in wanted.items():
        spoilt[number] = {**records[number], cell.column: one.another(cell, number)}
        places[str(number)] = [cell.column]
    one.spoil(spoilt)
    report = ls.verify(one.pipeline, "everything")
    found = {
        d.key: [re.split(r"[.\[]", field.path)[0] for field in d.fields]
        for d in report.divergences
        if d.kind == "different"
    }
    assert found == places
