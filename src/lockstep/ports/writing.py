"""Writing one generation of a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from lockstep.values import Change, Contents, Estimate, Held, Identity, Key, Listed, Outcome


class Features(NamedTuple):
    """What a target can do.

    versions    it refuses an older version by itself
    normalises  what it holds may differ from what was sent; outcomes then carry `held`
    parallel    how many writes at once are worth while. Above 1, threads may share the writer; at 1 one
                thread has it
    portion     of how many changes one write is made at most, None: of as many as there are. For a target
                where each takes long: the ledger learns of a write when all of it is answered, so what a
                crash cuts short is compared with the target anew, as a whole
    """

    versions: bool
    normalises: bool
    parallel: int = 1
    portion: int | None = None


@runtime_checkable
class Writer(Protocol):
    """Writes one generation of a target. Never creates it by accident.

    Idempotent: the same change twice is as once. An older version never overwrites or resurrects a newer
    one, where the target holds versions. `write` answers every change, in order, and never raises for
    one bad item; applied means durable. An unknown key reads as absent. Adjoining scans are the scan of
    the union.

    A target that is missing raises TargetReplaced, from all but `identity` and `create`. `write` raises
    Unreachable when nothing of the batch was sent or the target stays too busy for it, else the outcomes in
    doubt are `unknown`; Refused and TargetReplaced mean that the target itself is at fault. A part may have
    been written then.
    """

    features: Features

    def identity(self) -> Identity | None:
        """Which physical target this is, None when it does not exist. Cheap: asked every few seconds."""

    def contents(self) -> Contents:
        """Counts what every write acknowledged before has left. May cost the target some work."""

    def create(self, marker: str) -> Identity:
        """Builds it, empty, and leaves the marker in it. Refuses where something stands there already."""

    def write(self, changes: Sequence[Change]) -> list[Outcome]: ...

    def read(self, keys: Sequence[Key]) -> dict[Key, Held]: ...

    def scan(self, after: Key | None, limit: int) -> list[Held]:
        """The next records after a key, in key order of the target's keys; fewer than `limit` at the end."""

    def close(self) -> None: ...


@runtime_checkable
class ListingWriter(Protocol):
    """A target that says which records it holds for far less than it costs to read them."""

    def listed(self, after: Key | None, limit: int) -> list[Listed]:
        """As `Writer.scan`, without the records."""


@runtime_checkable
class EstimatingWriter(Protocol):
    """A target that knows about how much it holds (None: it does not say). Removals show in two seconds."""

    def estimate(self) -> Estimate | None: ...
