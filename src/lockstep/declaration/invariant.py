"""Invariants: what must come to the same on both sides, however each side says it.

    @pipeline.invariant(
        app, search.index("orders"), tolerance=Decimal("0.01"), why="billing rounds to cents per line"
    )
    def revenue_by_country() -> ls.Equal:
        return ls.Equal(ls.total(Order.amount, by=Order.country), ls.total("amount", by="country"))

The first aggregate is one over the rows of a table of the source, and names fields of a model; the second is
one over the records of the target, and names their fields, by text: `company.country` lies one deeper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from lockstep.declaration.described import describe
from lockstep.declaration.model import Model
from lockstep.errors import DeclarationError
from lockstep.ports import Source, Target
from lockstep.values import Table

_SIDES = "Write ls.Equal(ls.total(Order.amount, by=Order.country), ls.total('amount', by='country'))."


class Aggregate(NamedTuple):
    """A count or a total, for every group of `by`. `of`: the field that is added up, None for a count;
    `model`: what is counted, where no field says it."""

    of: Any
    by: tuple[Any, ...]
    model: type[Model] | None = None


def count(model: type[Model] | None = None, *, by: Any = ()) -> Aggregate:
    """How many rows a model has (or, of the target, how many records), by the value of a field, or of a tuple
    of fields. A null, and a field that a record lacks, are one group."""
    return Aggregate(None, by if isinstance(by, tuple) else (by,), model)


def total(of: Any, *, by: Any = ()) -> Aggregate:
    """What a field adds up to, exactly; likewise. Nulls add nothing."""
    return Aggregate(of, by if isinstance(by, tuple) else (by,))


class Equal(NamedTuple):
    """That an aggregate of the source is one of the target."""

    source: Aggregate
    target: Aggregate


class Invariant(NamedTuple):
    """An invariant, resolved: columns of a table of the source, and paths into the target's records.

    `of` and `to_of` are None for a count. `labels`: how the groups' values are named in a report.
    """

    name: str
    source: Source
    target: Target
    table: Table
    of: str | None
    by: tuple[str, ...]
    to_of: str | None
    to_by: tuple[str, ...]
    labels: tuple[str, ...]
    tolerance: Decimal
    why: str


def declared(
    function: Callable[[], Equal], source: Source, target: Target, tolerance: Decimal | int, why: str
) -> Invariant:
    """What a function says must be equal. Raises DeclarationError."""
    name = function.__name__
    check_tolerance(name, tolerance, why)
    sides = function()
    if not isinstance(sides, Equal):
        raise DeclarationError(f"invariant {name} returned {type(sides).__name__}", _SIDES)
    ours, theirs = sides
    model = ours.model or next((owner for owner in map(_owner, (ours.of, *ours.by)) if owner), None)
    if model is None:
        raise DeclarationError(
            f"invariant {name}: its first side names no model of the source",
            "Name fields of a model, as ls.total(Order.amount), or the model, as ls.count(Order).",
        )
    if len(ours.by) != len(theirs.by):
        raise DeclarationError(
            f"invariant {name}: one side is grouped by {len(ours.by)} fields, the other by {len(theirs.by)}",
            "Group both by as many, in the same order.",
        )
    if (ours.of is None) != (theirs.of is None):
        raise DeclarationError(
            f"invariant {name}: one side counts, the other adds up", "Use ls.count or ls.total on both."
        )
    if theirs.model is not None or not all(type(path) is str for path in _fields(theirs)):
        raise DeclarationError(
            f"invariant {name}: its second side names no fields of the target's records",
            "Name them by text: ls.total('amount', by='country'); `company.country` lies one deeper.",
        )
    described = describe(model)
    labels = tuple(_field(name, model, field) for field in ours.by)
    by = tuple(described.column(field).name for field in labels)
    of = None if ours.of is None else described.column(_field(name, model, ours.of)).name
    key = tuple(column.name for column in described.key)
    read = tuple(dict.fromkeys((*key, *by, *(() if of is None else (of,)))))
    table = Table(described.table, read, key)
    return Invariant(
        *(name, source, target, table, of, by, theirs.of, theirs.by, labels), Decimal(tolerance), why.strip()
    )


def check_tolerance(name: str, tolerance: Decimal | int, why: str) -> None:
    """Raises DeclarationError where it is no exact number of 0 or more, or has no reason."""
    if not isinstance(tolerance, Decimal | int) or isinstance(tolerance, bool):
        raise DeclarationError(
            f"invariant {name}: a tolerance of {tolerance!r} is no exact number",
            'Write tolerance=Decimal("0.01").',
        )
    if not Decimal(tolerance).is_finite() or tolerance < 0:
        raise DeclarationError(f"invariant {name}: a tolerance of {tolerance}", "Give one of 0 or more.")
    if tolerance and not why.strip():
        raise DeclarationError(
            f"invariant {name} tolerates {tolerance} and does not say why",
            'Say what makes the sides differ: why="billing rounds to cents per line"; or tolerate nothing.',
        )


def _fields(side: Aggregate) -> Sequence[Any]:
    return side.by if side.of is None else (side.of, *side.by)


def _owner(field: Any) -> type[Model] | None:
    """The model whose field this is."""
    owner = getattr(field, "__objclass__", None)
    return owner if isinstance(owner, type) and issubclass(owner, Model) else None


def _field(name: str, model: type[Model], field: Any) -> str:
    owner = _owner(field)
    if owner is None or not (issubclass(model, owner) or issubclass(owner, model)):
        raise DeclarationError(
            f"invariant {name}: {field!r} is no field of {model.__name__}",
            f"Name fields of one model: {model.__name__}.{describe(model).columns[-1].field}.",
        )
    found: str = field.__name__
    return found
