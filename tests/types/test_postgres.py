"""Every type of PostgreSQL × the values that are hard for it: read exactly, and carried to every target."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lockstep as ls
from lockstep.forms.canonical import canonical
from tests.systems.postgres_db import Db
from tests.types import rows
from tests.types.carried import carried, insert
from tests.types.kinds import TARGETS, Kind
from tests.types.postgres_kinds import KINDS, OLDER, SETUP
from tests.types.world import World, cleared

EXTENSIONS = ("CREATE EXTENSION vector",)
OLD_EXTENSIONS = ("CREATE EXTENSION hstore", "CREATE EXTENSION citext", "CREATE EXTENSION ltree")


def create(kinds: tuple[Kind, ...]) -> str:
    declared = ", ".join(f"{c} {k.declared}" for c, k in zip(rows.column_names(kinds), kinds, strict=True))
    return f"CREATE TABLE everything (id int PRIMARY KEY, {declared})"


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
    one, db = world
    carried(one, db.execute)
