"""Classes for own fields as a mapping sets them, so that a type checker knows their names and picklists."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterator

from lockstep.catalog import Catalog, CatalogColumn, CatalogTable
from lockstep.exploration import names, style
from lockstep.exploration.naming import Named

_TEXTS = ("dt.date", "dt.datetime")
"""Of these, the text in ISO 8601 is set."""

_USED = ("Any", "Decimal", "Literal", "TypedDict", "UUID")


def field_classes(catalog: Catalog, named: Named) -> list[list[str]]:
    """The lines of a TypedDict for each table of whose records own fields can be set."""
    taken = set(named.classes.values())
    made = []
    for table in catalog.tables:
        fields = [line for column in table.columns if (line := _field(column)) is not None]
        if table.setting is None or not fields:
            continue
        name = f"{named.classes.get(table.name) or names.class_name(table.name, taken)}Fields"
        while name in taken:
            name += "_"
        taken.add(name)
        bases = style.Bracket("(", ("TypedDict", "total=False"), ")", True)
        made.append([*style.line(0, f"class {name}", bases, ":"), *_said(table), "", *fields])
    return made


def _said(table: CatalogTable) -> Iterator[str]:
    texts = any(_sets(one) and one.python in _TEXTS for one in table.columns)
    yield from style.docstring(
        4, f"Fields of your own, to be set: {table.setting}", "Dates are texts: 2026-01-31." if texts else ""
    )


def _sets(column: CatalogColumn) -> bool:
    """A name that starts with two underscores, or that Python reads as another one (NFKC), would not be
    itself in a class."""
    same = unicodedata.normalize("NFKC", column.name) == column.name
    usable = same and column.name.isidentifier() and not column.name.startswith("__")
    may = (column.createable, column.updateable) != (False, False)
    return column.custom and column.python is not None and usable and may and not _taken(column.name)


def _taken(name: str) -> bool:
    return keyword.iskeyword(name) or name in names.IN_USE or name in _USED


def _field(column: CatalogColumn) -> str | None:
    if not _sets(column):
        return None
    if column.options:
        line = f"    {column.name}: Literal[{', '.join(map(style.text, column.options))}] | None"
        if style.width(line) <= style.WIDTH:
            return line
    return f"    {column.name}: {'str' if column.python in _TEXTS else column.python} | None"
