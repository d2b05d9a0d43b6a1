"""How columns of SQL targets hold values."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockstep.systems.postgres.target.cells import declared
from lockstep.systems.sql.columns import Codec
from lockstep.systems.sqlite.codecs import codec

_VALUES: dict[type, st.SearchStrategy[Any]] = {int: st.integers(), str: st.text(), UUID: st.uuids()}
_POSTGRES = (
    "smallint",
    "int",
    "bigint",
    "numeric",
    "boolean",
    "text",
    "varchar(9)",
    "char(9)",
    "uuid",
    "date",
)
_SQLITE = ("INTEGER", "BIGINT", "TEXT", "VARCHAR(9)", "DECIMAL", "DECIMAL TEXT", "BOOLEAN", "UUID", "")


@pytest.mark.parametrize(
    "made", [*map(declared, _POSTGRES), *map(codec, _SQLITE)], ids=lambda one: one.declared
)
@given(data=st.data())
def test_of_a_columns_own_type_values_come_back_as_they_are(made: Codec, data: st.DataObject) -> None:
    if made.own is None:
        return
    value = data.draw(_VALUES[made.own])
    assert made.decode(value) is value
    try:
        cell = made.encode(value)
    except ValueError:
        return
    found = made.decode(cell)
    assert (type(found), found) == (made.own, value)


def test_which_columns_have_an_own_type() -> None:
    assert {name: made.own for name in _POSTGRES if (made := declared(name)).own} == {
        **dict.fromkeys(("smallint", "int", "bigint"), int),
        **dict.fromkeys(("text", "varchar(9)"), str),
        "uuid": UUID,
    }
    assert {name: made.own for name in _SQLITE if (made := codec(name)).own} == {
        **dict.fromkeys(("INTEGER", "BIGINT"), int),
        **dict.fromkeys(("TEXT", "VARCHAR(9)"), str),
    }
