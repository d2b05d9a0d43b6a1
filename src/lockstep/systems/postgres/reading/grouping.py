"""SQL for counts and totals by group, made by the server: see `ports.GroupingSnapshot`.

Totals are of `numeric`, which adds exactly; a double is taken by its shortest text, as the driver reads it.
The witness of a group is a sum over where each row lies and which transaction wrote it: every change of a row
moves it, or gives it another transaction, also one that ends with the old values.
A row that came and went leaves no trace in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from lockstep.errors import CannotSum
from lockstep.systems.postgres.names import quoted
from lockstep.systems.postgres.tables import TableInfo

_WITNESS = "hashtextextended(t.tableoid::text || ' ' || t.ctid::text || ' ' || t.xmin::text, 0)"


def groups_sql(info: TableInfo, of: str | None, by: Sequence[str]) -> str:
    """Rows of the groups' values, how many rows, their total and their witness, both as text."""
    if info.kind not in ("r", "p"):
        raise CannotSum(f"{info.name} is no table")
    total = "NULL"
    if of is not None:
        column = info.column(of)
        if column.python not in ("int", "float", "Decimal") or "money" in column.label:
            raise CannotSum(f"column {of} is of type {column.label}")
        total = f"sum((t.{quoted(of)})::text::numeric)::text"
        if column.python != "float":
            total = f"sum((t.{quoted(of)})::numeric)::text"
    columns = [info.column(name) for name in by]
    bad = next((one for one in columns if one.known.array or not one.deterministic), None)
    if bad is not None:  # the server would take other groups for equal than Lockstep
        raise CannotSum(f"column {bad.name} is of type {bad.label}, grouped otherwise by the server")
    values = [column.read_sql for column in columns]
    selected = ", ".join([*values, "count(*)", total, f"sum({_WITNESS}::numeric)::text"])
    grouped = f" GROUP BY {', '.join(map(str, range(1, len(by) + 1)))}" if by else " HAVING count(*) > 0"
    return f"SELECT {selected} FROM {info.sql} AS t{grouped}"


def group(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row of that SQL as the port has it."""
    *values, records, total, witness = row
    return (*values, records, None if total is None else Decimal(total), int(witness))
