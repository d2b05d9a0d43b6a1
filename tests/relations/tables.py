"""One world with every kind of relation: its tables, its rows, and what a root means, by brute force.

A root is a row of `hubs`. The rows come in *cells* of ten keys: the first two rows of every table of a cell
hang together each for itself, and nothing reaches from one cell into another. So an operation on one cell
can be judged by the documents of that cell.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

CELL = 10

Row = dict[str, Any]


def uid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


FORMS: Mapping[str, Callable[[int], str]] = {
    "": str,
    "u": lambda n: f"'{uid(n)}'",
    "r": lambda n: f"{n}.5",
    "t": lambda n: f"'k{n}'",
}
"""How a number of a cell is written in SQL as a key of each type: `{1}`, `{u1}`, `{r1}`, `{t1}`."""

ON_PARENT = "ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED"
ON_CHILD = "ON UPDATE CASCADE ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED"

# Table → its columns; `{schema}other.` is a second schema where the system has such, `ident` the end of the
# ALTER TABLE … REPLICA IDENTITY that lets the log show what a row belonged to.
DDL = f"""
CREATE TABLE planets (id integer PRIMARY KEY, name text)
CREATE TABLE countries (id integer PRIMARY KEY, planet_id int REFERENCES planets (id) {ON_PARENT}, name text)
CREATE TABLE cities (id integer PRIMARY KEY, country_id int REFERENCES countries (id) {ON_PARENT}, name text)
CREATE TABLE makers (id integer PRIMARY KEY, city_id int REFERENCES cities (id) {ON_PARENT}, name text)
CREATE TABLE parts (id integer PRIMARY KEY, maker_id int REFERENCES makers (id) {ON_PARENT}, name text)
CREATE TABLE profiles (id integer PRIMARY KEY, name text)
CREATE TABLE texts (id integer PRIMARY KEY, name text)
CREATE TABLE regions (a text, b int, name text, PRIMARY KEY (a, b))
CREATE TABLE cells (
  a text, b int, n int, name text, PRIMARY KEY (a, b, n),
  FOREIGN KEY (a, b) REFERENCES regions (a, b) {ON_CHILD})
CREATE TABLE products (id integer PRIMARY KEY, sku text NOT NULL UNIQUE, name text)
CREATE TABLE badges (id uuid PRIMARY KEY, name text)
CREATE TABLE rates (id numeric PRIMARY KEY, name text)
CREATE TABLE labels (id text PRIMARY KEY, name text)
CREATE TABLE OTHERpartners (id integer PRIMARY KEY, name text)
CREATE TABLE ghosts (id integer PRIMARY KEY, name text)
CREATE TABLE hubs (
  id integer PRIMARY KEY, name text, boss_id int REFERENCES hubs (id) {ON_PARENT},
  profile_id int UNIQUE REFERENCES profiles (id) {ON_PARENT},
  question_id int REFERENCES texts (id) {ON_PARENT}, answer_id int REFERENCES texts (id) {ON_PARENT},
  region_a text, region_b int, sku text REFERENCES products (sku) {ON_PARENT},
  badge_id uuid REFERENCES badges (id) {ON_PARENT}, rate_id numeric REFERENCES rates (id) {ON_PARENT},
  label_id text REFERENCES labels (id) {ON_PARENT}, partner_id int REFERENCES OTHERpartners (id) {ON_PARENT},
  ghost_id int, FOREIGN KEY (region_a, region_b) REFERENCES regions (a, b) {ON_PARENT})
CREATE TABLE passports (
  id integer PRIMARY KEY, hub_id int NOT NULL UNIQUE REFERENCES hubs (id) {ON_CHILD}, name text)
CREATE TABLE items (
  id integer PRIMARY KEY, hub_id int REFERENCES hubs (id) {ON_CHILD},
  part_id int REFERENCES parts (id) {ON_PARENT}, name text)
CREATE TABLE pieces (id integer PRIMARY KEY, item_id int REFERENCES items (id) {ON_CHILD}, name text)
CREATE TABLE chips (id integer PRIMARY KEY, piece_id int REFERENCES pieces (id) {ON_CHILD}, name text)
CREATE TABLE tags (id integer PRIMARY KEY, name text)
CREATE TABLE hub_tags (
  hub_id int REFERENCES hubs (id) {ON_CHILD}, tag_id int REFERENCES tags (id) {ON_CHILD},
  PRIMARY KEY (hub_id, tag_id))
CREATE TABLE marks (id integer PRIMARY KEY, name text)
CREATE TABLE markings (
  id integer PRIMARY KEY, hub_id int REFERENCES hubs (id) {ON_CHILD},
  mark_id int REFERENCES marks (id) {ON_CHILD})
CREATE TABLE notes (id integer PRIMARY KEY, about int, name text)
"""

WHOLE = (
    *("hubs", "items", "pieces", "chips", "markings", "notes", "products", "makers", "parts", "cities"),
    *("countries",),
)
"""Tables whose rows are found by a column outside the key: the log must hold their old values."""


_NAMED = "{0}, '{table} {n}'"
_CHILD = "{0}, {0}, '{table} {n}'"
ROWS = {
    **dict.fromkeys(("planets", "profiles", "texts", "OTHERpartners", "ghosts", "tags", "marks"), _NAMED),
    **dict.fromkeys(("countries", "cities", "makers", "parts"), _CHILD),
    "regions": "{t0}, {0}, '{table} {n}'",
    "cells": "{t0}, {0}, 1, '{table} {n}'",
    "products": "{0}, {t0}, '{table} {n}'",
    "badges": "{u0}, '{table} {n}'",
    "rates": "{r0}, '{table} {n}'",
    "labels": "{t0}, '{table} {n}'",
    "hubs": "{0}, 'hubs {n}', NULL, {0}, {0}, {0}, {t0}, {0}, {t0}, {u0}, {r0}, {t0}, {0}, {0}",
    "passports": _CHILD,
    "items": "{0}, {0}, {0}, '{table} {n}'",
    **dict.fromkeys(("pieces", "chips", "notes"), _CHILD),
    "hub_tags": "{0}, {0}",
    "markings": "{0}, {0}, {0}",
}
"""The values of the row that has a number."""


def filled(template: str, base: int) -> str:
    """SQL with `{1}`, `{u1}`, … as the keys of the cell that begins at `base`."""
    return re.sub(r"\{([urt]?)(\d+)\}", lambda m: FORMS[m[1]](base + int(m[2])), template)


def statements(schema: str) -> list[str]:
    """The tables' SQL. `schema`: the other schema's name and a dot, empty where there is none."""
    return [f"CREATE TABLE{text}" for text in DDL.replace("OTHER", schema).split("CREATE TABLE")[1:]]


def inserts(cells: range, schema: str) -> list[str]:
    """The first rows of every cell: two in each table, each hanging together for itself."""
    ids = [cell * CELL + at for cell in cells for at in (1, 2)]
    found = []
    for table, template in ROWS.items():
        values = ", ".join(f"({filled(template, n).format(table=table, n=n)})" for n in ids)
        found.append(f"INSERT INTO {table.replace('OTHER', schema)} VALUES {values}")
    bosses = f"UPDATE hubs SET boss_id = id / {CELL} * {CELL} + 1"  # its own, and its neighbour's
    return [*found, bosses]


@dataclass(frozen=True)
class Edge:
    """A relation as a person would draw it: `on` are pairs of (column here, column there)."""

    table: str
    on: tuple[tuple[str, str], ...]
    many: bool = False
    below: Mapping[str, Edge] = field(default_factory=dict)
    through: Edge | None = None


def one(table: str, here: str, there: str = "id", **below: Edge) -> Edge:
    return Edge(table, ((here, there),), False, below)


def many(table: str, there: str, here: str = "id", **below: Edge) -> Edge:
    return Edge(table, ((here, there),), True, below)


WHERE_FROM = one(
    "makers",
    "maker_id",
    city=one("cities", "city_id", country=one("countries", "country_id", planet=one("planets", "planet_id"))),
)
SHAPE: Mapping[str, Edge] = {
    "boss": one("hubs", "boss_id"),
    "reports": many("hubs", "boss_id"),
    "profile": one("profiles", "profile_id"),
    "passport": one("passports", "id", "hub_id"),
    "question": one("texts", "question_id"),
    "answer": one("texts", "answer_id"),
    "region": Edge(
        "regions",
        (("region_a", "a"), ("region_b", "b")),
        False,
        {"cells": Edge("cells", (("a", "a"), ("b", "b")), True)},
    ),
    "product": one("products", "sku", "sku"),
    "badge": one("badges", "badge_id"),
    "rate": one("rates", "rate_id"),
    "label": one("labels", "label_id"),
    "partner": one("partners", "partner_id"),
    "ghost": one("ghosts", "ghost_id"),
    "items": many(
        "items",
        "hub_id",
        part=one("parts", "part_id", maker=WHERE_FROM),
        pieces=many("pieces", "item_id", chips=many("chips", "piece_id")),
    ),
    "tags": Edge("tags", (("tag_id", "id"),), True, {}, many("hub_tags", "hub_id")),
    "marks": Edge("marks", (("mark_id", "id"),), True, {}, many("markings", "hub_id")),
    "notes": many("notes", "about"),
}


class Truth:
    """What rows mean: relations followed over all rows, without a line of Lockstep."""

    def __init__(self, tables: Mapping[str, list[Row]]) -> None:
        self._tables = tables
        self._found: dict[tuple[str, ...], dict[tuple[Any, ...], list[Row]]] = {}

    def documents(self) -> dict[int, dict[str, Any]]:
        """Every root's, by key."""
        return {row["id"]: self._document(row, SHAPE) for row in self._tables["hubs"]}

    def _document(self, row: Row, edges: Mapping[str, Edge]) -> dict[str, Any]:
        found: dict[str, Any] = {"name": row["name"]}
        for name, edge in edges.items():
            links = self._joined(row, edge.through) if edge.through else [row]
            related = [other for link in links for other in self._joined(link, edge)]
            if edge.many:
                related.sort(key=_order)
            shown = [self._document(other, edge.below) for other in related]
            assert edge.many or len(shown) < 2, (name, row)
            found[name] = shown if edge.many else shown[0] if shown else None
        return found

    def _joined(self, row: Row, edge: Edge) -> list[Row]:
        here, there = zip(*edge.on, strict=True)
        index = self._found.get((edge.table, *there))
        if index is None:
            index = self._found[edge.table, *there] = {}
            for other in self._tables[edge.table]:
                index.setdefault(tuple(other[name] for name in there), []).append(other)
        value = tuple(row[name] for name in here)
        return [] if None in value else index.get(value, [])


def _order(row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("a", "b", "n") if name in row) or (row["id"],)
