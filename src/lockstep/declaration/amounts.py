"""Amounts by date: what a record amounts to from day to day, as the source says and as the target does.

    @pipeline.amounts("account")
    def monthly_revenue(customer: Payer) -> dict[str, ls.Timeline[Decimal]]:
        return {customer.currency: ls.Timeline.from_events((one.day, one.price * one.seats) for one in ...)}

The function says it from the source's own rows, beside the mapping; the target says what its records come to
by itself. Both must be equal at every date at which either changes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from lockstep.declaration.invariant import check_tolerance
from lockstep.declaration.mapping import Mapping as Declared
from lockstep.effective import Timeline
from lockstep.errors import DataError, DeclarationError
from lockstep.ports import AmountsTarget
from lockstep.values import Record

ByName = Mapping[str, Timeline[Decimal]]
"""Of one record, by what the amount is in, such as a currency. Nothing and 0 are the same."""


class Amounts(NamedTuple):
    """An invariant by date, resolved. `source` derives, for each target key of `mapping`, its amounts."""

    name: str
    mapping: str
    source: Declared
    target: AmountsTarget
    tolerance: Decimal
    why: str


def declared_amounts(
    function: Callable[..., Any],
    mapping: Declared,
    read: Collection[str],
    tolerance: Decimal | int,
    why: str,
) -> Amounts:
    """What a function says of the records of a mapping. `read`: the tables that mappings of its source read.
    Raises DeclarationError."""
    name = function.__name__
    check_tolerance(name, tolerance, why)
    target = mapping.target
    if not isinstance(target, AmountsTarget):
        raise DeclarationError(
            f"amounts {name}: {target.name} does not say what its records amount to by date",
            "Zuora's accounts do; for others declare counts and totals with @pipeline.invariant.",
        )
    bare = _source(function, mapping, None)
    if bare.root.table.name != mapping.root.table.name:
        raise DeclarationError(
            f"amounts {name} begins with {bare.root.table.name}, and mapping {mapping.name} with "
            f"{mapping.root.table.name}",
            "Take a shape of the same table as the mapping does.",
        )
    if unread := sorted({node.table.name for node in bare.root.walk()} - set(read)):
        raise DeclarationError(
            f"amounts {name}: no mapping reads {', '.join(unread)}, so nothing follows it",
            "Use tables that a mapping reads: only of these it is known what is on its way.",
        )
    keyed = tuple(getattr(bare.shape, field) for field in mapping.key_fields)
    source = _source(function, mapping, keyed)
    return Amounts(name, mapping.name, source, target, Decimal(tolerance), why.strip())


def _source(function: Callable[..., Any], mapping: Declared, key: Any) -> Declared:
    source, target = mapping.source, mapping.target
    return Declared(function, source, target, name=function.__name__, key=key, version=None, zone="UTC")


def amounts_of(name: str, record: Record) -> ByName:
    """What the function returned, of its derived record. Raises DataError where that is no amounts."""
    found: dict[str, Timeline[Decimal]] = {}
    for what, spans in record.items():
        try:
            found[what] = Timeline((one["start"], one["end"], one["value"]) for one in spans)
        except (TypeError, KeyError) as error:
            raise DataError(
                f"{name} returned {spans!r:.80} for {what}", "Return a dict of ls.Timeline[Decimal]."
            ) from error
        if odd := next((one.value for one in found[what] if type(one.value) not in (Decimal, int)), None):
            raise DataError(f"{name} returned the amount {odd!r:.80}", "Amounts are exact: use Decimal.")
    return found
