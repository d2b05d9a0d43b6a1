"""A page to read of what a system holds, as Markdown: objects, fields, types, relations, the owner's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from lockstep.catalog import Catalog, CatalogColumn, CatalogTable
from lockstep.exploration import style

_OPTIONS = 40
"""Of a picklist, how many are told."""


def write_page(catalog: Catalog, *, url_hint: str | None) -> str:
    """The page. `url_hint` is shown as where it came from: give it without secrets."""
    full = [table for table in catalog.tables if table.unread is None or _own(table)]
    rest = [table for table in catalog.tables if table not in full]
    lines = [f"# What {_plain(url_hint or catalog.system)} holds", ""]
    lines += ["Written by `lockstep explore`, which reads and changes nothing.", ""]
    lines += _table(
        ("", "called", "rows", "fields", "of its own"),
        [
            (
                f"[{_plain(table.name)}](#{_anchor(table.name)})",
                _plain(table.comment or ""),
                _rows(table),
                str(len(table.columns) + len(table.others)),
                ", ".join(_code(one.name) for one in _own(table)),
            )
            for table in full
        ],
    )
    for table in full:
        lines += ["", f"## {_plain(table.name)}", "", *_told(table)]
    if rest:
        lines += ["", "## Other objects", ""]
        lines += ["No models, and no fields of their own.", ""]
        lines += [f"- {_plain(table.name)}: {len(table.columns)} fields" for table in rest]
    if catalog.missed:
        lines += ["", "## What could not be looked at", ""]
        lines += [f"- {_plain(name)}: {_plain(why)}" for name, why in catalog.missed]
    return "\n".join(lines) + "\n"


def _own(table: CatalogTable) -> list[CatalogColumn]:
    return [one for one in table.columns if one.custom]


def _rows(table: CatalogTable) -> str:
    if table.rows is None:
        return ""
    return f"{table.rows:,}" if table.exact else f"about {table.rows:,}"


def _told(table: CatalogTable) -> Iterator[str]:
    if table.unread is not None:
        yield from (f"No model: {table.unread}.", "")
    elif table.key:
        yield from (f"Key: {', '.join(_code(name) for name in table.key)}.", "")
    columns = [*_own(table), *(one for one in table.columns if not one.custom)]
    yield from _columns(columns)
    if table.others:
        yield from ("", "There too, in no model:", "")
        yield from _columns(table.others)
    referred = {column for one in table.references for column in one.columns}
    links = [
        f"- {', '.join(map(_code, one.columns))} → {_plain(one.to)} ({', '.join(map(_code, one.of))})"
        for one in table.references
    ]
    known = {f"{name[:1].lower()}{name[1:]}Id" for name, _ in table.related} & referred
    links += [
        f"- {_plain(name)} → {_plain(to)}"
        for name, to in table.related
        if f"{name[:1].lower()}{name[1:]}Id" not in known
    ]
    if links:
        yield from ("", "Refers to:", "", *links)


def _columns(columns: Sequence[CatalogColumn]) -> list[str]:
    """A table of fields, with what the system says of them at all."""
    said: list[tuple[str, list[str]]] = [
        ("field", [_code(one.name) + (" **own**" if one.custom else "") for one in columns]),
        ("called", [_plain(one.label or "") for one in columns]),
        ("type", [_plain(one.type) for one in columns]),
        ("in Python", [_code(one.python) if one.python else "left out" for one in columns]),
        ("set", [_set(one) for one in columns]),
        ("values", [_values(one) for one in columns]),
    ]
    kept = [(name, cells) for name, cells in said if any(cells)]
    return _table([name for name, _ in kept], list(zip(*(cells for _, cells in kept), strict=True)))


def _set(one: CatalogColumn) -> str:
    if one.createable is None and one.updateable is None:
        return ""
    when = [word for word, may in (("created", one.createable), ("updated", one.updateable)) if may]
    return (f"when {' or '.join(when)}" if when else "no") + (", required" if one.required else "")


def _values(one: CatalogColumn) -> str:
    told = ", ".join(map(_code, one.options[:_OPTIONS]))
    return told + (f" and {len(one.options) - _OPTIONS:,} more" if len(one.options) > _OPTIONS else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"|{'|'.join(' --- ' for _ in head)}|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _plain(words: str) -> str:
    """Words of others, that can be no markup, no link and no other cell."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!&])", r"\\\1", style.printable(words))


def _code(words: str) -> str:
    shown = style.printable(words)
    if re.search(r"[`|]", shown):  # within code neither can be escaped in every reader
        return _plain(words)
    return f"`{shown}`"


def _anchor(name: str) -> str:
    """As the usual renderers make them of headings."""
    return re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-")
