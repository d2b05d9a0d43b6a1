"""A port for targets that have no place for Lockstep's metadata: durable notes beside the ledger.

A system such as a billing service takes no column, no table and no document of Lockstep's own. What a writer
must know of its records, and of requests whose fate is open, it notes here. The engine keeps the notes in the
state store, so they live and are restored with the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from lockstep.ports import Target
from lockstep.values import Key


class Note(NamedTuple):
    """A note of a kind on a target key; without a body it is taken away."""

    kind: str
    key: Key
    body: bytes | None


class Condition(NamedTuple):
    """What must be noted on a key when a write is committed, before anything of it is written."""

    kind: str
    key: Key
    holds: Callable[[bytes | None], bool]


class Amendment(NamedTuple):
    """What a note becomes, made of its body as it is when the write is committed (None: there is none):
    for what several writers of one target note on the same key. It stays as it is where `where` does not
    hold by then. Both may be asked more than once."""

    kind: str
    key: Key
    made: Callable[[bytes | None], bytes | None]
    where: Condition | None = None


class Notes(Protocol):
    """The notes on one generation of a target. Threads may share them.

    Raises StateUnreachable where the state store does not answer.
    """

    def read(self, kind: str, keys: Sequence[Key]) -> dict[Key, bytes]: ...

    def scan(self, kind: str, after: Key | None, limit: int) -> list[tuple[Key, bytes]]:
        """The next notes of a kind, in key order; fewer than `limit` at the end."""
        ...

    def write(self, notes: Sequence[Note], amended: Sequence[Amendment] = ()) -> None:
        """All or none, notes first; durable when it returns. Raises LeaseLost where another worker has taken
        over: then nothing may be sent to the target any more. Refused where these notes are only to be looked
        at."""
        ...


@runtime_checkable
class NotingTarget(Target, Protocol):
    """A target whose writers keep notes: opened as `target.noting(notes).open(generation)`."""

    def noting(self, notes: Notes) -> Target: ...
