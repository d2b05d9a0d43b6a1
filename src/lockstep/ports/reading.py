"""Reading a source: one consistent moment of it, and who opens that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, runtime_checkable

from lockstep.values import Fetch, Key, Span, Table

MOST_ROWS = 50_000
MOST_BYTES = 32 << 20
"""What one read by values may bring at most. Streams have no bound, as nobody keeps their pages."""


class KeyPage(NamedTuple):
    """Keys of a span, and the rest of it (None: this was all). `ordered`: in key order."""

    keys: list[Key]
    rest: Span | None
    ordered: bool = True


class Snapshot(Protocol):
    """One consistent moment of a source. Every read sees the same moment."""

    def rows(self, fetch: Fetch, values: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The rows whose `by` columns equal one of `values`, in any order, each row once.

        A null in `values` matches nothing. An unknown key reads as no row. Text, uuid, number, date and
        time columns come back as the Python types that `lockstep explore` writes, exactly; a value that
        has none raises DataError. More than `MOST_ROWS` rows, or than about `MOST_BYTES` of values, raise
        TooMuch before they are all in memory. Hashes depend on the values alone, not on session settings.
        """
        ...

    def stream(self, fetch: Fetch, values: Sequence[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
        """As `rows`, in pages of some thousands: for a shared parent with a million dependants."""
        ...

    def keys(self, table: Table, span: Span, limit: int) -> KeyPage:
        """At most `limit` keys of a span, and what is left of it.

        Adjoining spans hold what their union holds. Where an index serves key order, keys come in it;
        where none does, in the index's own order with `ordered` False and a `cursor` in the rest.
        """
        ...


@runtime_checkable
class Reader(Protocol):
    """Reads the current state of a source. Never changes it."""

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Opens one consistent snapshot, read-only, to be closed within a batch."""
        ...

    def visible(self, tokens: Sequence[str]) -> str | None:
        """None when new snapshots see all these tokens; else what is waited for, in words."""
        ...

    def estimate(self, table: Table) -> int:
        """About how many rows a table has, cheaply: for progress, never for a decision."""
        ...

    def count(self, table: Table, most: int) -> int:
        """How many rows a table has, counted; not beyond `most`."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class MeteredReader(Protocol):
    """A reader of a system that counts what is asked of it, and limits it: one process asks at a time."""

    counted: str
    """What: "calls of its API"."""
