"""What status answers: a state store at a glance."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from lockstep.operations.holds import Held


class Ill(Struct, frozen=True):
    """Something that is ill. With `blocks`, nobody should rely on what the targets hold.

    kind: dead (nobody runs it), wedged (a thread, or the process, hangs), stopped, held (by the guard),
    waiting (for a system, or for somebody's open transaction), behind (no progress), unfollowed (its
    live build is another code's than the run), log (the source keeps
    too much for us), verify
    """

    subject: str
    kind: str
    problem: str
    remedy: str
    blocks: bool = True


class BackfillStatus(Struct, frozen=True):
    """A pass over all keys: `total` is an estimate; `rate` in keys a second, `eta` in seconds."""

    reason: str
    done: int
    total: int
    rate: float
    eta: float | None
    started_at: float
    finished_at: float | None


class MappingStatus(Struct, frozen=True):
    """One mapping. `waiting_live` and `waiting_bulk` count hints not settled yet; `lag` is the age in seconds
    of the oldest of them. `verdict` of the last check, as of `verified_at`: agreement, or what differed."""

    name: str
    target: str
    generation: int
    state: str
    reason: str
    waiting_live: int
    waiting_bulk: int
    stuck: int
    backfill: BackfillStatus | None
    gauges: dict[str, Any]
    lag: float | None = None
    settled_at: float | None = None
    verified_at: float | None = None
    verdict: str | None = None


class SavedState(Struct, frozen=True):
    """The newest saved state of a target that is whole; `proven_at`: when it was restored and agreed."""

    target: str
    id: int
    begun_at: float
    records: int | None
    size: int | None
    proven_at: float | None


class Beside(Struct, frozen=True):
    """A build that stands beside a target's live one. `state`: building, scratch (a rehearsal's), or kept,
    for `rollback`; `waiting` hints it has not seen."""

    target: str
    generation: int
    state: str
    created_at: float
    waiting: int


class Rehearsal(Struct, frozen=True):
    """The last rehearsal of a restore of a target. `outcome`: passed or failed, for a reason; `numbers`:
    what it measured, in seconds and records."""

    target: str
    snapshot: str
    ended_at: float | None
    outcome: str
    reason: str | None
    numbers: dict[str, Any]


class Status(Struct, frozen=True):
    """A state store at a glance. `running` says who runs it, None when nobody does; `holds` are what the
    guard holds, and what a person has allowed and has not happened yet."""

    state: str
    running: str | None
    last_outcome: str | None
    seen_at: float | None
    sources: dict[str, Any]
    mappings: tuple[MappingStatus, ...]
    ills: tuple[Ill, ...] = ()
    holds: tuple[Held, ...] = ()
    snapshots: tuple[SavedState, ...] = ()
    drills: tuple[Rehearsal, ...] = ()
    builds: tuple[Beside, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether one may rely on the targets: everything gets on."""
        return not any(ill.blocks for ill in self.ills)
