"""Counts and totals by group, of a source and of a target, exactly.

A system that groups by itself does (see `ports.GroupingSnapshot` and `ports.GroupingWriter`); else its rows
are read, or its records.
"""

from __future__ import annotations

import decimal
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from lockstep.agreement.walk import target_records
from lockstep.datatypes.far import Far
from lockstep.declaration.invariant import Invariant
from lockstep.errors import CannotSum, DataError, DeclarationError, LockstepError, Refused
from lockstep.forms import keys
from lockstep.forms.canonical import as_json, canonical, wrap64
from lockstep.guard.door import Door
from lockstep.ports import GroupingSnapshot, Reader, Snapshot
from lockstep.values import EVERYTHING, Fetch, Key, Span

MOST_GROUPS = 100_000
"""Groups that are held in memory at most."""

_ROWS = 1_000
_PAGE = 5_000
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d{1,4})?", re.ASCII)
_EXACT = decimal.Context(prec=200_000, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN, traps=[decimal.Inexact])


class Group(NamedTuple):
    """One group: its values, how many rows or records, what they add up to, and what its rows are: a number
    that is another one once a row of it was changed (0 for a target's)."""

    values: tuple[Any, ...]
    records: int
    total: Decimal
    witness: int = 0


Groups = dict[bytes, Group]
"""By the canonical form of the group's values: 1 and 1.0 are one group, 1 and "1" are two."""


class Side(NamedTuple):
    """The groups of one side. `note`: why its rows or records were read."""

    groups: Groups
    note: str | None


def of_source(invariant: Invariant, reader: Reader) -> Side:
    """The groups of the source, of one moment."""
    groups = _source_groups(invariant)
    with reader.snapshot() as snapshot:
        why = "the source does not group by itself"
        if isinstance(snapshot, GroupingSnapshot):
            try:
                for page in snapshot.groups(invariant.table, invariant.of, invariant.by):
                    for *group, records, total, witness in page:
                        groups.add(group, records, total, witness)
                return Side(groups.found, None)
            except CannotSum as error:
                why, groups = str(error), _source_groups(invariant)
        for key, values, number, witness in _rows(invariant, snapshot):
            where = f"{invariant.table.name} {keys.text(key)}: {invariant.of}"
            groups.add(values, 1, as_number(number, where), witness)
    return Side(groups.found, f"{invariant.name}: the source was read row by row: {why}")


def of_target(invariant: Invariant, door: Door) -> Side:
    """The groups of the target's records."""
    groups = _target_groups(invariant)
    try:
        for some in door.groups(invariant.to_of, invariant.to_by):
            for *group, records, total in some:
                groups.add(group, records, total, 0)
        return Side(groups.found, None)
    except CannotSum as error:
        note = f"{invariant.name}: the target was read record by record: {error}"
        groups = _target_groups(invariant)
    for page in target_records(door, _PAGE):
        for held in page:
            name = f"{invariant.target.name} {keys.text(held.key)}"
            values = [_at(held.record, path, name) for path in invariant.to_by]
            number = None if invariant.to_of is None else _at(held.record, invariant.to_of, name)
            groups.add(values, 1, as_number(number, f"{name}: {invariant.to_of}"), 0)
    return Side(groups.found, note)


def _source_groups(invariant: Invariant) -> _Collected:
    """What is declared of the source has one meaning there: so many groups are a wrong declaration."""
    return _Collected(
        DeclarationError(
            _too_many(invariant, "the source", invariant.by),
            "Group by fields with fewer values: a country or a month rather than an id. Records "
            "that differ one by one are what `lockstep verify` finds without an invariant.",
        )
    )


def _target_groups(invariant: Invariant) -> _Collected:
    """Others may have written them there."""
    return _Collected(
        Refused(
            _too_many(invariant, "the target", invariant.to_by),
            f"See who else writes to {invariant.target.name}, and remove what is not meant to be there.",
        )
    )


def _too_many(invariant: Invariant, side: str, by: Sequence[str]) -> str:
    groups = f"{MOST_GROUPS:,} groups by {', '.join(by)}"
    return (
        f"invariant {invariant.name}: {side} has more than {groups}, and all of them would be held in memory"
    )


class _Collected:
    """Groups by their values. `too_many`: raised for the group beyond `MOST_GROUPS`."""

    def __init__(self, too_many: LockstepError) -> None:
        self._too_many = too_many
        self.found: Groups = {}

    def add(self, values: Sequence[Any], records: int, total: Decimal | None, witness: int) -> None:
        form = canonical({"": list(values)})
        one = self.found.get(form)
        if one is None:
            if len(self.found) == MOST_GROUPS:
                raise self._too_many
            one = Group(tuple(values), 0, Decimal(0))
        self.found[form] = Group(
            one.values,
            one.records + records,
            one.total if total is None else added(one.total, total),
            wrap64(one.witness + witness),
        )


def added(one: Decimal, other: Decimal) -> Decimal:
    """The sum, exactly. Raises DataError where it has more digits than can be."""
    try:
        return _EXACT.add(one, other)
    except (decimal.DecimalException, MemoryError) as error:
        raise DataError(f"{one:.6e} and {other:.6e} cannot be added exactly", "Correct the value.") from error


def difference(one: Decimal, other: Decimal) -> Decimal:
    """How far apart they are; NaN is not apart from NaN, nor an infinity from itself."""
    if one == other or (one.is_nan() and other.is_nan()):
        return Decimal(0)
    return added(other, -one) if one.is_finite() and other.is_finite() else Decimal("Infinity")


def as_number(value: Any, where: str) -> Decimal | None:
    """A value that is to be added up. A text that is a number is one: money is often written so."""
    if value is None:
        return None
    if type(value) in (int, Decimal):
        return Decimal(value)
    if type(value) is float:
        return Decimal(repr(value))
    if type(value) is str and _NUMBER.fullmatch(value):
        return Decimal(value)
    raise DataError(f"{where} is {value!r:.80}, which is no number", "Add up a field of numbers.")


def shown(value: Any) -> str:
    """A value of a group as a report names it: text in quotes where it might be taken for something else."""
    if value is None:
        return "null"
    if type(value) is str and not re.fullmatch(r"[^\W\d_](.*\S)?", value):
        return json.dumps(value, ensure_ascii=False)
    if value in ("null", "true", "false"):
        return json.dumps(value)
    form = as_json(value)
    return value if type(value) is str else form.strip('"')


def _rows(invariant: Invariant, snapshot: Snapshot) -> Iterator[tuple[Key, tuple[Any, ...], Any, int]]:
    """Every row: its key, its group, the value that is added up, and its hash."""
    table = invariant.table
    wanted = (*table.key, *invariant.by, *(() if invariant.of is None else (invariant.of,)))
    fetch = Fetch(table.name, wanted, table.key, (table.columns,))
    first, upto = len(table.key), len(table.key) + len(invariant.by)
    rest: Span | None = EVERYTHING
    while rest is not None:
        page = snapshot.keys(table, rest, _ROWS)
        rest = page.rest
        for row in snapshot.rows(fetch, [keys.decode(key) for key in page.keys]):
            number = None if invariant.of is None else row[upto]
            yield keys.encode(row[:first]), row[first:upto], number, row[-1]


def _at(record: Mapping[str, Any], path: str, name: str) -> Any:
    """The value at a path; None where the record lacks it."""
    value: Any = record
    for part in path.split("."):
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise DataError(
                f"{name}: {path} leads into {type(value).__name__}", "Name a field that holds one value."
            )
        value = value.get(part)
    if isinstance(value, Mapping | list | tuple) and not isinstance(value, Far):
        raise DataError(f"{name}: {path} holds {type(value).__name__}", "Name a field that holds one value.")
    return value
