"""Targets whose fields hold less than a mapping may yield."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from msgspec import Struct

from lockstep.values import Record


class Loss(Struct, frozen=True):
    """A value that a target would not hold as it is.

    `place` says of which record, `field` is its dotted name, `type` what the target calls the field's type;
    None: it has no such field and makes none, and `refused` says which it has.
    Either the write would be `refused`, with the reason, or the field would hold `held` instead. `kept`: the
    record itself stays as it is, and `held` is what searches, sorts and sums see of it; None is nothing.
    """

    place: int
    field: str
    type: str | None
    value: Any
    held: Any = None
    refused: str | None = None
    kept: bool = False


@runtime_checkable
class HoldingTarget(Protocol):
    """A target that knows what its fields would make of values, without writing them."""

    def losses(self, records: Sequence[Record]) -> list[Loss]:
        """The values of these records that would be refused, or held as other values. A value that only
        takes the form of its field (a number in a text field) is none, nor is one of which the target cannot
        tell. Where nothing is created yet, the fields are those that would be. Writes nothing."""
        ...
