"""Columns that a relation holds to be equal: whether SQLite compares them by bytes, as Lockstep does.

A column may be declared with a collation: to NOCASE 'A' is 'a', to RTRIM 'a ' is 'a'. A foreign key is then
satisfied by a parent whose key is spelled otherwise, which would not be found. And beside a column of
numbers, one without a type makes the text '5' equal to 5, which to Lockstep are two values.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from lockstep.errors import Refused
from lockstep.systems.sqlite.client import quoted
from lockstep.systems.sqlite.schema import TableInfo, read_table
from lockstep.values import Finding, Table

_ASKED = "SELECT v = 'A', v = 'a ' FROM (SELECT {} AS v FROM {} WHERE 0 UNION ALL SELECT 'a')"


def meeting(connection: sqlite3.Connection, table: Table) -> Iterator[Finding]:
    """Why rows of a table would not be found by the columns that lead to it."""
    for name, other_table, other_name in table.meets:
        for end, column in ((table.name, name), (other_table, other_name)):
            try:
                info = read_table(connection, end)
                declared = info.column(column)
            except Refused:  # said elsewhere
                continue
            collation = collation_of(connection, info, declared.name)
            if collation != "BINARY":
                yield Finding(
                    f"{info.name}.{declared.name}",
                    f"{table.name}.{name} is joined with {other_table}.{other_name}, and this column is "
                    f"compared by the collation {collation}, which takes different texts for equal; Lockstep "
                    "compares by bytes, so rows would not be found",
                    "Declare the column without COLLATE, and keep its texts in one spelling; or leave the "
                    "relation out of the shape.",
                )
        yield from _untyped(connection, table.name, name, other_table, other_name)
        yield from _untyped(connection, other_table, other_name, table.name, name)


def _untyped(
    connection: sqlite3.Connection, table: str, name: str, other: str, other_name: str
) -> Iterator[Finding]:
    """Texts in a column without a type that SQLite takes for the numbers of another column."""
    try:
        info, beside = read_table(connection, table), read_table(connection, other)
        column, partner = info.column(name), beside.column(other_name)
    except Refused:  # said elsewhere
        return
    if column.affinity != "blob" or partner.affinity not in ("integer", "real", "numeric"):
        return
    at = quoted(column.name)  # texts lie between numbers and bytes, also in an index
    found = connection.execute(
        f"SELECT {at} FROM {quoted(info.name)} "
        f"WHERE {at} >= '' AND {at} < x'' AND {at} GLOB '*[0-9]*' LIMIT 1"
    ).fetchone()
    if found:
        yield Finding(
            f"{info.name}.{column.name}",
            f"has no type and holds the text {found[0]!r}; {beside.name}.{partner.name} holds numbers, to "
            "which SQLite takes such a text for equal, and Lockstep does not, so rows would not be found",
            f"Store numbers: UPDATE {quoted(info.name)} SET {at} = CAST({at} AS NUMERIC) "
            f"WHERE typeof({at}) = 'text'; or declare the column INTEGER.",
        )


def held(connection: sqlite3.Connection, table: Table) -> Refused | None:
    """Why nobody may read a table as it is now; None where all is well."""
    for finding in meeting(connection, table):
        return Refused(f"{finding.subject}: {finding.problem}", finding.mend)
    return None


def collation_of(connection: sqlite3.Connection, info: TableInfo, column: str) -> str:
    """The collation that a column is declared with, in words. SQL does not tell, so it is tried."""
    if not info.collated:
        return "BINARY"
    try:
        folded, trimmed = connection.execute(_ASKED.format(quoted(column), quoted(info.name))).fetchone()
    except sqlite3.OperationalError as error:
        if "collation" in str(error):
            return str(error).rpartition(" ")[2]
        raise
    return "NOCASE" if folded else "RTRIM" if trimmed else "BINARY"
