"""Columns that a relation holds to be equal: whether what the database takes for equal is one value here.

A foreign key may join columns of two types. Whole numbers and numerics meet by value, texts by their bytes,
and so they do here. Others do not: float4 0.1 is 0.10000000149011612 to a float8, 2^53 + 1 is 2^53, a text
with blanks at its end is equal to a char(n) without, a timestamp is some timestamptz.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lockstep.systems.postgres.tables import Column, TableInfo
from lockstep.values import Finding, Table

_CLASSES = {
    **dict.fromkeys(("int2", "int4", "int8", "oid", "numeric"), "numbers"),
    **dict.fromkeys(("text", "varchar", "name"), "texts"),
}


def meeting(table: Table, infos: Mapping[str, TableInfo]) -> Iterator[Finding]:
    """Why rows of a table would not be found by the columns that lead to it."""
    for name, other_table, other_name in table.meets:
        own, over = infos.get(table.name), infos.get(other_table)
        column = own and own.columns.get(name)
        other = over and over.columns.get(other_name)
        if not column or not other or not column.type or not other.type:
            continue
        if _class(column) != _class(other):
            yield Finding(
                f"{table.name}.{name}",
                f"it is {column.label} and joined with {other_table}.{other_name}, which is {other.label}: "
                "the database takes different values of the two for equal, so rows would not be found",
                "Give both columns one type (whole numbers and numeric may meet, and text and varchar); or "
                "leave the relation out of the shape.",
            )


def _class(column: Column) -> str:
    name = column.known.name
    return _CLASSES.get(name, name)
