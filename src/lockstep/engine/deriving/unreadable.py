"""Which of the values that a relation is read by lead to rows that cannot be read.

One unreadable row may hang under thousands of roots. Halving the roots would meet it in every half, at two
snapshots a root; halving the values that the failing read was asked for meets it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lockstep.errors import DataError
from lockstep.ports import Reader
from lockstep.values import Fetch

Values = tuple[Any, ...]

Bad = dict[str, dict[Values, DataError]]
"""By path, the values whose rows cannot be read."""


class UnreadableRows(Exception):
    """A read of one relation failed: what it was asked for. Never leaves the deriving of a batch."""

    def __init__(self, path: str, fetch: Fetch, values: Sequence[Values], error: DataError) -> None:
        super().__init__(path)
        self.path = path
        self.fetch = fetch
        self.values = values
        self.error = error


def blamed(reader: Reader, failed: UnreadableRows) -> dict[Values, DataError]:
    """The values whose rows cannot be read, each with the reason; empty when all can be by now.

    About 2·log2(n) snapshots for each bad value of n.
    """
    found: dict[Values, DataError] = {}
    waiting: list[tuple[Sequence[Values], DataError | None]] = [(failed.values, failed.error)]
    while waiting:
        values, error = waiting.pop()
        if error is None:
            try:
                with reader.snapshot() as snapshot:
                    snapshot.rows(failed.fetch, values)
                continue
            except DataError as own:
                error = own
        if len(values) == 1:
            found[values[0]] = error
            continue
        middle = len(values) // 2
        waiting += [(values[:middle], None), (values[middle:], None)]
    return found
