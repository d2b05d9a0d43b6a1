"""How many rows a table has: thought to have, or counted where that is cheap."""

from __future__ import annotations

from lockstep.errors import Refused
from lockstep.systems.postgres import tables
from lockstep.systems.postgres.client import Connection
from lockstep.systems.postgres.tables import TableInfo

COUNTED = 20_000
"""Tables thought to be smaller than this are counted."""


def estimate(connection: Connection, name: str) -> int:
    return estimated(connection, _info(connection, name))[0]


def count(connection: Connection, name: str, most: int) -> int:
    some = f"SELECT 1 FROM {_info(connection, name).sql} LIMIT {int(most)}"
    (counted,) = connection.execute(f"SELECT count(*) FROM ({some}) AS counted".encode()).fetchone() or (0,)
    return int(counted)


def _info(connection: Connection, name: str) -> TableInfo:
    info = tables.load(connection, [name]).get(name)
    if info is None:
        raise Refused(f"there is no table {name}", "Run `lockstep check`.")
    return info


def estimated(connection: Connection, info: TableInfo) -> tuple[int, bool]:
    """(rows, exact): the planner's estimate, which knows how large the files are; small ones are counted."""
    (plan,) = connection.execute(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {info.sql}".encode()).fetchone() or (
        [],
    )
    rows = int(plan[0]["Plan"]["Plan Rows"])
    if rows > COUNTED:
        return rows, False
    (counted,) = connection.execute(f"SELECT count(*) FROM {info.sql}".encode()).fetchone() or (0,)
    return int(counted), True
