"""A batch: root keys to derive, why each is, and which positions are settled once all are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from lockstep.values import Hint, Key, Lane, Stream, Trust

Positions = dict[tuple[Stream, Lane], dict[int, int]]


class Work(Struct, frozen=True):
    """Why a key is derived: the most suspicious of its hints."""

    trust: Trust
    reason: str
    position: str | None
    at: float


class Batch(Struct, frozen=True):
    """Root keys to derive, and the positions that are settled once they are."""

    works: Mapping[Key, Work]
    positions: Positions
    lane: Lane
    hints: int
    oldest: float | None
    origin: int = 0


def collapse(works: dict[Key, Work], found: Iterable[Key], hint: Hint) -> None:
    """Adds keys that a hint names; of two reasons for one key the more suspicious counts."""
    own = Work(hint.trust, hint.reason, hint.position, hint.at)
    for key in found:
        known = works.setdefault(key, own)
        if known is not own and known.trust is Trust.LEDGER and hint.trust is Trust.TARGET:
            works[key] = Work(Trust.TARGET, known.reason, known.position, known.at)
