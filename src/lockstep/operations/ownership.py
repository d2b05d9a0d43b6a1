"""One owner for each field: of two systems that are kept in agreement both ways, no field is set by both.

A field that one mapping sets and another brings back into what the first reads has no owner: an edit on
either side is undone or comes back, whichever is written last.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from collections.abc import Mapping as Fields
from contextlib import closing

from lockstep.declaration.mapping import Mapping
from lockstep.declaration.pipeline import Pipeline, require_pipeline
from lockstep.engine.deriving.derive import Deriver
from lockstep.errors import DeclarationError, LockstepError
from lockstep.ports import OwningTarget
from lockstep.values import EVERYTHING, Finding, Record

_SAMPLES = 50


def unowned(pipeline: Pipeline) -> Iterator[Finding]:
    """Fields with two owners block. One that comes back as a copy, beside what its owner reads, is told.

    Reads samples of the sources of mappings that lead back to each other, and of no others; where a source
    does not answer, what every record sets is looked at.
    """
    for one, other in itertools.combinations(pipeline.mappings.values(), 2):
        if _leads_to(one, other) and _leads_to(other, one):
            yield from _between(one, other)


def assert_owned(pipeline: Pipeline) -> None:
    """Before anything is written. Raises DeclarationError for a field with two owners."""
    require_pipeline(pipeline)
    for finding in unowned(pipeline):
        if finding.blocks:
            raise DeclarationError(f"{finding.subject}: {finding.problem}", finding.mend)


def _leads_to(one: Mapping, other: Mapping) -> bool:
    return isinstance(one.target, OwningTarget) and one.target.within(other.source)


def _between(one: Mapping, other: Mapping) -> Iterator[Finding]:
    there, back = _brought(one, other), _brought(other, one)
    if there and back:
        yield Finding(
            f"{one.name}, {other.name}",
            f"{_sets(one, other, there)}; and {_sets(other, one, back)}: each has two owners",
            f"Give each field one owner. Where {one.source.name} is to own it, leave it out of "
            f"{other.shape.__name__} or of what {other.name} returns; where {other.source.name} is, out of "
            f"{one.shape.__name__} or of what {one.name} returns.",
        )
    elif one.source.name != other.source.name:
        yield from _copied(one, other, there)
        yield from _copied(other, one, back)


def _copied(owner: Mapping, reader: Mapping, fields: Fields[str, list[str]]) -> Iterator[Finding]:
    if fields:
        yield Finding(
            f"{owner.name}, {reader.name}",
            f"{_sets(owner, reader, fields)} and brings it back as a copy: {owner.source.name} owns it",
            f"Leave it out of {reader.shape.__name__} where nobody needs the copy. An edit of it in "
            f"{reader.source.name} is an edit of what {owner.source.name} owns.",
            blocks=False,
        )


def _sets(one: Mapping, other: Mapping, fields: Fields[str, list[str]]) -> str:
    said = " and ".join(f"{', '.join(names)} of {table}" for table, names in fields.items())
    return f"{one.name} sets {said} in {other.source.name}, which {other.name} reads"


def _brought(one: Mapping, other: Mapping) -> dict[str, list[str]]:
    """Of each table that `other` reads the columns that `one` sets."""
    if not isinstance(one.target, OwningTarget):
        return {}
    records = _sample(one)
    found: dict[str, list[str]] = {}
    for node in other.root.walk():
        columns = set(one.target.sets(node.table, records)) & set(node.table.columns)
        if columns:
            found[node.table.name] = sorted(columns.union(found.get(node.table.name, ())))
    return found


def _sample(mapping: Mapping) -> list[Record]:
    try:
        with closing(mapping.source.reader()) as reader:
            with reader.snapshot() as snapshot:
                keys = snapshot.keys(mapping.root.table, EVERYTHING, _SAMPLES).keys
            derived = Deriver(mapping, reader).derive(keys, time.time())
    except LockstepError:  # a run waits for its source; a check has said so
        return []
    return [item.record for one in derived.values() if one.error is None for item in one.desired]
