"""The SQL of capture: what records every way to change a row.

Three triggers after the fact record inserts, updates and deletes, those of foreign key actions included.
They do not see a row that REPLACE removes: SQLite fires no delete trigger for it. So two triggers before the
fact record the rows that stand where the new one wants to be, under each unique index and the row number.
Such a row may stay (the statement may be refused, ignored or an upsert): a hint too many does no harm.

A change carries the values of the key and join columns before and after, in columns without a type, so that
every value keeps its storage class.
"""

from __future__ import annotations

from collections.abc import Sequence

from lockstep.systems.sqlite.client import names, quoted
from lockstep.systems.sqlite.schema import OWN, Column, Index, Part, TableInfo

LOG = f"{OWN}_changes"
PREFIX = f"{OWN}_capture_"
MARKER, INSERTED, UPDATED, DELETED, REPLACED = range(5)
"""What a row of the log says. A marker: capture of the table begins here."""


def statements(info: TableInfo, captured: Sequence[str], layout: int) -> dict[str, str]:
    """The triggers of a table by name. `captured` are the columns recorded, `layout` says which they are."""
    before = ", ".join(f"b{at}" for at in range(len(captured)))
    after = ", ".join(f"a{at}" for at in range(len(captured)))
    old, new = ((", ".join(f"{row}.{quoted(name)}" for name in captured)) for row in ("OLD", "NEW"))

    def put(columns: str, operation: int, values: str) -> str:
        return f"INSERT INTO {LOG}(layout, operation, {columns}) VALUES ({layout}, {operation}, {values});"

    def replaced(conditions: list[str]) -> str:
        found = names(list(captured), info.name)
        return "\n".join(
            f"INSERT INTO {LOG}(layout, operation, {before}) SELECT {layout}, {REPLACED}, {found}"
            f" FROM {quoted(info.name)} WHERE {condition};"
            for condition in conditions
        )

    bodies = {
        "insert": ("AFTER INSERT", put(after, INSERTED, new)),
        "update": ("AFTER UPDATE", put(f"{before}, {after}", UPDATED, f"{old}, {new}")),
        "delete": ("AFTER DELETE", put(before, DELETED, old)),
        "replace_insert": ("BEFORE INSERT", replaced(_in_the_way(info))),
        "replace_update": ("BEFORE UPDATE", replaced(_in_the_way_of_update(info))),
    }
    return {
        f"{PREFIX}{layout}_{name}": (
            f"CREATE TRIGGER {PREFIX}{layout}_{name} {event} ON {quoted(info.name)} BEGIN\n{body}\nEND"
        )
        for name, (event, body) in bodies.items()
        if body
    }


def _in_the_way(info: TableInfo) -> list[str]:
    """For each unique index, the condition of the rows that hold what NEW wants to hold."""
    found = [_holds(info, index) for index in info.indexes if index.unique]
    if info.rowid is not None:
        found.append(f"{quoted(info.name)}.{info.rowid} = NEW.{info.rowid}")
    return found


def _in_the_way_of_update(info: TableInfo) -> list[str]:
    """The same, where the update changes what the index holds; the row itself is not in its own way."""
    found = []
    for index in info.indexes:
        if not index.unique:
            continue
        changed = ""
        if index.columns is not None:  # a row may come into a partial index by any column
            differs = " OR ".join(
                f"NEW.{quoted(name)}{_collate(info, part)} IS NOT OLD.{quoted(name)}"
                for name, part in zip(index.columns, index.parts, strict=True)
            )
            changed = f"({differs}) AND "
        found.append(f"{changed}{_holds(info, index)} AND {_another(info)}")
    if info.rowid is not None:
        found.append(
            f"NEW.{info.rowid} IS NOT OLD.{info.rowid}"
            f" AND {quoted(info.name)}.{info.rowid} = NEW.{info.rowid}"
        )
    return found


def _another(info: TableInfo) -> str:
    table = quoted(info.name)
    if info.rowid is not None:
        return f"{table}.{info.rowid} IS NOT OLD.{info.rowid}"
    same = " AND ".join(f"{table}.{quoted(name)} IS OLD.{quoted(name)}" for name in info.primary)
    return f"NOT ({same})"


def _holds(info: TableInfo, index: Index) -> str:
    terms = [_equal(info, part) for part in index.parts]
    if index.predicate is not None:
        terms.append(f"({index.predicate}\n)")  # its text may end in a comment
    return " AND ".join(terms)


def _equal(info: TableInfo, part: Part) -> str:
    if part.column is not None:
        column = info.column(part.column)
        left = f"{quoted(info.name)}.{quoted(column.name)}{_collate(info, part)}"
        return f"{left} = {_new(column)}"
    row = ", ".join(f"{_new(column)} AS {quoted(column.name)}" for column in info.columns)
    left = f"({part.expression}\n){_collate(info, part)}"
    return f"{left} = (SELECT {part.expression}\nFROM (SELECT {row}))"


def _new(column: Column) -> str:
    """A value of the new row. REPLACE puts the default where a NOT NULL column would get a null."""
    value = f"NEW.{quoted(column.name)}"
    if column.nullable or column.default is None:
        return value
    return f"coalesce({value}, ({column.default}))"


def _collate(info: TableInfo, part: Part) -> str:
    if part.collation == "BINARY" and not info.collated:
        return ""
    return f" COLLATE {quoted(part.collation)}"
