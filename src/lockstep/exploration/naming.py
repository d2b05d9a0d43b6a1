"""What every table and column of a catalog is called in models.py, decided once for all its parts."""

from __future__ import annotations

from dataclasses import dataclass

from lockstep.catalog import Catalog, CatalogColumn, CatalogReference, CatalogTable
from lockstep.exploration import names


@dataclass(frozen=True)
class Named:
    """The tables that become models, with the names of their classes and fields; and those that do not."""

    tables: tuple[CatalogTable, ...]
    classes: dict[str, str]
    fields: dict[str, dict[str, str]]
    left_out: tuple[tuple[CatalogTable, str], ...]

    def table(self, name: str) -> CatalogTable | None:
        """A table that becomes a model."""
        return next((table for table in self.tables if table.name == name), None)

    def references(self, table: CatalogTable) -> tuple[CatalogReference, ...]:
        """The foreign keys of a table between fields that are there, each once."""
        return tuple(
            dict.fromkeys(
                reference
                for reference in table.references
                if reference.to in self.fields
                and all(column in self.fields[table.name] for column in reference.columns)
                and all(column in self.fields[reference.to] for column in reference.of)
            )
        )


def name_tables(catalog: Catalog) -> Named:
    """Names whatever can be a model. Names do not depend on the tables that cannot."""
    kept: list[CatalogTable] = []
    left_out: list[tuple[CatalogTable, str]] = []
    for table in catalog.tables:
        reason = table.unread or _why_not(table)
        if reason is None:
            kept.append(table)
        else:
            left_out.append((table, reason))
    classes: dict[str, str] = {}
    taken: set[str] = set()
    for table in kept:
        classes[table.name] = names.class_name(table.name, taken)
        taken.add(classes[table.name])
    fields: dict[str, dict[str, str]] = {}
    for table in kept:
        fields[table.name] = _fields(table)
    return Named(tuple(kept), classes, fields, tuple(left_out))


def _fields(table: CatalogTable) -> dict[str, str]:
    """The fields by column. Columns that may keep their own name get it before any made-up one does."""
    columns = [column.name for column in table.columns if column.python is not None]
    found: dict[str, str] = {column: column for column in columns if names.field_name(column, ()) == column}
    for column in columns:
        if column not in found:
            found[column] = names.field_name(column, set(found.values()))
    return {column: found[column] for column in columns}


def _why_not(table: CatalogTable) -> str | None:
    if not table.key:
        return (
            "it has no key, so nobody can tell its rows apart. Give it a primary key, or a unique index over "
            "columns that are NOT NULL, and explore again."
        )
    for column in table.columns:
        if column.name in table.key and (column.python is None or not column.keyable):
            why = (
                no_form(column) if column.python is None else f"values of type {column.type} cannot be a key"
            )
            return (
                f"of its key column {column.name}, {why}. Give it a unique index over columns of "
                "other types that are NOT NULL, and explore again."
            )
    return None


def no_form(column: CatalogColumn) -> str:
    """Why a column cannot be read."""
    if not column.type:
        return "it was declared without a type"
    return f"Lockstep has no exact form for {column.type} yet"
