"""What a system says of its own tables: the input of `lockstep explore`."""

from __future__ import annotations

from msgspec import Struct


class CatalogColumn(Struct, frozen=True):
    """A column. `python` is the annotation its values get ("int", "Decimal", "dt.datetime",
    "list[str]"), None where Lockstep has no exact form for the type yet. `keyable`: its values can be part
    of a key, or a column to join by.

    Of systems that say more: `label` is what people there call it, `custom` that it is the owner's own and
    not of every such system, `options` what a picklist offers, `createable` and `updateable` whether the
    system lets it be set; None: it does not say.
    """

    name: str
    type: str
    python: str | None
    nullable: bool
    keyable: bool = True
    label: str | None = None
    custom: bool = False
    options: tuple[str, ...] = ()
    createable: bool | None = None
    updateable: bool | None = None
    required: bool | None = None


class CatalogReference(Struct, frozen=True):
    """A foreign key: these columns hold the values of `of` in table `to`."""

    columns: tuple[str, ...]
    to: str
    of: tuple[str, ...]


class CatalogTable(Struct, frozen=True):
    """A table. `name` is what `Table.name` will be; `key` is empty where it has none.

    `rows` is exact or an estimate, as `exact` says; None: nobody knows. `unread` says why it cannot be read
    as a table, where it is there to be known only. `others` are fields that are there and are not read;
    `related` what a record has one of: its name there, and the table or object that it is. `setting` is how
    a mapping sets columns that are `custom`, as code; None: it cannot.
    """

    name: str
    columns: tuple[CatalogColumn, ...]
    key: tuple[str, ...]
    references: tuple[CatalogReference, ...]
    rows: int | None
    exact: bool
    comment: str | None = None
    unread: str | None = None
    others: tuple[CatalogColumn, ...] = ()
    related: tuple[tuple[str, str], ...] = ()
    setting: str | None = None


class Catalog(Struct, frozen=True):
    """The tables of one system, by name.

    `custom_for` is how its source is told of columns that are `custom`, as code that uses the name CUSTOM;
    None: it knows them. `missed` are objects of which the system tells nothing: their name, and why.
    """

    system: str
    tables: tuple[CatalogTable, ...]
    custom_for: str | None = None
    missed: tuple[tuple[str, str], ...] = ()
