"""Ports for targets where a write is more than a record: what it would do, and what would follow of it, for a
person to see before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from msgspec import Struct

from lockstep.effective import Span
from lockstep.values import Change, Key


class Sides(Struct, frozen=True):
    """What holds when, in words, as spans (start, end, value): as it is, and as it would be."""

    name: str
    held: tuple[Span[str], ...]
    wanted: tuple[Span[str], ...]


class Steps(Struct, frozen=True):
    """What a write would do, in order, in words. `problem`: why it would do nothing."""

    steps: tuple[str, ...] = ()
    sides: tuple[Sides, ...] = ()
    problem: str | None = None


@runtime_checkable
class SteppingWriter(Protocol):
    """A writer that can say what it would do. Reads the target, changes nothing."""

    def steps(self, changes: Sequence[Change]) -> dict[Key, Steps]: ...


@runtime_checkable
class PreviewingWriter(Protocol):
    """A writer whose system can say what would follow of a write: of a billing system, the next invoice."""

    def preview(self, changes: Sequence[Change]) -> dict[Key, tuple[str, ...]]:
        """Lines of text, by target key; a key of which nothing follows has none. Changes nothing."""
        ...
