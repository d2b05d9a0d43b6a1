"""Columns that a relation holds to be equal: whether SQLite compares them by bytes, as Lockstep does.

A column may be declared with a collation: to NOCASE 'A' is 'a', to RTRIM 'a ' is 'a'. A foreign key is then
satisfied by a parent whose key is spelled otherwise, which would not be found.
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
