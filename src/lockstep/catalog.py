"""What a system says of its own tables: the input of `lockstep explore`."""

from __future__ import annotations

from msgspec import Struct


class CatalogColumn(Struct, frozen=True):
    """A column. `python` is the annotation its values get ("int", "Decimal", "dt.datetime",
    "list[str]"), None where Lockstep has no exact form for the type yet. `keyable`: its values can be part
    of a key, or a column to join by."""

    name: str
    type: str
    python: str | None
    nullable: bool
    keyable: bool = True


class CatalogReference(Struct, frozen=True):
    """A foreign key: these columns hold the values of `of` in table `to`."""

    columns: tuple[str, ...]
    to: str
    of: tuple[str, ...]


class CatalogTable(Struct, frozen=True):
    """A table. `name` is what `Table.name` will be; `key` is empty where it has none.

    `rows` is exact or an estimate, as `exact` says.
    """

    name: str
    columns: tuple[CatalogColumn, ...]
    key: tuple[str, ...]
    references: tuple[CatalogReference, ...]
    rows: int
    exact: bool
    comment: str | None = None


class Catalog(Struct, frozen=True):
    """The tables of one system, by name."""

    system: str
    tables: tuple[CatalogTable, ...]
