"""Whether records hold what their models' annotations say: type checkers believe them, and relations do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lockstep.declaration.described import Column, describe
from lockstep.declaration.kinds import kind_of, kind_of_value
from lockstep.declaration.mapping import Mapping
from lockstep.declaration.model import Model
from lockstep.values import Finding


def misannotated(mapping: Mapping, roots: Iterable[Model]) -> Iterator[Finding]:
    """What the roots, and all that hangs on them, hold otherwise; once for each column."""
    said: set[tuple[type, str]] = set()
    for record in below(roots):
        described = describe(type(record))
        for column in described.columns:
            value = getattr(record, column.field)
            place = (described.cls, column.field)
            if place not in said and (finding := _finding(mapping, described.cls, column, value)):
                said.add(place)
                yield finding


def below(records: Iterable[Any]) -> Iterator[Any]:
    """Records and all that hangs on them."""
    for record in records:
        yield record
        for relation in describe(type(record)).relations:
            related = getattr(record, relation.field)
            yield from below(related if isinstance(related, list) else [related] if related else [])


def _finding(mapping: Mapping, cls: type[Model], column: Column, value: Any) -> Finding | None:
    where = f"{cls.__name__}.{column.field}"
    if value is None:
        if column.nullable or kind_of(column.type) is None:
            return None
        return Finding(
            mapping.name,
            f"{where} is null in a sample, and its annotation does not allow for it",
            f"Annotate it with | None, or mend the rows where {column.name} is null.",
            blocks=False,
        )
    wanted, found = kind_of(column.type), kind_of_value(value)
    if wanted is None or found is None or wanted == found:
        return None
    return Finding(
        mapping.name,
        f"{where} holds {found}, and its annotation says {wanted}",
        f"Correct the annotation of {column.name}; `lockstep explore` writes what the column holds.",
    )
