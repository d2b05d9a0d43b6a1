"""Targets that lie in a system which is read too: what a mapping sets there, another may bring back."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

from lockstep.ports.declared import Source
from lockstep.values import Record, Table


@runtime_checkable
class OwningTarget(Protocol):
    """A target that can tell what of a source it sets. Opens nothing."""

    def within(self, source: Source) -> bool:
        """Whether it lies in the system that this source reads."""
        ...

    def sets(self, table: Table, records: Sequence[Record]) -> Collection[str]:
        """Of a table of such a source the columns that a write sets: of any record, and of these. The key is
        none of them. Empty where no write sets any."""
        ...
