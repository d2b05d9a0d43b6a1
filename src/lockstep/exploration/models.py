"""Writes models.py: a catalog as typed classes that a person wants to own and edit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lockstep.catalog import Catalog, CatalogColumn, CatalogReference, CatalogTable
from lockstep.exploration import style
from lockstep.exploration.fields import field_classes
from lockstep.exploration.naming import Named, name_tables, no_form
from lockstep.exploration.shapes import suggestions

_IMPORTS = (
    (r"\bdt\.", "import datetime as dt"),
    (r"\bDecimal\b", "from decimal import Decimal"),
    (r"\bUUID\b", "from uuid import UUID"),
)


def write_models(catalog: Catalog, *, url_hint: str | None) -> str:
    """The text of a models.py: a class for every table that has a key, referenced ones first.

    What cannot be a model stands there as a comment with the mend; so do shapes that suggest themselves.
    `url_hint` is shown as where it came from: give it without secrets.
    """
    named = name_tables(catalog)
    classes = [list(_class(table, named)) for table in _in_reading_order(named)]
    notes = [list(_left_out(table, reason)) for table, reason in named.left_out if table.unread is None]
    notes += _unread(catalog)
    suggested = list(suggestions(named))
    settable = field_classes(catalog, named)
    lines = list(
        style.docstring(
            0, f"The models of {url_hint or catalog.system}, written by `lockstep explore`", _PREFACE
        )
    )
    lines += ["", "from __future__ import annotations", ""]
    if classes or settable:
        imports = list(_imports(named, settable))
        if classes:
            lines += [*imports, *([""] if imports else []), "import lockstep as ls"]
        else:
            lines += imports
        for one in classes:
            lines += ["", "", *one]
        lines += list(_custom(catalog, named))
    for one in settable:
        lines += ["", "", *one]
    for note in notes:
        lines += ["", "", *note] if note is notes[0] and (classes or settable) else ["", *note]
    if suggested:
        lines += ["", *([] if notes else [""]), *suggested]
    return "\n".join(lines).rstrip() + "\n"


_OPTIONS = 12
"""Of a picklist, how many are told."""

_PREFACE = (
    "They are yours: rename classes and fields, take out columns that no mapping needs, and mark personal "
    'data as `ls.personal("email")`.'
)


def _imports(named: Named, settable: list[list[str]]) -> Iterator[str]:
    pythons = [column.python or "" for table in named.tables for column in table.columns]
    annotations = [line.partition(":")[2] for lines in settable for line in lines if line.endswith("| None")]
    used = " ".join([*pythons, *annotations])
    typing = [name for name in ("Any", "Literal") if re.search(rf"\b{name}\b", used)]
    typing += ["TypedDict"] if settable else []
    found = [statement for pattern, statement in _IMPORTS if re.search(pattern, used)]
    if typing:
        found.append(f"from typing import {', '.join(typing)}")
    yield from sorted(found, key=lambda statement: (statement.startswith("from"), statement))


def _in_reading_order(named: Named) -> list[CatalogTable]:
    """Referenced tables before those that refer to them, else as the catalog has them."""
    done: dict[str, CatalogTable] = {}
    for root in named.tables:
        path = [(root, iter(root.references))]
        begun = {root.name}
        while path:
            table, references = path[-1]
            for reference in references:
                to = named.table(reference.to)
                if to is not None and to.name not in done and to.name not in begun:
                    begun.add(to.name)
                    path.append((to, iter(to.references)))
                    break
            else:
                path.pop()
                done.setdefault(table.name, table)
    return list(done.values())


def _class(table: CatalogTable, named: Named) -> Iterator[str]:
    arguments: list[style.Piece] = ["ls.Model", f"table={style.text(table.name)}"]
    single, others = _references(table, named)
    if others:
        arguments.append(
            style.listed([_reference(table, other, named) for other in others], before="references=")
        )
    yield from style.line(
        0, f"class {named.classes[table.name]}", style.Bracket("(", tuple(arguments), ")", True), ":"
    )
    yield from style.docstring(4, _count(table), table.comment or "")
    yield ""
    for column in table.columns:
        if column.python is None:
            yield from style.comment(
                4,
                f"{column.name}: left out, {no_form(column)}",
                hang="    ",
            )
        else:
            yield from _told(column)
            yield from _field(table, column, single.get(column.name), named)


def _told(column: CatalogColumn) -> Iterator[str]:
    """What people call a column of their own, and what it may hold."""
    plain = column.label in (None, column.name, column.name.removesuffix("__c"))
    if column.custom and (column.options or not plain):
        some = ", ".join(column.options[:_OPTIONS]) + (", …" if len(column.options) > _OPTIONS else "")
        yield from style.comment(4, ": ".join(part for part in (column.label, some) if part))


def _custom(catalog: Catalog, named: Named) -> Iterator[str]:
    """What the source is to be told of columns that not every such system has."""
    tables = {
        table.name: {one.name: one.python for one in table.columns if one.custom and one.python is not None}
        for table in named.tables
    }
    if catalog.custom_for is None or not any(tables.values()):
        return
    yield from ("", "")
    yield from style.comment(0, f"The fields of your own, and what they are: {catalog.custom_for}")
    yield "CUSTOM = {"
    for name, columns in tables.items():
        if columns:
            items = [f"{style.text(column)}: {style.text(python)}" for column, python in columns.items()]
            yield from style.line(
                4, f"{style.text(name)}: ", style.Bracket("{", tuple(items), "}", False), ","
            )
    yield "}"


def _count(table: CatalogTable) -> str:
    if table.rows is None:
        return "Nobody counted its rows."
    rows = f"{table.rows:,} row{'' if table.rows == 1 else 's'}"
    return f"{rows}." if table.exact else f"About {rows}."


def _field(
    table: CatalogTable, column: CatalogColumn, reference: CatalogReference | None, named: Named
) -> Iterator[str]:
    field = named.fields[table.name][column.name]
    other_name = None if field == column.name else column.name
    is_key = column.name in table.key
    nullable = column.nullable and not is_key and column.python != "Any"
    before = f"{field}: {column.python}{' | None' if nullable else ''}"
    said: list[style.Piece] = []
    if reference is not None:
        target = f"{named.classes[reference.to]}.{named.fields[reference.to][reference.of[0]]}"
        said.append(f"ref={style.text(target)}" if is_key else style.text(target))
    if other_name is not None:
        said.append(
            style.text(other_name) if not is_key and reference is None else f"name={style.text(other_name)}"
        )
    if is_key:
        yield from style.line(4, f"{before} = ", style.call("ls.key", *said))
    elif reference is not None:
        yield from style.line(4, f"{before} = ", style.call("ls.ref", *said))
    elif other_name is not None:
        yield from style.line(4, f"{before} = ", style.call("ls.column", *said))
    else:
        yield f"    {before}"


def _references(
    table: CatalogTable, named: Named
) -> tuple[dict[str, CatalogReference], list[CatalogReference]]:
    """Foreign keys that a field says by itself, by column, and those that the class has to say."""
    single: dict[str, CatalogReference] = {}
    others: list[CatalogReference] = []
    for reference in named.references(table):
        if len(reference.columns) == 1 and reference.columns[0] not in single:
            single[reference.columns[0]] = reference
        else:
            others.append(reference)
    return single, others


def _reference(table: CatalogTable, reference: CatalogReference, named: Named) -> style.Bracket:
    here, there = named.fields[table.name], named.fields[reference.to]
    return style.call(
        "ls.Reference",
        style.tupled([style.text(here[column]) for column in reference.columns]),
        style.text(named.classes[reference.to]),
        style.tupled([style.text(there[column]) for column in reference.of]),
    )


def _left_out(table: CatalogTable, reason: str) -> Iterator[str]:
    yield from style.comment(
        0, f"{table.name} ({_count(table).rstrip('.').lower()}) is left out: {reason}", hang="    "
    )


def _unread(catalog: Catalog) -> list[list[str]]:
    """Objects that are there and are no tables: a comment for each reason."""
    reasons = dict.fromkeys(table.unread for table in catalog.tables if table.unread is not None)
    return [
        list(
            style.comment(
                0,
                f"No models, as {reason}: "
                + ", ".join(table.name for table in catalog.tables if table.unread == reason),
                hang="    ",
            )
        )
        for reason in reasons
    ]
