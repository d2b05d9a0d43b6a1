"""What a check of one mapping looks at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lockstep.agreement.barrier import Barrier
from lockstep.agreement.report import Findings
from lockstep.agreement.suspects import Intended, Rows, Settler
from lockstep.declaration.mapping import Mapping as Declared
from lockstep.engine.deriving.derive import Deriver
from lockstep.forms import keys
from lockstep.guard.door import Door
from lockstep.ports import Reader
from lockstep.state.spans import LedgerSpans
from lockstep.values import Key

SPAN = 1_000
"""Keys in a span."""

SPANS = 1_000
"""Spans at most; with more keys they are wider."""


class Scope(NamedTuple):
    """What a check looks at, and where it puts what it finds. `sharing`: the other mappings of the target."""

    mapping: Declared
    reader: Reader
    door: Door
    ledger: LedgerSpans
    rows: Rows
    intended: Intended
    sharing: Sequence[str]
    barrier: Barrier
    findings: Findings

    def cuts(self) -> list[Key]:
        """Of the ledger's keys: what the sides are compared by, span by span."""
        return [cut for cut in self.ledger.cuts(SPAN, SPANS) if keys.readable(cut)]

    def settler(self, deriver: Deriver) -> Settler:
        """Who settles its suspects."""
        return Settler(
            self.mapping,
            deriver,
            self.door,
            self.rows,
            self.intended,
            self.barrier,
            self.findings,
            self.sharing,
        )
