"""Random data of a small schema, and what a shape of it means: by brute force, without the engine."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

import lockstep.declaration.model as ls
from lockstep.declaration.shape import Node, resolve
from lockstep.errors import DataError
from lockstep.forms import keys
from lockstep.forms.canonical import mix, path_constant, wrap64
from lockstep.values import Key
from tests.support.memory import MemorySource, Row, row_hash


class Firm(ls.Model, table="firms"):
    country: str = ls.key()
    number: int = ls.key()
    name: str


class Person(
    ls.Model,
    table="people",
    references=[ls.Reference(("firm_number", "country"), "Firm", ("number", "country"))],
):
    id: int = ls.key()
    boss_id: int | None = ls.ref("Person.id")
    country: str | None
    firm_number: int | None
    badge: str


class Tag(ls.Model, table="tags"):
    id: int = ls.key()
    code: str


class Link(ls.Model, table="links"):
    id: int = ls.key()
    person_id: int = ls.ref("Person.id")
    tag_code: str = ls.ref("Tag.code")


class Note(ls.Model, table="notes"):
    id: int = ls.key()
    person_id: int | None = ls.ref("Person.id")


class Line(ls.Model, table="lines"):
    note_id: int = ls.key(ref="Note.id")
    at: int = ls.key()


class LongNote(Note):
    lines: list[Line]
    person: Person | None


class Team(Firm):
    people: list[Person]


class Staff(Person):
    firm: Team | None
    boss: Person | None
    reports: list[Person]
    tags: list[Tag] = ls.many(through=Link)
    notes: list[LongNote]
    shoe: str


class Strict(Person):
    boss: Person
    note: Note | None


SHAPES: list[type[ls.Model]] = [Staff, Strict, Team, LongNote]

_few = st.integers(0, 3)
_maybe = st.none() | _few
_word = st.sampled_from(["a", "b", "B", "\0", "雪"])


def _table(key: tuple[str, ...], **columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Row]]:
    return st.lists(
        st.fixed_dictionaries(columns), max_size=5, unique_by=lambda row: tuple(row[name] for name in key)
    )


TABLES: dict[str, st.SearchStrategy[list[Row]]] = {
    "firms": _table(("country", "number"), country=_word, number=_few, name=_word),
    "people": _table(
        ("id",),
        id=_few,
        boss_id=_maybe,
        country=st.none() | _word,
        firm_number=_maybe,
        badge=_word,
        shoe=_word,
    ),
    "tags": _table(("id",), id=_few, code=_word),
    "links": _table(("id",), id=_few, person_id=_few, tag_code=_word),
    "notes": _table(("id",), id=_few, person_id=_maybe),
    "lines": _table(("note_id", "at"), note_id=_few, at=_few),
}
DATA = st.fixed_dictionaries(TABLES)


def key_of(node: Node, row: Row) -> Key:
    return keys.encode([row[name] for name in node.table.key])


def related(data: dict[str, list[Row]], node: Node, parent: Row) -> list[Row]:
    """The rows of a node that hang on a row of its parent, in key order."""
    wanted = [parent[name] for name in node.down]
    found = [
        row for row in data[node.table.name] if None not in wanted and [row[n] for n in node.up] == wanted
    ]
    return sorted(found, key=lambda row: key_of(node, row))


def instance(data: dict[str, list[Row]], node: Node, row: Row) -> Any:
    """The shape of one row. Raises DataError where it cannot be."""
    assert node.cls is not None
    values: dict[str, Any] = {}
    for child in node.children:
        if child.cls is None:
            (far,) = child.children
            links = related(data, child, row)
            shown = [(key_of(far, one), one) for link in links for one in related(data, far, link)]
            shown.sort(key=lambda item: item[0])
            values[child.field] = [instance(data, far, one) for _, one in shown]
            continue
        rows = related(data, child, row)
        if child.many:
            values[child.field] = [instance(data, child, one) for one in rows]
        elif len(rows) > 1 or (not rows and not child.optional):
            raise DataError(f"{len(rows)} rows for one", "")
        else:
            values[child.field] = instance(data, child, rows[0]) if rows else None
    arguments = [
        values[field.field] if field.field in values else row[getattr(field, "name", "")]
        for field in node.fields
    ]
    return node.cls(*arguments)


def source_sum(data: dict[str, list[Row]], root: Node, row: Row) -> int:
    """The sum over all paths of mix(row, root xor path): by the formula, row by row."""
    own = row_hash([row[name] for name in root.table.key])

    def total(node: Node, rows: list[Row]) -> int:
        constant = path_constant(node.path)
        found = sum(mix(row_hash([one[name] for name in node.table.columns]), own ^ constant) for one in rows)
        for child in node.children:
            found += total(child, [below for one in rows for below in related(data, child, one)])
        return found

    return wrap64(total(root, [row]))


def meaning(shape: type[ls.Model], data: dict[str, list[Row]]) -> dict[Key, Any]:
    """Every root, with its shape (or "error") and its sum; the sum is None where there is an error."""
    root = resolve(shape)
    found: dict[Key, Any] = {}
    for row in data[root.table.name]:
        try:
            found[key_of(root, row)] = (instance(data, root, row), source_sum(data, root, row))
        except DataError:
            found[key_of(root, row)] = ("error", None)
    return found


def copied(data: dict[str, list[Row]]) -> MemorySource:
    return MemorySource(**{name: [dict(row) for row in rows] for name, rows in data.items()})
