"""Systems as they are declared: nothing is opened yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol, runtime_checkable

from lockstep.catalog import Catalog
from lockstep.effective import Timeline
from lockstep.errors import DataError
from lockstep.ports.following import Feed
from lockstep.ports.reading import Reader
from lockstep.ports.writing import Writer
from lockstep.values import Finding, Key, Table


@runtime_checkable
class Target(Protocol):
    """Where a mapping writes to, as declared. Opening nothing, it can be named and compared."""

    @property
    def name(self) -> str:
        """Unique among all targets, without secrets: `opensearch:users`."""
        ...

    def key(self, values: Sequence[Any]) -> Key:
        """The normal form of a target key: what `read` and `scan` will call it."""
        ...

    def open(self, generation: int) -> Writer: ...

    def check(self) -> list[Finding]:
        """Whatever would go wrong when a `run` starts."""
        ...


@runtime_checkable
class AmountsTarget(Target, Protocol):
    """A target that says by itself what its records amount to at every date, such as revenue by the month."""

    def amounts(self, keys: Sequence[Key]) -> Mapping[Key, Mapping[str, Timeline[Decimal]] | DataError]:
        """Of each of these records that is there its amounts at all dates, by what they are in (a currency);
        one whose amounts cannot be said is its error. Raises Unreachable, Refused."""
        ...


@runtime_checkable
class Source(Protocol):
    """A system that can be read and followed, as declared."""

    @property
    def name(self) -> str:
        """Unique among all sources, without secrets."""
        ...

    def reader(self) -> Reader: ...

    def feed(self) -> Feed: ...

    def check(self, tables: Sequence[Table]) -> list[Finding]: ...

    def catalog(self) -> Catalog:
        """Every table, as introspected: for `lockstep explore`."""
        ...

    def parse_keys(self, table: Table, typed: Sequence[Sequence[str]]) -> list[Key | DataError]:
        """Keys as people typed them, or as `keys.text` shows them, one text per key column: for each, in
        order, the key, or why it is none and what it is made of. Many are read in few questions."""
        ...
